"""Improving on the sum of losses. What single choices of the unpruned network cost doesn't say what they cost where all
of it is narrow: there, losses multiply. So the search goes on from the best whole structure that is known, step by
step: every choice is tried a little narrower and a little wider while all others stay, the programme is solved for
these losses within what was tried, and what it proposes is judged by the loss of the whole network.

At the beginning and in each step the weights of the losses are varied as well, as in SPDY (Frantar and Alistarh, ICML
2022, arXiv 2201.13096, section 3.3).
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgekd.search._base import Candidates
from edgekd.search._choices import GOES, IMPOSSIBLE, STAYS, Choices, Losses
from edgekd.values import Structure

_STEPS = 4
"""At most so many."""
_NARROWER, _WIDER = 0.7, 1.45
"""How far each width is changed in a step."""
_VARIED = 7
"""Variations of the weights at the beginning and in each step."""
_WIDE, _SPREAD = 1.0, 0.5
"""The standard deviations of the weights' logarithms, at the beginning and in each step."""


@dataclass(frozen=True)
class Judged:
    """A structure within the limit, with its loss as a whole."""

    structure: Structure
    loss: float


@dataclass(frozen=True)
class Improved:
    """What the search came to."""

    judged: tuple[Judged, ...]
    """Structures that are predicted to take no more than the limit, the best first."""
    near: Losses
    """What each option costs near the best of them."""


def improved(
    choices: Choices,
    losses: Losses,
    limit: float,
    candidates: Candidates,
    *,
    others: Sequence[Structure] = (),
    seed: int = 0,
) -> Improved:
    """Structures of little loss as a whole that are predicted to take no more than a limit.

    Args:
        choices: of the network.
        losses: of each option, in the unpruned network.
        limit: predicted.
        candidates: tell the loss of a whole network.
        others: further ones that are predicted to take no more, to begin at.
        seed: of the variations.
    """
    known, drawn = _Known(candidates), random.Random(seed)

    def varied(losses: Losses, spread: float) -> list[Structure]:
        """What the programme proposes for these losses, and for variations of them."""
        weights = [dict.fromkeys(losses, 1.0), *(_drawn(losses, drawn, spread) for _ in range(_VARIED))]
        return [found for each in weights if (found := choices.best(_weighted(losses, each), limit))]

    best, near = known.best_of([*varied(losses, _WIDE), *others]), losses
    for _ in range(_STEPS):
        if best is None:
            break
        near = _losses_around(choices, best.structure, known)
        found = known.best_of(varied(near, _SPREAD))
        if found is None or found.loss >= best.loss:
            break
        best = found
    within = (Judged(one, loss) for one, loss in known.offered())
    return Improved(tuple(sorted(within, key=lambda one: one.loss)), near)


@dataclass(frozen=True)
class _Known:
    """The losses of whole structures, each found once."""

    candidates: Candidates
    losses: dict[str, float] = field(default_factory=dict)
    within: dict[str, Structure] = field(default_factory=dict)
    """Those that are predicted to be fast enough."""

    def of(self, structures: Sequence[Structure], near: Structure | None = None) -> list[float]:
        """The loss of each; infinite where it can't be pruned so. Most are like `near`, if there is one."""
        new = {_key(one): one for one in structures if _key(one) not in self.losses}
        for key, loss in zip(new, self.candidates.losses(list(new.values()), near), strict=True):
            self.losses[key] = float("inf") if loss is None else loss
        return [self.losses[_key(one)] for one in structures]

    def best_of(self, structures: Sequence[Structure]) -> Judged | None:
        """The one of the least loss, of some that are predicted to be fast enough; None if none can be pruned so."""
        self.within.update({_key(one): one for one in structures})
        found = [Judged(one, loss) for one, loss in zip(structures, self.of(structures), strict=True)]
        best = min(found, key=lambda one: one.loss, default=None)
        return best if best and best.loss < float("inf") else None

    def offered(self) -> list[tuple[Structure, float]]:
        """All that are fast enough and can be pruned so."""
        found = [(structure, self.losses[key]) for key, structure in self.within.items()]
        return [(structure, loss) for structure, loss in found if loss < float("inf")]


def _losses_around(choices: Choices, start: Structure, known: _Known) -> dict[str, tuple[float, ...]]:
    """What each option costs if only its choice changes; what is further away than was tried is out of reach."""
    now = choices.options(start)
    near = {name: _near(choices, name, option) for name, option in now.items()}
    changed = [(name, option) for name, options in near.items() for option in options if option != now[name]]
    tried = [choices.structure(now), *(choices.structure({**now, name: option}) for name, option in changed)]
    base, *found = known.of(tried, tried[0])
    if base == float("inf"):  # widths between those of the choices can be pruned, these can't
        return {name: tuple(0.0 for _ in range(choices.count(name))) for name in now}
    rises = {what: min(loss - base, IMPOSSIBLE) for what, loss in zip(changed, found, strict=True)}
    return {name: _curve(choices, name, now[name], near[name], rises) for name in now}


def _near(choices: Choices, name: str, option: int) -> tuple[int, ...]:
    """The options of a choice that are tried: the next one a good deal narrower, this one, one a good deal wider."""
    if name not in choices.widths:
        return (STAYS, GOES)
    widths = choices.widths[name]
    narrower = [i for i in range(option) if widths[i] <= _NARROWER * widths[option]] or [*range(option)][:1]
    wider = [i for i in range(option + 1, len(widths)) if widths[i] >= _WIDER * widths[option]]
    wider = wider or [*range(option + 1, len(widths))][-1:]
    return (*narrower[-1:], option, *wider[:1])


def _curve(
    choices: Choices, name: str, now: int, near: Sequence[int], rises: Mapping[tuple[str, int], float]
) -> tuple[float, ...]:
    """The rise of the loss with each option. A narrower group is never taken to cost less, since that is noise."""
    if name not in choices.widths:
        rise = rises[name, STAYS if now == GOES else GOES]
        return (min(0.0, rise), 0.0) if now == GOES else (0.0, max(0.0, rise))
    widths = choices.widths[name]
    at = [widths[i] for i in near]
    own = [0.0 if i == now else (max if i < now else min)(0.0, rises[name, i]) for i in near]
    between = np.interp(widths, at, own)
    return tuple(
        float(one) if at[0] <= width <= at[-1] else IMPOSSIBLE for width, one in zip(widths, between, strict=True)
    )


def _drawn(names: Iterable[str], drawn: random.Random, spread: float) -> dict[str, float]:
    return {name: drawn.lognormvariate(0.0, spread) for name in names}


def _weighted(losses: Losses, weights: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(weights[name] * loss for loss in own) for name, own in losses.items()}


def _key(structure: Structure) -> str:
    return structure.model_dump_json()
