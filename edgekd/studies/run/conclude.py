"""From the cells to what a study concludes, and its files."""

from collections.abc import Mapping, Sequence

from edgekd.studies._base import Arm, Study
from edgekd.studies._compare import compared, with_gains, with_tradeoffs
from edgekd.studies._results import Failure, StudyResult
from edgekd.studies.run.cells import Made
from edgekd.studies.run.costs import costs_of
from edgekd.studies.run.failures import message
from edgekd.studies.run.teachers import Teachers
from edgekd.studies.run.write import write

Cells = Mapping[tuple[str, int], Made | Exception]
"""By the arm's name and the seed."""


def conclude(
    teachers: Teachers, found: Study, arms: Sequence[Arm], cells: Cells, *, remarks: tuple[str, ...] = ()
) -> StudyResult:
    """Export and measure one network of each structure, compare, and write the study's documents."""
    study = teachers.run
    made = {key: cell for key, cell in cells.items() if isinstance(cell, Made)}
    # the cell of the lowest seed stands last, so it stays
    first = {name: cell for (name, _), cell in sorted(made.items(), key=lambda item: -item[0][1])}
    results, costs, unmeasured = costs_of(teachers, arms, first)
    rows = [
        compared(arm, [cell.cell for (name, _), cell in made.items() if name == arm.name], costs.get(arm.name))
        for arm in arms
    ]
    failures = [
        Failure(arm=name, seed=seed, message=message(error))
        for (name, seed), error in cells.items()
        if isinstance(error, Exception)
    ]
    result = StudyResult(
        title=found.TITLE,
        paper=found.PAPER,
        published=found.PUBLISHED,
        differs=found.DIFFERS,
        plan=study.plan,
        folder=str(study.run.store.root),
        device=study.device.url if study.device else None,
        teachers=tuple(results.values()),
        arms=with_tradeoffs(with_gains(rows, arms), results),
        failures=tuple(failures),
        remarks=(*remarks, *unmeasured),
    )
    projections = {name: cell.projection for name, cell in first.items() if cell.projection}
    return write(study.run.store.root, result, projections)
