"""Networks of many structures, untrained and traced on the device: what a latency table is learned from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import onnx

from edgekd import catalog
from edgekd.deploy.normalising import exported_name
from edgekd.deploy.writers._base import declared
from edgekd.errors import PruningProcessError, UnsupportedModelError
from edgekd.measuring.statistics import median_ms, ratio
from edgekd.pipeline.deploy import Baseline
from edgekd.pipeline.deployment import Deployment, rough
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.graph import made_of
from edgekd.pipeline.layer_times import times
from edgekd.pipeline.prunable import Pruner
from edgekd.pipeline.written import write_variants
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Artifact, Measurement, Pruning, Structure, Variant
from edgekd.values.network import Network
from edgekd.values.plan import TracedNetwork

_SHORTLY: Mapping[str, Any] = {"launches": 1, "seconds": 0.3, "block_seconds": 0.02, "warmup_seconds": 0.2}
"""One launch of each network: the errors of many average out."""

_AT_ONCE = 6
"""Artifacts of one session: each is a process on the device, next to the others."""


@dataclass(frozen=True)
class _File:
    structure: Structure
    artifact: Artifact
    graph: Path
    """In floats, whose layers the artifact's are."""


def made_sooner(variant: Variant, variants: Sequence[Variant]) -> Variant:
    """Instead of a variant whose files a library quantises, some seconds each, another one in integers of the same
    runtime and settings; the variant itself if there is none.
    """
    precision = declared(variant.runtime, variant.precision)
    if precision is None or precision.library is None:
        return variant
    others = [other for other in variants if (other.runtime, other.settings) == (variant.runtime, variant.settings)]
    found = [(other, declared(other.runtime, other.precision)) for other in others]
    return next((other for other, one in found if one and one.integers and not one.library), variant)


@dataclass(frozen=True)
class Tracing:
    """How networks are traced."""

    network: Network
    """Unpruned."""
    pruner: Pruner
    how: Deployment
    goal: Goal
    """With a device."""
    original: Baseline

    def traced(self, structures: Sequence[Structure], variant: str) -> tuple[TracedNetwork, ...]:
        """Networks of these structures in that variant, or one that is `made_sooner`, beside the reference; without
        those that can't be made.

        Args:
            structures: of the network.
            variant: the name of one of the target's.

        Raises:
            MeasurementError: the device was disturbed, or lost.
        """
        run = self.pruner.run
        named = next(each for each in self.how.variants if each.name == variant)
        files = tuple(self._files(structures, made_sooner(named, self.how.variants)))
        found: list[TracedNetwork] = []
        for first in range(0, len(files), _AT_ONCE):
            some = files[first : first + _AT_ONCE]
            run.progress.stage("table", f"timing networks of other widths: {first + len(some)} of {len(files)} files")
            artifacts = [self.original.reference.artifact, *(file.artifact for file in some)]
            baseline, *measured = self.goal.compared(run, artifacts, traced=True, **_SHORTLY)
            found.extend(map(partial(self._traced, baseline), some, measured))
        return tuple(found)

    def _files(self, structures: Sequence[Structure], variant: Variant) -> Iterator[_File]:
        run, pruner = self.pruner.run, replace(self.pruner, settings=_any_channels(self.pruner.settings))
        how = replace(rough(self.how, (variant,)), layers=self.original.deployed.layers)
        run.progress.stage("table", "writing networks of other widths")
        for number, structure in enumerate(structures, 1):
            run.progress.advance(number, len(structures))
            try:
                making = made_of(run, "timed", pruner.pruned(self.network, structure), how)
            except PruningProcessError as e:
                run.progress.warn(f"table: one network less to learn from: {e.message}")
                continue
            except UnsupportedModelError:
                continue  # it needn't be one of those that are learned from
            graph = making.of.graph.artifact.path
            written = write_variants(run, "timed", making, (variant,))
            yield from (_File(structure, artifact, graph) for artifact in written.artifacts)

    def _traced(self, baseline: Measurement, file: _File, measured: Measurement) -> TracedNetwork:
        reference_ms = median_ms(baseline)
        names = {exported_name(f"{name}.weight", self.how.feeding): name for name in self._layers}
        graph = onnx.load(file.graph, load_external_data=False).graph
        ms = times(graph, measured.trace) if measured.trace else {}
        return TracedNetwork(
            structure=file.structure,
            variant=file.artifact.variant.name,
            latency=ratio(measured, baseline).estimate,
            layers={names[weight]: taken / reference_ms for weight, taken in ms.items() if weight in names},
            clock_us=getattr(catalog.load(RUNTIMES, file.artifact.runtime), "CLOCK_US", 0.0),
        )

    @cached_property
    def _layers(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.pruner.space(self.network, "channels").layers)


def _any_channels(settings: Pruning) -> Pruning:
    """Which channels go doesn't change the time, and weights alone tell it soonest."""
    return settings.model_copy(update={"criterion": "l1", "options": {}})
