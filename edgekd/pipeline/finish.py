"""Finish: measure a trained student's rungs in one session with the reference, and choose one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge, latency_status
from edgekd.measuring.session import unmeasured
from edgekd.pipeline.baseline import Baseline
from edgekd.pipeline.candidates import keeps_accuracy
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import measured
from edgekd.pipeline.select import select
from edgekd.values import Measurement, Status
from edgekd.values.network import Network
from edgekd.values.result import Choice, Ladder, Plan, Rung

Exported = tuple[Ladder, Path]

_LONGER = 3
"""Times as many launches where the first measurement of a finished model leaves its latency open."""


@dataclass(frozen=True)
class Finished:
    """A trained student with its measurements."""

    plan: Plan
    network: Network
    files: tuple[tuple[Rung, Path], ...]
    """The reference, then the student's rungs."""
    measurements: tuple[Measurement, ...]
    """In the order of the files."""
    choice: Choice
    chosen: int
    """Which file the choice is."""
    precision: str
    """The choice's."""
    usable: frozenset[str]
    """The precisions of the student that passed their check and keep the validation accuracy."""
    meets: bool
    """Whether the choice misses no limit but that of accuracy, which the test set decides."""
    latency: Status
    """The verdict on the choice's latency."""
    beyond: float
    """How far the choice's latency is beyond its limit, as a fraction of it; 0 or less where it isn't."""


def finish(
    job: Job,
    plan: Plan,
    *,
    network: Network,
    baseline: Baseline,
    student: Exported,
) -> Finished:
    """Measure the reference and every rung of the student, interleaved, and choose a rung."""
    reference = baseline.reference
    files = [(reference, baseline.placed(reference).path)]
    # where nothing was pruned, the student's reference file is the reference itself
    files += [(rung, student[1] / rung.artifact.file) for rung in student[0].rungs if rung != reference]
    measurements, choice = _measured(job, files, student[0])
    chosen = [rung.artifact.name for rung, _ in files].index(choice.artifact)
    return Finished(
        plan=plan,
        network=network,
        files=tuple(files),
        measurements=measurements,
        choice=choice,
        chosen=chosen,
        precision=files[chosen][0].artifact.precision,
        usable=frozenset(
            rung.artifact.precision for rung in student[0].rungs if keeps_accuracy(job.budget, reference, rung)
        ),
        meets=_meets(job.budget, measurements[chosen], measurements[0]),
        latency=latency_status(job.budget, measurements[chosen], measurements[0]),
        beyond=_beyond(job.budget, measurements[chosen], measurements[0]),
    )


def _meets(budget: Budget, measurement: Measurement, reference: Measurement) -> bool:
    limits = judge(budget.only(lambda needs: not needs.trained), measurement, reference).limits
    return all(limit.status in ("pass", "not measured") for limit in limits)


def _beyond(budget: Budget, measurement: Measurement, reference: Measurement) -> float:
    limits = judge(budget.only(lambda needs: needs.guides_search), measurement, reference).limits
    return max((limit.observed / limit.limit - 1 for limit in limits if limit.observed is not None), default=0.0)


def _measured(job: Job, files: Sequence[tuple[Rung, Path]], student: Ladder) -> tuple[tuple[Measurement, ...], Choice]:
    """The measurement of each file and the rung chosen by them: measured again, longer, where that is inconclusive."""
    how, reference = job.recipe.measure, files[0][0]
    names = [rung.artifact.name for rung, _ in files]
    if job.device is None:
        nothing = tuple(unmeasured(rung.artifact, target=job.target, protocol=how) for rung, _ in files)
        return nothing, select(job.budget, reference, student, ())
    job.progress.stage("measure", f"measuring {len(files)} files in turns")
    for launches in (how.launches, _LONGER * how.launches):
        settings = how.model_copy(update={"launches": launches})
        measurements = measured(job, [rung.artifact.below(path.parent) for rung, path in files], settings)
        by_file = dict(zip(names, measurements, strict=True))
        rungs = [by_file[rung.artifact.name] for rung in student.rungs]
        choice = select(job.budget, reference, student, [measurements[0], *rungs])
        if latency_status(job.budget, by_file[choice.artifact], measurements[0]) != "inconclusive":
            break
        if launches == how.launches:
            job.progress.note(f"the latency of {choice.artifact} is too close to the limit to tell: measuring longer")
    return measurements, choice
