"""Improving on the sum of losses. What single choices of the unpruned network cost doesn't say what they cost where all
of it is narrow: there, losses multiply. So whole structures are judged by their loss.

The first ones are those of the least sum, and of sums in which every choice has a random weight (as in SPDY, Frantar
and Alistarh, ICML 2022, arXiv 2201.13096, section 3.3). From the best of them the search goes on: a few choices, drawn
at random, are made anew, again by weighted sums and within the limit, while all others stay; what has less loss as a
whole is gone on from. This is a large neighbourhood search (Shaw, CP 1998).
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgekd.search._base import Candidates
from edgekd.search._choices import Choices, Losses
from edgekd.values import Structure

_FIRST = 8
"""Sums of losses at the beginning."""
_SPREAD = 1.0
"""The standard deviation of the weights' logarithms."""
_ANEW = (0.15, 0.25, 0.4, 0.7)
"""Shares of the choices that are made anew at once, drawn for each proposal: where no small one brings anything more, a
large one may. On MobileNetV1 the losses after 96 structures were 0.295 to 0.357 with shares of 0.2 alone, and 0.295
and 0.301 with these.
"""
_AT_ONCE = 2
"""Proposals that are judged together, by two processes: always so many, so that more cores find the same. Of four from
the same structure, the losses were higher after as many.
"""
_KNOWN = 200
"""Proposals in a row that are all known already, after which there is hardly another one."""


@dataclass(frozen=True)
class Judged:
    """A structure with its loss as a whole."""

    structure: Structure
    loss: float


def improved(
    choices: Choices,
    losses: Losses,
    limit: float,
    candidates: Candidates,
    *,
    others: Sequence[Structure] = (),
    most: int,
    seed: int = 0,
) -> tuple[Judged, ...]:
    """Structures that are predicted to take no more than a limit, those of the least loss as a whole first.

    Args:
        choices: of the network.
        losses: of each option, in the unpruned network.
        limit: predicted.
        candidates: tell the loss of a whole network.
        others: further ones that are predicted to take no more.
        most: so many are judged at most.
        seed: of what is drawn.
    """
    drawn, known = random.Random(seed), _Known(candidates, most)
    first = [dict.fromkeys(losses, 1.0), *(_weights(losses, drawn) for _ in range(_FIRST - 1))]
    known.judge([choices.best(_weighted(losses, weights), limit) for weights in first])
    known.judge(others)
    seen = 0
    while known.best and len(known.judged) < most and seen < _KNOWN:
        weighted = [_weighted(losses, _weights(losses, drawn)) for _ in range(_AT_ONCE)]
        around = [_around(own, choices, known.best.structure, drawn) for own in weighted]
        seen = 0 if known.judge([choices.best(own, limit) for own in around]) else seen + _AT_ONCE
    return tuple(sorted((one for one in known.judged.values() if one.loss < math.inf), key=lambda one: one.loss))


def narrower(choices: Choices, losses: Losses, structure: Structure) -> Losses:
    """The losses of what is narrower than a structure, or the same; of other options infinite."""
    now = choices.options(structure)

    def further(name: str, option: int) -> bool:
        return option <= now[name] if name in choices.widths else option >= now[name]

    return {
        name: tuple(loss if further(name, i) else math.inf for i, loss in enumerate(own))
        for name, own in losses.items()
    }


@dataclass
class _Known:
    """The structures that were judged, each once."""

    candidates: Candidates
    most: int
    judged: dict[str, Judged] = field(default_factory=dict)
    best: Judged | None = None

    def judge(self, structures: Sequence[Structure | None]) -> bool:
        """Judge those that are new, if there may be more, and say whether any is; a loss is infinite where the network
        can't be pruned so.
        """
        every = {one.model_dump_json(): one for one in structures if one is not None}
        tried = len(self.judged)
        new = dict([(key, one) for key, one in every.items() if key not in self.judged][: self.most - tried])
        found = self.candidates.losses(list(new.values()), tried=tried, most=self.most) if new else ()
        for (key, structure), loss in zip(new.items(), found, strict=True):
            self.judged[key] = one = Judged(structure, math.inf if loss is None else loss)
            if one.loss < (self.best.loss if self.best else math.inf):
                self.best = one
        return bool(new)


def _around(losses: Losses, choices: Choices, structure: Structure, drawn: random.Random) -> Losses:
    """The losses of all options of a few choices; of others only what the structure has is left, at no loss."""
    now, names = choices.options(structure), list(losses)
    share = drawn.choice(_ANEW)
    anew = set(drawn.sample(names, min(len(names), max(3, round(share * len(names))))))
    fixed = {
        name: tuple(0.0 if i == now[name] else math.inf for i in range(len(losses[name])))
        for name in names
        if name not in anew
    }
    return {**losses, **fixed}


def _weights(losses: Losses, drawn: random.Random) -> dict[str, float]:
    return {name: drawn.lognormvariate(0.0, _SPREAD) for name in losses}


def _weighted(losses: Losses, weights: dict[str, float]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(weights[name] * loss for loss in own) for name, own in losses.items()}
