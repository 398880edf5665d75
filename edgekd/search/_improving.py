"""Improving on the sum of losses: the losses of single choices don't add up exactly, so their weights are varied, the
programme is solved for each variation, and what it proposes is judged by the loss of the whole network (SPDY: Frantar
and Alistarh, ICML 2022, arXiv 2201.13096, section 3.3; edgekd varies weights that are calibrated, so around 1).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekd.search._base import Candidates
from edgekd.search._choices import Choices
from edgekd.values import Structure

_FIRST, _ROUNDS, _EACH = 12, 7, 4
"""Variations of all weights at first; then, round by round, so many of a few weights of the best."""
_WIDE, _SOME = 1.0, 0.15
"""The standard deviation of the weights' logarithms, and the share of the weights that are varied later."""


@dataclass(frozen=True)
class Judged:
    """A structure within the limit, with its loss as a whole."""

    structure: Structure
    loss: float


def improved(
    choices: Choices,
    losses: Mapping[str, Sequence[float]],
    limit: float,
    candidates: Candidates,
    *,
    others: Sequence[Structure] = (),
    seed: int = 0,
) -> tuple[Judged, ...]:
    """Structures that are predicted to take no more, the best first.

    Args:
        choices: of the network.
        losses: of each option.
        limit: predicted.
        candidates: tell the loss of a whole network.
        others: further ones that are predicted to take no more, to compare with.
        seed: of the variations.
    """
    drawn, found = random.Random(seed), dict[str, Judged]()
    for structure, loss in zip(others, candidates.losses(others), strict=True):
        found[_key(structure)] = Judged(structure, float("inf") if loss is None else loss)
    names = list(losses)

    def judge(weights: Sequence[Mapping[str, float]]) -> list[float]:
        """The loss that each variation leads to."""
        solved = [choices.best(_weighted(losses, each), limit) for each in weights]
        new = {_key(one): one for one in solved if one is not None and _key(one) not in found}
        for (key, structure), loss in zip(new.items(), candidates.losses(list(new.values())), strict=True):
            found[key] = Judged(structure, float("inf") if loss is None else loss)
        return [found[_key(one)].loss if one is not None else float("inf") for one in solved]

    weights: list[Mapping[str, float]] = [dict.fromkeys(names, 1.0)]
    weights += [_varied(weights[0], names, drawn) for _ in range(_FIRST - 1)]
    tried = judge(weights)
    best, least = weights[tried.index(min(tried))], min(tried)
    for _ in range(_ROUNDS):
        count = max(1, round(_SOME * len(names)))
        weights = [_varied(best, drawn.sample(names, count), drawn) for _ in range(_EACH)]
        tried = judge(weights)
        if min(tried) < least:
            best, least = weights[tried.index(min(tried))], min(tried)
    return tuple(sorted((one for one in found.values() if one.loss < float("inf")), key=lambda one: one.loss))


def _varied(weights: Mapping[str, float], names: Sequence[str], drawn: random.Random) -> dict[str, float]:
    return {**weights, **{name: drawn.lognormvariate(0.0, _WIDE) for name in names}}


def _weighted(losses: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(weights[name] * loss for loss in own) for name, own in losses.items()}


def _key(structure: Structure) -> str:
    return structure.model_dump_json()
