"""A latency table: what a network of any widths takes on a device in one variant, learned from traced networks.

Layers take what `_times` has learned of their kind. What else runs (activations, additions, pooling) takes a time for
each value that a layer gives. Whole networks say how these add up: tracing adds to each node, so that whole inferences
take less than the sum of traced layers, by a constant for each.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median

import numpy as np
from scipy.optimize import lsq_linear

from edgekd.pruning.space import Layer, Space
from edgekd.search._times import Timed, Times, fitted
from edgekd.values import Structure
from edgekd.values.plan import TracedNetwork

_PARTS = 5
"""Of the networks, each of which is held back once, to tell how wrong predictions are."""


@dataclass(frozen=True)
class Table:
    """Predicts the latencies of one variant, in those of the reference."""

    space: Space
    variant: str
    kinds: Mapping[str, Times]
    each_layer: float
    """What every layer takes besides; mostly negative, what tracing adds to it."""
    of_layers: float
    """What layers take in the whole network of what they take when they are traced."""
    of_values: float
    """For each value that a layer gives."""
    errors: tuple[float, ...] = ()
    """Predicted divided by measured latency, less 1, of networks that it was not learned from."""

    @property
    def typical_error(self) -> float:
        """The median of the errors' sizes."""
        return median(map(abs, self.errors)) if self.errors else 0.0

    @property
    def worst_error(self) -> float:
        """The largest error's size."""
        return max(map(abs, self.errors), default=0.0)

    def layer_latency(self, layer: Layer, inputs: int, outputs: int) -> float:
        """A layer with these widths, and what it gives others to do; nothing where it has no channels."""
        if not inputs or not outputs:
            return 0.0
        times = self.kinds.get(layer.kind)
        own = times.of(0 if layer.depthwise else inputs, outputs) if times else 0.0
        return max(0.0, self.each_layer + self.of_layers * own + self.of_values * outputs * layer.positions)

    def latency(self, structure: Structure) -> float:
        """The whole network with that structure."""
        return sum(self.layers(structure).values())

    def layers(self, structure: Structure) -> dict[str, float]:
        """What each layer that is left takes, by its name."""
        widths = self.widths(structure)
        return {
            layer.name: self.layer_latency(layer, *self.space.widths_of(layer, widths))
            for layer in self.left(structure.removed)
        }

    def left(self, removed: Collection[str]) -> tuple[Layer, ...]:
        """The layers that are in none of these blocks."""
        gone = tuple(f"{block}." for block in removed)
        return tuple(layer for layer in self.space.layers if not layer.name.startswith(gone))

    def widths(self, structure: Structure) -> dict[str, int]:
        """The width of every group as the layers that are left see it.

        The channels of a block that adds some are gone with it; what read those of another block reads what comes
        before.
        """
        widths = {group.root: structure.widths.get(group.root, group.width) for group in self.space.groups}
        for block in self.space.blocks:  # in their order: what comes before may be gone too
            if block.name not in structure.removed:
                continue
            if block.grows:
                widths.update({root: 0 for root in widths if root.startswith(f"{block.name}.")})
            elif ends := self.ends[block.name]:
                widths[ends[1]] = widths[ends[0]]
        return widths

    @cached_property
    def ends(self) -> dict[str, tuple[str, str] | None]:
        """See `ends_of`, by the block's name."""
        return {block.name: ends_of(self.space, block.name) for block in self.space.blocks}


def learned(space: Space, networks: Sequence[TracedNetwork]) -> Table:
    """The table of a variant; its errors are those for each network of a table from which it was held back, with every
    fifth other one.

    Args:
        space: of the unpruned network.
        networks: traced, all in one variant.
    """
    errors: dict[int, float] = {}
    for part in range(_PARTS):
        others = _fitted(space, [network for i, network in enumerate(networks) if i % _PARTS != part])
        errors |= {
            i: others.latency(one.structure) / one.latency - 1 for i, one in enumerate(networks) if i % _PARTS == part
        }
    return replace(_fitted(space, networks), errors=tuple(errors[i] for i in sorted(errors)))


def ends_of(space: Space, block: str) -> tuple[str, str] | None:
    """The groups of the channels that a block reads and gives, the same one for a residual block; None where it
    doesn't read, or give, those of exactly one group.
    """
    within = f"{block}."
    inside = [layer for layer in space.layers if layer.name.startswith(within)]
    outside = [layer for layer in space.layers if not layer.name.startswith(within)]
    touched = {root for layer in inside for root in (*layer.inputs_of, *layer.outputs_of)}
    before = {root for root in touched if not root.startswith(within)}
    read = {root for layer in outside for root in layer.inputs_of}
    behind = {root for root in touched & read if root.startswith(within)} or before
    return (next(iter(before)), next(iter(behind))) if len(before) == len(behind) == 1 else None


def _fitted(space: Space, networks: Sequence[TracedNetwork]) -> Table:
    empty = Table(space, networks[0].variant, {}, each_layer=0.0, of_layers=1.0, of_values=0.0)
    seen = [_seen(empty, network) for network in networks]
    table = replace(empty, kinds=fitted([layer for layers, _ in seen for layer in layers]))
    counts = np.array([len(table.left(network.structure.removed)) for network in networks], float)
    traced = np.array([table.latency(network.structure) for network in networks])
    values = np.array([count for _, count in seen])
    wanted = np.array([network.latency for network in networks])
    # relative errors count
    basis = np.stack([counts, traced, values / values.max()], 1) / wanted[:, None]
    found = lsq_linear(basis, np.ones_like(wanted), ([-np.inf, 0, 0], np.inf)).x
    each_layer, of_layers, of_values = map(float, found / [1, 1, values.max()])
    return replace(table, each_layer=each_layer, of_layers=of_layers, of_values=of_values)


def _seen(table: Table, network: TracedNetwork) -> tuple[list[Timed], float]:
    """The network's layers with their times, and how many values all of them give."""
    widths = table.widths(network.structure)
    layers, values = [], 0.0
    for layer in table.left(network.structure.removed):
        inputs, outputs = table.space.widths_of(layer, widths)
        values += outputs * layer.positions
        if layer.name in network.layers:
            own = 0 if layer.depthwise else inputs
            layers.append(Timed(layer.kind, own, outputs, network.layers[layer.name]))
    return layers, values
