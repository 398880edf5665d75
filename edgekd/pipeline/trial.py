"""Trial: given weights are tried with the usual normalisations, so that none is fed otherwise than it was trained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgekd.data.dataset import Dataset
from edgekd.data.fixed_images import labelled
from edgekd.data.normalisation import NORMALISATIONS, of_channels
from edgekd.deploy.feeding import Array, brightness
from edgekd.errors import EdgekdError
from edgekd.training.evaluate import outputs
from edgekd.values.result import NormalisationTrial, TriedNormalisation

_IMAGES = 500
_FIRST = 100
"""Images that a normalisation has to win on before it is tried on all."""
_AT_ONCE = 64
"""Images that are normalised at once: photos would take the memory of all of them a few times."""
_CHANCE = 0.001
"""How seldom one that is no better would be called clearly better. Some seven are tried, so less than one run in a
hundred is stopped without need.
"""

_SAME = 0.02
"""Means and deviations, as fractions of white, that differ by less are one."""

_LEAST_DEVIATION = 1e-4
"""Of a channel that isn't the same in all pixels, by far."""

_TITLES = {"imagenet": "ImageNet's mean and deviation", "0.5": "0.5 and 0.5", "0-1": "0 and 1"}

Right = NDArray[np.bool_]  # (N,)
Shown = tuple[Array, NDArray[np.int64]]
"""Images (N, C, H, W), from 0 to 255 unless said otherwise, and their labels (N,)."""


@dataclass(frozen=True)
class Way:
    """A usual way to feed a network."""

    name: str
    option: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    swapped: bool = False
    """Whether the network sees BGR."""


def chance(gained: int, lost: int) -> float:
    """How often at least `gained` of the images that two ways classify differently would go to the first, if each went
    to either with equal chance: McNemar's test, exact and one-sided (Psychometrika 12, 1947, doi 10.1007/BF02295996).
    """
    both = gained + lost
    return float(sum(comb(both, k) for k in range(gained, both + 1)) / 2**both)


def require_normalisation(found: NormalisationTrial, model: str, data: str) -> None:
    """Raises EdgekdError where another way than the default is clearly better."""
    default, *others = found.tried
    clear = sorted((t for t in others if chance(t.gained, t.lost) < _CHANCE), key=lambda t: -t.correct)
    if not clear:
        return
    better = ", ".join(f"{way.top1:.1%} with {way.name}" for way in clear)
    what = (
        f"{model} seems to have been trained on images with another normalisation: of {default.images} "
        f"images of {data} its weights classify {default.top1:.1%} correctly with {default.name}, which is "
        f"the default, and {better}"
    )
    hint = f"{clear[0].option[0].upper()}{clear[0].option[1:]} To keep the default: {default.option}"
    raise EdgekdError(what, hint)


def try_normalisations(data: Dataset, model: nn.Module) -> NormalisationTrial:
    """How many of some hundred images `model`, with its weights, classifies as the data set normalises them, and as
    networks are usually fed: validation images, and training images where those are few. The others are left out where
    the default leaves too little to be gained.
    """
    shown = _some(data)
    default, *others = _ways(data)
    right = {default: _right(model, shown, default)}
    if not _perfected(right[default]):
        for way in others:
            _try(way, model, shown, right)
        if shown[0].shape[1] == 3:
            _try_swapped((default, *others), model, shown, right)
    return NormalisationTrial(tried=tuple(_tried(way, found, right[default]) for way, found in right.items()))


def _some(data: Dataset) -> Shown:
    images, labels = labelled(data.val, _IMAGES)
    if len(images) < _IMAGES:
        # a few wouldn't tell anything apart; those that weights were trained on tell the more
        more, theirs = labelled(data.train, _IMAGES - len(images))
        images, labels = np.concatenate([images, more]), np.concatenate([labels, theirs])
    return brightness(images, data.preprocessing), labels


def _perfected(right: Right) -> bool:
    """Whether even one that is right on all images wouldn't be clearly better."""
    return chance(int((~right).sum()), 0) >= _CHANCE


