"""Partial INT8: the layers that compute in integers, chosen by what the device takes for whole files.

The times of the nodes, in a float file and in one with all layers in integers, propose some sets of layers. Each set is
written and measured as a whole file, and the best is kept if it is faster than both.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import onnx

from edgekd import catalog
from edgekd.deploy.quantise.layers import named
from edgekd.deploy.quantise.subsets import Layer, subsets
from edgekd.deploy.writers._base import WRITERS, declared
from edgekd.errors import ConnectionLostError, MeasurementError, UnsupportedModelError
from edgekd.measuring.nodes import of_kind, total_ms
from edgekd.measuring.relative import relative
from edgekd.measuring.statistics import ratio
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.layer_times import layers
from edgekd.pipeline.measuring import QUICK
from edgekd.pipeline.written import Exported, Making, calibrated, write_variants
from edgekd.run import Run
from edgekd.values import Artifact, Interval, Measurement, Trace, Variant
from edgekd.values.result import Dropped

_TRACED: Mapping[str, Any] = {"launches": 1, "seconds": 0.2, "block_seconds": 0.02, "warmup_seconds": 0.2}
_COMPARED: Mapping[str, Any] = {"launches": 2, "seconds": 0.3, "block_seconds": 0.03, "warmup_seconds": 0.2}

_SETS = 8
"""Files that are measured; each takes some seconds."""

_SAVED = 0.02
"""Of the faster of both files' time: what no set of layers can save more of isn't searched."""


@dataclass(frozen=True)
class Chosen:
    """The layers that compute in integers, and the artifact with them."""

    layers: tuple[str, ...]
    artifact: Artifact


def with_partial(
    run: Run, goal: Goal, name: str, making: Making, exported: Exported, *, slow: Collection[str]
) -> tuple[Exported, dict[str, tuple[str, ...]]]:
    """What was exported, with the variants whose layers are chosen by the device's times, and these layers by runtime.

    Args:
        run: keeps files and measurements.
        goal: with a device.
        name: what the graph is called.
        making: what files are made of.
        exported: in every variant that could be written without that choice.
        slow: the runtimes whose files are hopelessly slow without it.
    """
    artifacts, dropped, chosen = list(exported.artifacts), list(exported.dropped), dict[str, tuple[str, ...]]()
    for variant in measured_layers(exported.variants):
        called = f"{name}-{variant.name}"
        try:
            if variant.runtime in slow:
                raise UnsupportedModelError(
                    f"left out after a quick race: no file for {variant.runtime} is fast enough"
                )
            found = choose(run, goal, name, making, variant)
        except UnsupportedModelError as e:
            dropped = [Dropped(name=called, why=e.message) if gone.name == called else gone for gone in dropped]
            continue
        chosen.setdefault(variant.runtime, found.layers)
        dropped = [gone for gone in dropped if gone.name != called]
        artifacts.append(found.artifact)
    order = exported.variants.index
    ordered = tuple(sorted(artifacts, key=lambda artifact: order(artifact.variant)))
    return exported.model_copy(update={"artifacts": ordered, "dropped": tuple(dropped)}), chosen


def measured_layers(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """The variants of which the device's times decide which layers compute in integers."""
    found = ((variant, declared(variant.runtime, variant.precision)) for variant in variants)
    return tuple(variant for variant, precision in found if precision and precision.measured_layers)


def choose(run: Run, goal: Goal, name: str, making: Making, variant: Variant) -> Chosen:
    """The layers of a graph with which a variant is fastest.

    Args:
        run: keeps files and measurements.
        goal: with a device.
        name: what the graph is called.
        making: what files are made of.
        variant: of a precision with `measured_layers`.

    Raises:
        UnsupportedModelError: it can't be quantised, the runtime doesn't time its layers, or no set of them makes it
            faster than both others.
        ConnectionLostError: the device was lost.
    """
    search = _Search(run, goal, name, making, variant)
    try:
        return search.chosen()
    except ConnectionLostError:
        raise
    except MeasurementError as e:
        raise UnsupportedModelError(f"its layers couldn't be chosen by their times: {e.message}") from e


def clearly_faster(behind: Collection[Interval]) -> bool:
    """Whether a file with some layers in integers is kept, by its latency divided by those of the files in floats and
    with all layers in integers.
    """
    return all(one.high < 1 for one in behind)


