"""Finish: measure a trained student's rungs in one session with the baseline, and choose one of them."""

from dataclasses import dataclass
from pathlib import Path

from edgekd.gate.judge import judge
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import measured
from edgekd.pipeline.select import select
from edgekd.profiling.session import unmeasured
from edgekd.results import Choice, Ladder, Network, Plan, Rung
from edgekd.schema import Budget, Measurement

Exported = tuple[Ladder, Path]


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
    meets_latency: bool


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
    if job.device is None:
        measurements = tuple(
            unmeasured(rung.artifact, target=job.target, settings=job.recipe.measure) for rung, _ in files
        )
    else:
        job.progress.stage("measure", f"measuring {len(files)} files in turns")
        measurements = measured(job, [(rung.artifact, path) for rung, path in files], job.recipe.measure)
    by_file = {rung.artifact.name: m for (rung, _), m in zip(files, measurements, strict=True)}
    candidates = [by_file[rung.artifact.name] for rung in student[0].rungs]
    choice = select(job.budget, baseline[0], student[0], [measurements[0], *candidates] if job.device else ())
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
        meets_latency=_meets_latency(job.budget, measurements[chosen], measurements[0]),
    )


def _meets_latency(budget: Budget, measurement: Measurement, baseline: Measurement) -> bool:
    latency_alone = Budget(name=budget.name, latency=budget.latency)
    return judge(latency_alone, measurement, baseline).status == "pass"
