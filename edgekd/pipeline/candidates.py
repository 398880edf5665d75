"""What a search may find out about a network, on the device and without one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import zstandard

from edgekd.errors import NoDeviceError
from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.measuring.statistics import percentile, ratio, samples_ms
from edgekd.pipeline.deploy import Baseline, export, export_one, rough
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import QUICK, measured
from edgekd.pipeline.prunable import prunable_of
from edgekd.pipeline.select import keeps_accuracy
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.space import Scores, Space
from edgekd.pruning.stages import pruned, scores, space
from edgekd.values import Artifact, Candidate, Measurement, Proposal, Structure, VariantLatency
from edgekd.values.network import Network

CLOSER = {**QUICK, "launches": 9}
"""For a candidate that the quick measurement leaves open: more launches, since they differ more than their blocks."""

_AT_ONCE = 8
"""Blocks of one session: each artifact is a process on the device, next to the others."""


@dataclass(frozen=True)
class NetworkBench:
    """One network with the run that it is pruned in; satisfies `search.Bench`."""

    job: Job
    network: Network
    """Unpruned."""
    baseline: Baseline | None
    """The teacher's, which candidates are measured beside; None where none are."""

    @cached_property
    def space(self) -> Space:
        """What can be taken out of it of what the recipe's criterion ranks."""
        settings = self.job.recipe.prune
        criterion, _ = criterion_of(settings.criterion, settings.options)
        return space(self.job.means, prunable_of(self.job, self.network), criterion.SCORES)

    def scores(self) -> Scores:
        """What the criterion says of it; raises NoDeviceError if it judges by latency and there is no device."""
        settings = self.job.recipe.prune
        criterion, _ = criterion_of(settings.criterion, settings.options)
        saved_ms = self._saved_ms() if criterion.NEEDS_LATENCY else {}
        return scores(self.job.means, prunable_of(self.job, self.network), saved_ms)

    def left(self, structure: Structure, what: Collection[str]) -> Mapping[str, float]:
        """How much of the unpruned network is left, as fractions; "parameters" are those that aren't zero."""
        whole, found = self.pruned(Structure()), self.pruned(structure)
        left = {"parameters": found.cost.nonzero / whole.cost.parameters, "macs": found.cost.macs / whole.cost.macs}
        if "transfer_bytes" in what:
            sizes = [len(zstandard.compress(each.weights.path.read_bytes())) for each in (found, whole)]
            left["transfer_bytes"] = sizes[0] / sizes[1]
        return left

    def pruned(self, structure: Structure) -> Network:
        """It with that structure, untrained."""
        return pruned(self.job.means, prunable_of(self.job, self.network), structure)

    def measure(self, proposal: Proposal) -> Candidate:
        """Its latency in every variant in which the original passed its check; the unpruned one is the original."""
        assert self.baseline is not None, "nothing is measured without a reference"
        job, found = self.job, self.pruned(proposal.structure)
        is_whole = proposal.structure.is_whole
        what = "unpruned" if is_whole else f"without {proposal.what}"
        job.progress.stage("plan", f"measuring it {what}: {found.cost.parameters:,} parameters")
        original, reference = self.baseline.deployed, self.baseline.reference
        if is_whole:
            others = [checked for checked in original.artifacts if checked != reference]
            artifacts = [checked.artifact for checked in others]
            usable = [keeps_accuracy(job.budget, reference, checked) for checked in others]
        else:
            passed = tuple(variant for variant in job.deployment.variants if original.of(variant))
            artifacts = list(export(job.means, "candidate", found, rough(job.deployment, passed)).artifacts)
            usable = [True] * len(artifacts)  # what it will lose isn't known before it has learned
        candidate = Candidate(proposal=proposal, cost=found.cost)
        for how in (QUICK, CLOSER):
            latencies = _latencies(job, [reference.artifact, *artifacts], [True, *usable], how)
            # unpruned, the reference is one of the network's own artifacts
            latencies = latencies if is_whole else latencies[1:]
            candidate = candidate.model_copy(update={"latencies": latencies})
            if any(each.fits for each in latencies) or not any(each.fits is None for each in latencies):
                break
        return candidate

    def _saved_ms(self) -> dict[str, float]:
        """The milliseconds that it saves without each block that can go, by the block's name: differences of medians
        within a session, in the target's reference variant.
        """
        job, names = self.job, self.space.removable
        if job.device is None:
            message = "the criterion needs the latency without each block, and there is no device to measure it on"
            hint = "Give a --device of the target, or set prune.criterion to position or influence."
            raise NoDeviceError(message, hint)
        whole = self._shortened(Structure())
        without = {name: self._shortened(Structure(removed=(name,))) for name in names}
        saved = {}
        for first in range(0, len(names), _AT_ONCE):
            now = names[first : first + _AT_ONCE]
            job.progress.stage("plan", f"measuring it without each of {', '.join(now)}")
            artifacts = [whole, *(without[name] for name in now)]
            found = measured(job, artifacts, job.recipe.measure.model_copy(update=QUICK))
            medians = [percentile(samples_ms(measurement), 50) for measurement in found]
            saved.update({name: medians[0] - shorter for name, shorter in zip(now, medians[1:], strict=True)})
        return saved

    def _shortened(self, structure: Structure) -> Artifact:
        return export_one(self.job.means, "shortened", self.pruned(structure), self.job.deployment)


def _latencies(
    job: Job, artifacts: Sequence[Artifact], usable: Sequence[bool], how: dict[str, float]
) -> tuple[VariantLatency, ...]:
    """Every artifact beside the first, which is the reference."""
    measurements = measured(job, artifacts, job.recipe.measure.model_copy(update=how))
    return tuple(
        _latency(m, measurements[0], job.budget, margin=job.recipe.search.margin, usable=ok)
        for m, ok in zip(measurements, usable, strict=True)
    )


def _latency(
    measurement: Measurement, baseline: Measurement, budget: Budget, *, margin: float, usable: bool
) -> VariantLatency:
    return VariantLatency(
        variant=measurement.artifact.variant.name,
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
