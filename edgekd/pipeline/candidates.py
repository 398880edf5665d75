"""What a search may find out about a network, on the device and without one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import zstandard

from edgekd.deploy.writers._base import integers
from edgekd.errors import NoDeviceError, PruningProcessError, UnsupportedModelError
from edgekd.measuring.statistics import median_ms, ratio
from edgekd.pipeline.candidate_latency import Judging, would_be_kept
from edgekd.pipeline.deploy import Baseline
from edgekd.pipeline.deployment import Deployment, rough
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.graph import export, export_one
from edgekd.pipeline.leading import leading
from edgekd.pipeline.measuring import QUICK
from edgekd.pipeline.partial import measured_layers
from edgekd.pipeline.prunable import Pruner
from edgekd.pipeline.select import keeps_accuracy
from edgekd.pipeline.traced import Tracing
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Criterion
from edgekd.pruning.space import Scores, Space
from edgekd.pruning.stages import losses, scores
from edgekd.values import (
    Artifact,
    Candidate,
    Measurement,
    Proposal,
    Structure,
    Variant,
    VariantLatency,
)
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
    counted: frozenset[str] | None = None
    """The names of the variants that are left where some dropped out; None: none did."""

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
        except PruningProcessError as e:
            self.pruner.run.progress.warn(f"plan: no block is left out, since which can be isn't known: {e.message}")
        except UnsupportedModelError:  # perhaps of blocks alone
            pass
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
            how = replace(rough(self.how, self._leading), layers=original.layers)
            artifacts = list(export(run, "candidate", found, how).artifacts)
            usable = [True] * len(artifacts)  # what it will lose isn't known before it has learned
        candidate = Candidate(proposal=proposal, cost=found.cost)
        for protocol in (QUICK, CLOSER):
            measurements = self.goal.measured(run, [reference.artifact, *artifacts], **protocol)
            by_estimate = protocol is CLOSER
            latencies = self._latencies(measurements, [True, *usable], is_whole=is_whole, by_estimate=by_estimate)
            candidate = candidate.model_copy(update={"latencies": latencies})
            if any(each.fits for each in latencies) or not any(each.fits is None for each in latencies):
                break
        return candidate

    def _saved_ms(self) -> dict[str, float]:
        """The milliseconds that it saves without each block that can go, by the block's name, in the target's reference
        variant: by the ratios of what took turns, since a shared machine's speed differs between sessions.
        """
        run, names = self.pruner.run, self.space.removable
        if self.goal.device is None:
            message = "the criterion needs the latency without each block, and there is no device to measure it on"
            hint = "Give a --device of the target, or set prune.criterion to position or influence."
            raise NoDeviceError(message, hint)
        whole = self._shortened(Structure())
        without = {name: self._shortened(Structure(removed=(name,))) for name in names}
        saved, whole_ms = dict[str, float](), 0.0
        for first in range(0, len(names), _AT_ONCE):
            now = names[first : first + _AT_ONCE]
            run.progress.stage("plan", f"measuring it without each of {', '.join(now)}")
            artifacts = [whole, *(without[name] for name in now)]
            base, *others = self.goal.measured(run, artifacts, **QUICK)
            whole_ms = whole_ms or median_ms(base)
            saved |= {name: whole_ms * (1 - ratio(one, base).estimate) for name, one in zip(now, others, strict=True)}
        return saved

    def _shortened(self, structure: Structure) -> Artifact:
        return export_one(self.pruner.run, "shortened", self.pruned(structure), self.how)

    @property
    def _leading(self) -> tuple[Variant, ...]:
        return leading(self.original.deployed, self.how.reference, counted=self.counted)

    def counting(self, variants: Collection[str]) -> Self:
        """The same where others than these have dropped out."""
        return replace(self, counted=frozenset(variants))

    def has_all(self, candidate: Candidate) -> bool:
        """Whether it was measured in all variants that lead now: where some dropped out, others may."""
        known = {each.variant for each in candidate.latencies}
        # those whose layers are chosen by their times are left out where they are no faster
        return all(variant.name in known for variant in self._leading if not measured_layers([variant]))

    def _latencies(
        self, measurements: Sequence[Measurement], usable: Sequence[bool], *, is_whole: bool, by_estimate: bool
    ) -> tuple[VariantLatency, ...]:
        """Every artifact beside the first, which is the reference; of a pruned network without those that a student
        wouldn't have.
        """
        judging = Judging(self.goal.budget, self.margin, by_estimate)
        found = tuple(
            judging.latency(m, measurements[0], usable=ok)
            for m, ok in zip(measurements, usable, strict=True)
            if is_whole or would_be_kept(m, measurements)
        )
        # unpruned, the reference is one of the network's own artifacts
        return found if is_whole else found[1:]
