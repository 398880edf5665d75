"""The pruning levels of a network: structures ordered by one ratio, starting with the unpruned network."""

import math
from collections.abc import Callable
from typing import Literal

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning.space import Granularity, Scores, Space
from edgekd.search._base import WHOLE
from edgekd.search._widths import widths_across_layers, widths_by_layer
from edgekd.values import Proposal, Structure, Value

_RATIOS = tuple(round(0.05 * i, 6) for i in range(19))
"""Of channels, up to 0.9; of single weights, 0.95 too."""


class Options(Value):
    """How the ratio is distributed over layers."""

    scope: Literal["layer", "global"] = "layer"
    """"layer" prunes the same ratio of every layer's channels, "global" ranks the channels of all layers together."""


class Levels:
    """The structures of a network by pruning ratio.

    Args:
        granularity: the unit of pruning.
        space: the network's pruning space.
        options: the search's options.
        scores: the criterion's scores; called only if they are needed.
        fractions: supported fractions of single weights; empty: any.
    """

    def __init__(
        self,
        granularity: Granularity,
        space: Space,
        options: Options,
        scores: Callable[[], Scores],
        fractions: tuple[float, ...] = (),
    ) -> None:
        self._granularity, self._space, self._scope, self._scores = granularity, space, options.scope, scores
        self._fractions = fractions

    def all(self) -> tuple[Proposal, ...]:
        """All distinct structures, the unpruned network first, in decreasing size."""
        if self._granularity == "channels":
            by_widths: dict[tuple[tuple[str, int], ...], Proposal] = {}
            for ratio in _RATIOS:
                proposal = self._channels(ratio) if ratio else WHOLE
                by_widths.setdefault(tuple(proposal.structure.widths.items()), proposal)
            return tuple(by_widths.values())
        if self._granularity == "blocks":
            return (WHOLE, *map(self._blocks, range(1, self._most_blocks() + 1)))
        ratios = self._fractions or (*_RATIOS[1:], 0.95)
        more = [ratio for ratio in ratios if round(ratio * self._space.weights) > self._space.zeros]
        return (WHOLE, *map(_weights, more))

    def of(self, ratio: float) -> Proposal:
        """The structure nearest to this ratio; a ratio of 0 is the unpruned network.

        Raises:
            UnsupportedModelError: the ratio would prune nothing, or more than is possible.
            EdgekdError: the criterion doesn't support that fraction of the weights.
        """
        if not ratio:
            return WHOLE
        if self._granularity == "weights":
            if self._fractions and ratio not in self._fractions:
                stated = " or ".join(f"{fraction:g}" for fraction in self._fractions)
                message = f"search.ratio: the criterion makes {stated} of the weights zero, not {ratio:g}"
                raise EdgekdError(message, f'Set search.ratio = {stated}, or prune.criterion = "magnitude".')
            return _weights(ratio)
        found = self._channels(ratio) if self._granularity == "channels" else self._blocks(self._count(ratio))
        if found.structure.is_whole:
            raise self._nothing(ratio)
        return found

    def _channels(self, ratio: float) -> Proposal:
        if self._scope == "layer":
            widths, of = widths_by_layer(self._space, ratio), "of every layer's channels"
        else:
            widths, of = widths_across_layers(self._space, self._scores().channels, ratio), "of all channels"
        return Proposal(structure=Structure(widths=widths), what=f"{_percent(ratio)} {of}" if widths else WHOLE.what)

    def _blocks(self, count: int) -> Proposal:
        scores = self._scores().blocks
        order = sorted(self._space.removable, key=lambda name: scores[name])
        what = f"{count} of {len(self._space.blocks)} blocks"
        return Proposal(structure=Structure(removed=tuple(order[:count])), what=what)

    def _most_blocks(self) -> int:
        # at least one block must remain
        return min(len(self._space.removable), len(self._space.blocks) - 1)

    def _count(self, ratio: float) -> int:
        """The number of blocks nearest to the ratio of all."""
        all_of_them, most = len(self._space.blocks), self._most_blocks()
        count = math.floor(ratio * all_of_them + 0.5)  # half up
        if most < 1:
            what = (
                f"none of the network's {all_of_them} blocks can be removed: all have different input and output shapes"
            )
            raise UnsupportedModelError(what, "Set prune.criterion to one that scores channels, such as l1.")
        if not 1 <= count <= most:
            message = f"a ratio of {ratio:g} would leave {all_of_them - count} of the network's {all_of_them} blocks"
            reach = f"{1 / all_of_them:.3g} to {most / all_of_them:.3g}" if most > 1 else f"{1 / all_of_them:.3g}"
            raise UnsupportedModelError(message, f"Here, search.ratio can be 0 or {reach}.")
        return count

    def _nothing(self, ratio: float) -> UnsupportedModelError:
        larger = next((r for r in _RATIOS[1:] if not self._channels(r).structure.is_whole), 0)
        if not larger:
            hint = f"Layers keep whole blocks of {self._space.channel_block} channels. Set search.ratio = 0."
            return UnsupportedModelError("no layer of the network can be narrowed", hint)
        what = f"a ratio of {ratio:g} prunes nothing"
        return UnsupportedModelError(what, f"The smallest ratio that prunes something is {larger:g}.")


def _weights(ratio: float) -> Proposal:
    return Proposal(structure=Structure(zeros=ratio), what=f"{_percent(ratio)} of the weights")


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.3g} %"