@dataclass(frozen=True)
class _Search:
    """The search of one variant; arguments as for `choose`."""

    run: Run
    goal: Goal
    name: str
    making: Making
    variant: Variant

    def chosen(self) -> Chosen:
        file = calibrated(self.run, self.name, self.making).graph.path
        graph = onnx.load(file, load_external_data=False).graph
        both = [self._floats(), self._of(tuple(named(graph)))]
        self.run.progress.stage("partial", f"timing the layers of {self.name} in {self.variant.runtime}")
        floats, integers = self.goal.compared(self.run, both, traced=True, **_TRACED)
        assert floats.trace
        assert integers.trace
        found = layers(graph, floats.trace, integers.trace)
        self._require_gain(found, floats.trace, integers.trace)
        sets = [tuple(sorted(one)) for one in subsets(found, _conversion_ms(integers.trace), _SETS)]
        files = [(one, self._of(one)) for one in sets]
        self.run.progress.stage("partial", f"measuring {len(files)} files with some layers in integers")
        return self._best(both, files)

    def _floats(self) -> Artifact:
        """The file in the runtime's precision that is closest to the network."""
        precisions = catalog.load(WRITERS, self.variant.runtime).precisions
        plain = {key: one.tolerance.sqnr_db for key, one in precisions.items() if not one.integers}
        variant = self.variant.model_copy(update={"precision": max(plain, key=lambda key: plain[key])})
        return self._written(self.making, variant)

    def _of(self, chosen: tuple[str, ...]) -> Artifact:
        return self._written(replace(self.making, layers={self.variant.runtime: chosen}), self.variant)

    def _written(self, making: Making, variant: Variant) -> Artifact:
        exported = write_variants(self.run, self.name, making, (variant,))
        if exported.dropped:
            raise UnsupportedModelError(exported.dropped[0].why)
        return exported.artifacts[0]

    def _require_gain(self, found: Sequence[Layer], floats: Trace, integers: Trace) -> None:
        """Raises UnsupportedModelError if no set can be clearly faster than both files."""
        pairs = [(each.float_ms, each.integer_ms) for each in found]
        timed = [(one, other) for one, other in pairs if one is not None and other is not None]
        if not timed:
            raise UnsupportedModelError(f"{self.variant.runtime} doesn't report the times of its layers")
        whole = total_ms(floats.nodes), total_ms(integers.nodes)
        beside = (all_of_it - sum(layers) for all_of_it, layers in zip(whole, zip(*timed, strict=True), strict=True))
        alone, least = min(whole), min(beside) + sum(map(min, timed))
        if least > (1 - _SAVED) * alone:
            raise UnsupportedModelError(f"no set of layers can save more than {max(0.0, 1 - least / alone):.1%}")

    def _best(self, both: Sequence[Artifact], files: Sequence[tuple[tuple[str, ...], Artifact]]) -> Chosen:
        if not files:
            raise UnsupportedModelError("no set of layers saves time in integers")
        artifacts = [*both, *(file for _, file in files)]
        baseline, _, *found = self.goal.compared(self.run, artifacts, **_COMPARED)
        ratios = [ratio(measurement, baseline).estimate for measurement in found]
        best, file = files[ratios.index(min(ratios))]
        # the fastest of several is partly so by chance: it is measured again
        floats, integers, again = self.goal.compared(self.run, [*both, file], **QUICK)
        self._require_faster(again, floats, integers, len(best))
        return Chosen(best, file)

    def _require_faster(self, found: Measurement, floats: Measurement, integers: Measurement, count: int) -> None:
        behind = [relative(found, other, floats) for other in (floats, integers)]
        if not clearly_faster(behind):
            times = " and ".join(f"{one.estimate:.2f}" for one in behind)
            what = "times the latency of the file in floats and of the one with all layers in integers"
            raise UnsupportedModelError(f"not clearly faster: with its best {count} layers it takes {times} {what}")


def _conversion_ms(integers: Trace) -> float:
    """What a conversion takes, with the change of layout beside it."""
    kinds = [of_kind(integers, kind) for kind in ("conversion", "layout")]
    return sum(total_ms(nodes) / len(nodes) for nodes in kinds if nodes)