def _try_swapped(ways: Sequence[Way], model: nn.Module, shown: Shown, right: dict[Way, Right]) -> None:
    """Add what is classified as BGR: all ways, where the default or the best one is better so; none, where the best one
    leaves too little to be gained.
    """
    best = max(right, key=lambda way: int(right[way].sum()))
    if _perfected(right[best]):
        return
    swapped = {way: _swapped(way, model) for way in dict.fromkeys((ways[0], best, *ways))}
    for position, way in enumerate(swapped.values()):
        if position < 2 or any(known.swapped for known in right):
            _try(way, model, shown, right)


def _try(way: Way, model: nn.Module, shown: Shown, right: dict[Way, Right]) -> None:
    """Add to `right`, whose first is the default, what this way classifies, unless it is no better at the beginning."""
    values, labels = shown
    beginning = _right(model, (values[:_FIRST], labels[:_FIRST]), way)
    if beginning.sum() > next(iter(right.values()))[:_FIRST].sum():
        rest = [_right(model, (values[_FIRST:], labels[_FIRST:]), way)] if len(values) > _FIRST else []
        right[way] = np.concatenate([beginning, *rest])


def _right(model: nn.Module, shown: Shown, way: Way) -> Right:
    """Which images, given from 0 to 255, are classified correctly if fed in this way."""
    values, labels = shown
    parts = [slice(start, start + _AT_ONCE) for start in range(0, len(values), _AT_ONCE)]
    found = np.concatenate([outputs(model, _fed(values[part], way)).argmax(1) for part in parts])
    return np.asarray(found == labels)


def _fed(values: Array, way: Way) -> Array:
    """What the network is fed for images from 0 to 255."""
    fed = (values / np.float32(255) - _by_channel(way.mean)) / _by_channel(way.std)
    return np.ascontiguousarray(fed[:, ::-1]) if way.swapped else fed


def _by_channel(numbers: Sequence[float]) -> Array:
    return np.array(numbers, np.float32)[:, None, None]


def _tried(way: Way, right: Right, default: Right) -> TriedNormalisation:
    return TriedNormalisation(
        name=way.name,
        option=way.option,
        correct=int(right.sum()),
        images=len(right),
        gained=int((right & ~default).sum()),
        lost=int((default & ~right).sum()),
    )


def _ways(data: Dataset) -> list[Way]:
    """The default, then the others."""
    how = data.preprocessing
    usual = _usual(data)
    near = [way for way in usual if np.allclose([way.mean, way.std], [how.mean, how.std], atol=_SAME)]
    own = Way("the data set's own mean and deviation", "state mean and std in the recipe's [data].", (), ())
    return [replace((near or [own])[0], mean=how.mean, std=how.std), *(way for way in usual if way not in near)]


def _usual(data: Dataset) -> list[Way]:
    how = data.preprocessing
    channels = len(how.mean)
    mean, deviation = _moments(brightness(labelled(data.train, _IMAGES)[0], how))
    # images of one brightness have nothing to scale
    own = mean, tuple(std if std > _LEAST_DEVIATION else 1.0 for std in deviation)
    ways = [Way("the training images' mean and deviation", "give --normalize data.", *own)]
    for word, (mean, std) in NORMALISATIONS.items():
        if channels in (1, 3) or len(mean) == 1:
            numbers = of_channels(mean, channels), of_channels(std, channels)
            ways.append(Way(_TITLES[word], f"give --normalize {word}.", *numbers))
    bytes_as_they_are = f"state mean = [0.0] and std = [{1 / 255}] in the recipe's [data]."
    return [*ways, Way("nothing: 0 to 255", bytes_as_they_are, (0.0,) * channels, (1 / 255,) * channels)]


def _moments(values: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel, of images from 0 to 255, as fractions of white."""
    # an image at a time: in float64 photos take gigabytes
    ones = [(image.mean((1, 2), np.float64), np.square(image, dtype=np.float64).mean((1, 2))) for image in values]
    mean, square = (np.mean(numbers, 0) for numbers in zip(*ones, strict=True))
    deviation = np.sqrt(np.maximum(0, square - mean**2))
    return tuple((mean / 255).tolist()), tuple((deviation / 255).tolist())


def _swapped(way: Way, model: nn.Module) -> Way:
    first = next((f"{name}.weight" for name, m in model.named_modules() if isinstance(m, nn.Conv2d)), "first.weight")
    turn = f"turn the first convolution's input channels, state[{first!r}] = state[{first!r}].flip(1), and {way.option}"
    return replace(way, name=f"{way.name}, as BGR", option=turn, swapped=True)
