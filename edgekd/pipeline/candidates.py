"""Candidates: untrained students, written in every precision and measured beside the baseline."""

from collections.abc import Sequence
from pathlib import Path

from edgekd.data.fixed_images import sample_images
from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.gate.limits import accuracy
from edgekd.measuring.statistics import percentile, ratio, samples_ms
from edgekd.pipeline.baseline import Baseline
from edgekd.pipeline.job import Job, made_with
from edgekd.pipeline.ladder import Written, write_rungs, written_for
from edgekd.pipeline.measuring import QUICK, measured
from edgekd.pipeline.students import Students
from edgekd.values import Artifact, Measurement, Value
from edgekd.values.network import Network
from edgekd.values.result import Candidate, Rung, RungLatency

CLOSER = {**QUICK, "launches": 9}
"""For a candidate that the quick measurement leaves open: more launches, since they differ more than their blocks."""

_CALIBRATION_IMAGES = 32
"""Ranges that are only roughly right don't change which integer kernels run."""


class Sketch(Value):
    """An untrained student's files."""

    artifacts: tuple[Artifact, ...]


def candidate(job: Job, made: Students, pruned: float, baseline: Baseline) -> Candidate:
    """The student of one ratio with its latency in every precision in which the original passed its check; the unpruned
    one is the original itself.
    """
    network = made.at(pruned)
    job.progress.stage("plan", f"measuring it pruned by {pruned:.0%}: {network.cost.parameters:,} parameters")
    reference = baseline.reference
    if pruned:
        sketch, where = _sketch(job, network, pruned)
        files = [a.below(where) for a in sketch.artifacts if a.precision in baseline.precisions]
        usable = [True] * len(files)  # what it will lose isn't known before it has learned
    else:
        others = [rung for rung in baseline.ladder.rungs if rung != reference]
        files = [baseline.placed(rung) for rung in others]
        usable = [keeps_accuracy(job.budget, reference, rung) for rung in others]
    found = Candidate(ratio=pruned, parameters=network.cost.parameters, macs=network.cost.macs)
    for how in (QUICK, CLOSER):
        rungs = _rungs(job, [baseline.placed(reference), *files], [True, *usable], how)
        # unpruned, the reference is one of the network's own rungs
        found = found.model_copy(update={"rungs": rungs[1:] if pruned else rungs})
        if any(rung.fits for rung in found.rungs) or not any(rung.fits is None for rung in found.rungs):
            break
    return found


def _rungs(
    job: Job, files: Sequence[Artifact], usable: Sequence[bool], how: dict[str, float]
) -> tuple[RungLatency, ...]:
    """Every file beside the first, which is the reference."""
    measurements = measured(job, files, job.recipe.measure.model_copy(update=how))
    return tuple(
        _rung(m, measurements[0], job.budget, margin=job.recipe.prune.margin, usable=ok)
        for m, ok in zip(measurements, usable, strict=True)
    )


def _sketch(job: Job, network: Network, pruned: float) -> tuple[Sketch, Path]:
    name = f"pruned-{pruned:g}"

    def build(to: Path) -> Sketch:
        calibration = sample_images(job.data.train, _CALIBRATION_IMAGES)
        written = write_rungs(job, name, network, to, calibration=calibration)
        return Sketch(artifacts=tuple(rung.artifact for rung in written if isinstance(rung, Written)))

    inputs = {
        "student": network.key(),
        "name": name,
        "model": network.architecture.model,
        "target": written_for(job),
        "calibration": [job.images, _CALIBRATION_IMAGES],
        "made with": made_with(),
    }
    sketch, where, _ = job.run.stage("sketch", inputs, Sketch, build)
    return sketch, where


def _rung(
    measurement: Measurement, baseline: Measurement, budget: Budget, *, margin: float, usable: bool
) -> RungLatency:
    return RungLatency(
        precision=measurement.artifact.precision,
        median_ms=percentile(samples_ms(measurement), 50),
        ratio=ratio(measurement, baseline),
        fits=_fits(measurement, baseline, budget, margin) if usable else False,
    )


def _fits(measurement: Measurement, baseline: Measurement, budget: Budget, margin: float) -> bool | None:
    """Whether the latency passes and, the accuracy aside, all is within the limits less the margin; None if the
    measurement leaves the latency open.

    Training a student that then turns out too slow costs far more than one step of the staircase more, so a latency
    that is still open isn't taken for one that fits.
    """
    latency = judge(budget.only(lambda needs: needs.guides_search), measurement, baseline)
    others = judge(budget.only(lambda needs: not (needs.guides_search or needs.trained)), measurement, baseline)
    allowed = [*((limit, 1 - margin) for limit in latency.limits), *((limit, 1.0) for limit in others.limits)]
    # what the device doesn't report, no candidate can miss
    if any(limit.observed is not None and limit.observed > limit.limit * part for limit, part in allowed):
        return False
    return None if latency.status == "inconclusive" else latency.status == "pass"


def keeps_accuracy(budget: Budget, reference: Rung, rung: Rung) -> bool:
    """Whether a rung of a trained network loses no more validation accuracy than the budget allows."""
    stated = budget.of(accuracy.Settings)
    allowed = stated.max_drop_pp if stated else None
    return allowed is None or 100 * (reference.val.top1 - rung.val.top1) <= allowed
