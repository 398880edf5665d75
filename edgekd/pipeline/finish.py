"""Finish: measure a trained student's rungs in one session with the baseline, and choose one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.gate.judge import latency_status
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import measured
from edgekd.pipeline.select import select
from edgekd.profiling.session import unmeasured
from edgekd.results import Choice, Ladder, Network, Plan, Rung
from edgekd.schema import Measurement, Status

Exported = tuple[Ladder, Path]

_LONGER = 3
"""Times as many launches where the first measurement of a finished model leaves its latency open."""


@dataclass(frozen=True)
class Finished:
    """A trained student with its measurements."""

    plan: Plan
    network: Network
    weights: Path
    structure: Path | None
    """None where nothing was pruned: the architecture alone says it all."""
    files: tuple[tuple[Rung, Path], ...]
    """The baseline, then the student's rungs."""
    measurements: tuple[Measurement, ...]
    """In the order of the files."""
    choice: Choice
    chosen: int
    """Which file the choice is."""
    latency: Status
    """The verdict on the choice's latency."""


def finish(
    job: Job,
    plan: Plan,
    *,
    network: Network,
    weights: Path,
    structure: Path | None,
    baseline: Exported,
    student: Exported,
) -> Finished:
    """Measure the baseline and every rung of the student, interleaved, and choose a rung."""
    reference = baseline[0].rungs[0]
    files = [(reference, baseline[1] / reference.artifact.file)]
    # where nothing was pruned, the student's fp32 file is the baseline itself
    files += [(rung, student[1] / rung.artifact.file) for rung in student[0].rungs if rung != reference]
    measurements, choice = _measured(job, files, baseline[0], student[0])
    chosen = [rung.artifact.name for rung, _ in files].index(choice.artifact)
    return Finished(
        plan=plan,
        network=network,
        weights=weights,
        structure=structure,
        files=tuple(files),
        measurements=measurements,
        choice=choice,
        chosen=chosen,
        latency=latency_status(job.budget, measurements[chosen], measurements[0]),
    )


def _measured(
    job: Job, files: Sequence[tuple[Rung, Path]], baseline: Ladder, student: Ladder
) -> tuple[tuple[Measurement, ...], Choice]:
    """The measurement of each file and the rung chosen by them: measured again, longer, where that is inconclusive."""
    how = job.recipe.measure
    names = [rung.artifact.name for rung, _ in files]
    if job.device is None:
        nothing = tuple(unmeasured(rung.artifact, target=job.target, settings=how) for rung, _ in files)
        return nothing, select(job.budget, baseline, student, ())
    job.progress.stage("measure", f"measuring {len(files)} files in turns")
    for launches in (how.launches, _LONGER * how.launches):
        settings = how.model_copy(update={"launches": launches})
        measurements = measured(job, [(rung.artifact, path) for rung, path in files], settings)
        by_file = dict(zip(names, measurements, strict=True))
        rungs = [by_file[rung.artifact.name] for rung in student.rungs]
        choice = select(job.budget, baseline, student, [measurements[0], *rungs])
        if latency_status(job.budget, by_file[choice.artifact], measurements[0]) != "inconclusive":
            break
        if launches == how.launches:
            job.progress.note(f"the latency of {choice.artifact} is too close to the limit to tell: measuring longer")
    return measurements, choice
