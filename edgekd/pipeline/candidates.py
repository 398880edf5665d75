"""Candidates: untrained students, deployed in every variant and measured beside the reference."""

from collections.abc import Sequence

from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.measuring.statistics import percentile, ratio, samples_ms
from edgekd.pipeline.deploy import Baseline, export, rough
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import QUICK, measured
from edgekd.pipeline.select import keeps_accuracy
from edgekd.pipeline.students import Students
from edgekd.values import Artifact, Measurement
from edgekd.values.result import Candidate, RungLatency

CLOSER = {**QUICK, "launches": 9}
"""For a candidate that the quick measurement leaves open: more launches, since they differ more than their blocks."""


def candidate(job: Job, made: Students, pruned: float, baseline: Baseline) -> Candidate:
    """The student of one ratio with its latency in every variant in which the original passed its check; the unpruned
    one is the original itself.
    """
    network = made.at(pruned)
    job.progress.stage("plan", f"measuring it pruned by {pruned:.0%}: {network.cost.parameters:,} parameters")
    original, reference = baseline.deployed, baseline.reference
    if pruned:
        passed = tuple(variant for variant in job.deployment.variants if original.of(variant))
        artifacts = list(export(job.means, "candidate", network, rough(job.deployment, passed)).artifacts)
        usable = [True] * len(artifacts)  # what it will lose isn't known before it has learned
    else:
        others = [checked for checked in original.artifacts if checked != reference]
        artifacts = [checked.artifact for checked in others]
        usable = [keeps_accuracy(job.budget, reference, checked) for checked in others]
    found = Candidate(ratio=pruned, parameters=network.cost.parameters, macs=network.cost.macs)
    for how in (QUICK, CLOSER):
        latencies = _latencies(job, [reference.artifact, *artifacts], [True, *usable], how)
        # unpruned, the reference is one of the network's own artifacts
        found = found.model_copy(update={"rungs": latencies[1:] if pruned else latencies})
        if any(each.fits for each in found.rungs) or not any(each.fits is None for each in found.rungs):
            break
    return found


def _latencies(
    job: Job, artifacts: Sequence[Artifact], usable: Sequence[bool], how: dict[str, float]
) -> tuple[RungLatency, ...]:
    """Every artifact beside the first, which is the reference."""
    measurements = measured(job, artifacts, job.recipe.measure.model_copy(update=how))
    return tuple(
        _rung(m, measurements[0], job.budget, margin=job.recipe.prune.margin, usable=ok)
        for m, ok in zip(measurements, usable, strict=True)
    )


def _rung(
    measurement: Measurement, baseline: Measurement, budget: Budget, *, margin: float, usable: bool
) -> RungLatency:
    return RungLatency(
        precision=measurement.artifact.variant.name,
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
