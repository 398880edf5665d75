"""What a search may find out about a network, on the device and without one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import zstandard

from edgekd.deploy.writers._base import integers
from edgekd.errors import NoDeviceError, UnsupportedModelError
from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge
from edgekd.measuring.relative import relative
from edgekd.measuring.statistics import percentile, ratio, samples_ms
from edgekd.pipeline.deploy import Baseline
from edgekd.pipeline.deployment import Deployment, rough
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.graph import export, export_one
from edgekd.pipeline.leading import leading
from edgekd.pipeline.measuring import QUICK
from edgekd.pipeline.partial import clearly_faster, measured_layers
from edgekd.pipeline.prunable import Pruner
from edgekd.pipeline.select import keeps_accuracy
from edgekd.pipeline.traced import Tracing
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Criterion
from edgekd.pruning.space import Scores, Space
from edgekd.pruning.stages import losses, scores
from edgekd.values import Artifact, Candidate, Measurement, Proposal, Structure, VariantLatency
from edgekd.values.network import Network
from edgekd.values.plan import TracedNetwork

CLOSER = {**QUICK, "launches": 9}
"""For a candidate that the quick measurement leaves open: more launches, since they differ more than their blocks."""

_LOSS_MACS = 15_000_000_000
_LEAST_IMAGES, _MOST_IMAGES = 64, 512
"""What one structure is tried with: a second or two of a core."""

_PASSES = 3
"""Of a training, forward and backward, for each image."""

_AT_ONCE = 8
"""Blocks of one session: each artifact is a process on the device, next to the others."""


@dataclass(frozen=True)
class NetworkCandidates:
    """The structures of one network; satisfies `search.Candidates`."""

    network: Network
    """Unpruned."""
    pruner: Pruner
    goal: Goal
    how: Deployment
    baseline: Baseline | None = None
    """The teacher's artifacts, which candidates are measured beside; None where none are."""
    margin: float = 0.0
    """They are to be faster than the budget asks for by this fraction."""

    @property
    def original(self) -> Baseline:
        """The teacher's artifacts."""
        assert self.baseline is not None, "nothing is measured without a reference"
        return self.baseline

    @cached_property
    def space(self) -> Space:
        """What can be removed from it of what the recipe's criterion ranks; blocks as well where it ranks channels."""
        scored = self._criterion.SCORES
        if scored != "channels":
            return self.pruner.space(self.network, scored)
        try:
            return self.pruner.space(self.network, scored, "blocks")
        except UnsupportedModelError:  # perhaps of blocks alone
            return self.pruner.space(self.network, scored)

    @property
    def _criterion(self) -> Criterion:
        settings = self.pruner.settings
        return criterion_of(settings.criterion, settings.options)[0]

    def scores(self) -> Scores:
        """What the criterion says of it; raises NoDeviceError if it judges by latency and there is no device."""
        saved_ms = self._saved_ms() if self._criterion.NEEDS_LATENCY else {}
        return scores(self.pruner.run, self.pruner.of(self.network), saved_ms)

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
        return self.pruner.pruned(self.network, structure)

    @property
    def _tried_images(self) -> int:
        return min(_MOST_IMAGES, max(_LEAST_IMAGES, _LOSS_MACS // self.network.cost.macs))

    @property
    def epochs_a_structure(self) -> float:
        """See `search.Candidates`."""
        return self._tried_images / (_PASSES * len(self.pruner.data.train))

    def losses(self, structures: Sequence[Structure], *, tried: int = 0, most: int = 0) -> tuple[float | None, ...]:
        """See `search.Candidates`."""
        if not structures:
            return ()
        run, images = self.pruner.run, self._tried_images
        subject = self.pruner.of(self.network, further_images=images)
        if tried:
            run.progress.advance(tried, most)
        else:
            count = f"at most {most}" if most else len(structures)
            run.progress.stage("plan", f"trying {count} structures on {images // 2} training images")
        return losses(run, subject, structures, self.scores(), images)

    @property
    def integers(self) -> frozenset[str]:
        """See `search.Candidates`."""
        variants = [checked.artifact.variant for checked in self.original.deployed.artifacts]
        return frozenset(variant.name for variant in variants if integers(variant.runtime, variant.precision))

    def traced(self, structures: Sequence[Structure], variant: str) -> tuple[TracedNetwork, ...]:
        """See `search.Candidates`."""
        return Tracing(self.network, self.pruner, self.how, self.goal, self.original).traced(structures, variant)

    def measure(self, proposal: Proposal) -> Candidate:
        """Its latency in the variants that are `leading` for the original; the unpruned one is the original."""
        run, budget, found = self.pruner.run, self.goal.budget, self.pruned(proposal.structure)
        is_whole = proposal.structure.is_whole
        what = "unpruned" if is_whole else f"without {proposal.what}"
        run.progress.stage("plan", f"measuring it {what}: {found.cost.parameters:,} parameters")
        original, reference = self.original.deployed, self.original.reference
        if is_whole:
            others = [checked for checked in original.artifacts if checked != reference]
            artifacts = [checked.artifact for checked in others]
            usable = [keeps_accuracy(budget, reference, checked) for checked in others]
        else:
            how = replace(rough(self.how, leading(original, self.how.reference)), layers=original.layers)
            artifacts = list(export(run, "candidate", found, how).artifacts)
            usable = [True] * len(artifacts)  # what it will lose isn't known before it has learned
        candidate = Candidate(proposal=proposal, cost=found.cost)
        for protocol in (QUICK, CLOSER):
            latencies = self._latencies([reference.artifact, *artifacts], [True, *usable], protocol, is_whole=is_whole)
            candidate = candidate.model_copy(update={"latencies": latencies})
            if any(each.fits for each in latencies) or not any(each.fits is None for each in latencies):
                break
        return candidate

    def _saved_ms(self) -> dict[str, float]:
        """The milliseconds that it saves without each block that can go, by the block's name: differences of medians
        within a session, in the target's reference variant.
        """
        run, names = self.pruner.run, self.space.removable
        if self.goal.device is None:
            message = "the criterion needs the latency without each block, and there is no device to measure it on"
            hint = "Give a --device of the target, or set prune.criterion to position or influence."
            raise NoDeviceError(message, hint)
        whole = self._shortened(Structure())
        without = {name: self._shortened(Structure(removed=(name,))) for name in names}
        saved = {}
        for first in range(0, len(names), _AT_ONCE):
            now = names[first : first + _AT_ONCE]
            run.progress.stage("plan", f"measuring it without each of {', '.join(now)}")
            artifacts = [whole, *(without[name] for name in now)]
            found = self.goal.measured(run, artifacts, **QUICK)
            medians = [percentile(samples_ms(measurement), 50) for measurement in found]
            saved.update({name: medians[0] - shorter for name, shorter in zip(now, medians[1:], strict=True)})
        return saved

    def _shortened(self, structure: Structure) -> Artifact:
        return export_one(self.pruner.run, "shortened", self.pruned(structure), self.how)

    def _latencies(
        self, artifacts: Sequence[Artifact], usable: Sequence[bool], protocol: Mapping[str, float], *, is_whole: bool
    ) -> tuple[VariantLatency, ...]:
        """Every artifact beside the first, which is the reference; of a pruned network without those that a student
        wouldn't have.
        """
        measurements = self.goal.measured(self.pruner.run, artifacts, **protocol)
        found = tuple(
            _latency(m, measurements[0], self.goal.budget, margin=self.margin, usable=ok)
            for m, ok in zip(measurements, usable, strict=True)
            if is_whole or _would_be_kept(m, measurements)
        )
        # unpruned, the reference is one of the network's own artifacts
        return found if is_whole else found[1:]


def _would_be_kept(measurement: Measurement, all_of_them: Sequence[Measurement]) -> bool:
    """False for one with some layers in integers where another of its runtime is as fast: the student's would be left
    out, so that no plan may count on it.
    """
    variant = measurement.artifact.variant
    if variant not in measured_layers([variant]):
        return True
    others = [other for other in all_of_them if other.artifact.variant.runtime == variant.runtime]
    rivals = [other for other in others if not measured_layers([other.artifact.variant])]
    return clearly_faster([relative(measurement, rival, all_of_them[0]) for rival in rivals])


def _latency(
    measurement: Measurement, baseline: Measurement, budget: Budget, *, margin: float, usable: bool
) -> VariantLatency:
    return VariantLatency(
        variant=measurement.artifact.variant.name,
        median_ms=percentile(samples_ms(measurement), 50),
        ratio=ratio(measurement, baseline),
        fits=_fits(measurement, baseline, budget, margin) if usable else False,
        of_limit=_of_limit(measurement, baseline, budget, margin),
    )


def _of_limit(measurement: Measurement, baseline: Measurement, budget: Budget, margin: float) -> float | None:
    """The latency divided by the one that is allowed less the margin, of the limit that is nearest."""
    limits = judge(budget.only(lambda needs: needs.guides_search), measurement, baseline).limits
    return max((one.observed / (one.limit * (1 - margin)) for one in limits if one.observed is not None), default=None)


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
