"""Chooses what the recipe's [data] leaves open from the images, and states what was chosen."""

import os
import statistics
from collections.abc import Sequence

from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.normalisation import NORMALISATIONS, of_channels
from edgekd.errors import EdgekdError
from edgekd.values import Data, Jitter, Preprocessing
from edgekd.values.data import MOST_PIXELS, Colour

Size = tuple[int, int]
"""Height and width."""
_SMALL = 256
"""Images of one size are not resized if their longer side has at most so many pixels."""
_PHOTO = 224
_STEP = 32
"""Side lengths are multiples of it, because networks halve the size five times."""
_MARGIN = 256 / 224
"""Ratio of the short side to the crop's, as in the evaluation of torchvision's and timm's models."""
PHOTO_CROP = (0.25, 1.0)
"""The smallest area isn't 0.08 as in Szegedy et al. (arXiv 1409.4842): edgekd's choice, because trainings are short."""


def chosen(stated: Data, sizes: Sequence[Size], colour: Colour) -> Preprocessing:
    """How images of these sizes are prepared: as stated, or chosen where nothing is; without mean and deviation.

    Images of one size of up to 256 pixels are not resized. Others become 224 pixels large, or less if they are smaller:
    the short side is resized to 8/7 of that, and the centre is cropped.

    Raises:
        EdgekdError: the settings contradict each other.
    """
    height, width = _size(stated, sizes)
    crop = stated.crop
    if crop is None:
        crop = "none" if stated.resize is None and _seen_whole((height, width), sizes) else "center"
    if crop == "none" and stated.resize is not None:
        raise EdgekdError('[data] resize requires crop = "center"', "Omit one of them.")
    resize = (stated.resize or round(_MARGIN * max(height, width))) if crop == "center" else None
    if resize is not None and resize < max(height, width):
        what = f"[data] the short side is resized to {resize}, which is too small for a crop of {height}x{width}"
        raise EdgekdError(what, f"Set resize to at least {max(height, width)}, or a smaller size.")
    return Preprocessing(
        height=height,
        width=width,
        resize=resize,
        crop=crop,
        interpolation=stated.interpolation or "bilinear",
        colour=stated.colour or colour,
        mean=(),
        std=(),
    )


def _seen_whole(size: Size, sizes: Sequence[Size]) -> bool:
    """Whether whole images of these sizes are resized to `size`: they are not distorted, and they are no photographs,
    whose borders are cropped unless their shape was chosen.
    """
    (height, width), there = size, set(sizes)
    undistorted = all(h * width == w * height for h, w in there)
    return undistorted and (there == {size} or max(map(max, there)) <= _SMALL or height != width)


def _size(stated: Data, sizes: Sequence[Size]) -> Size:
    if stated.size is not None:
        return (stated.size, stated.size) if isinstance(stated.size, int) else stated.size
    if len(set(sizes)) == 1 and max(sizes[0]) <= _SMALL:
        return sizes[0]
    typical = int(statistics.median(min(size) for size in sizes))
    side = _PHOTO if typical >= _PHOTO else max(typical // _STEP * _STEP, min(typical, _STEP))
    return side, side


def varying(stated: Data, default: Augmentation) -> Augmentation:
    """The stated augmentation, completed by the default."""
    crop = stated.random_resized_crop
    if crop is None:
        # padding alone replaces the default crop
        crop = False if stated.pad else default.crop or False
    pad = stated.pad if stated.pad is not None else (0 if crop else default.pad)
    return Augmentation(
        pad=pad,
        flip=default.flip if stated.flip is None else stated.flip,
        crop=crop or None,
        rotate=default.rotate if stated.rotate is None else stated.rotate,
        jitter=default.jitter if stated.jitter is None else stated.jitter,
        mixup=default.mixup if stated.mixup is None else stated.mixup,
    )


def normalisation(
    stated: Data, channels: int, measured: tuple[Sequence[float], Sequence[float]]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel as stated, in numbers or by a word; otherwise as measured.

    Raises:
        EdgekdError: they don't match the number of channels.
    """
    values = []
    for position, wanted in enumerate((stated.mean, stated.std)):
        if wanted is None or wanted == "data":
            values.append(tuple(measured[position]))
        else:
            numbers = NORMALISATIONS[wanted][position] if isinstance(wanted, str) else wanted
            values.append(of_channels(numbers, channels))
    return values[0], values[1]


def _in_any_folder(source: str) -> str:
    """A source that is the same wherever a command is typed: a run's recipe is used in its own folder."""
    kind, _, path = source.partition(":")
    return f"{kind}:{os.path.abspath(os.path.expanduser(path))}" if kind == "folder" else source  # noqa: PTH100, PTH111


def needs_measuring(stated: Data) -> bool:
    """Whether mean or deviation must be measured on the training images."""
    return stated.mean in (None, "data") or stated.std in (None, "data")


def settled(stated: Data, data: Dataset) -> Data:
    """The section that reproduces this data set. Only what a user's own code does is left open."""
    how, vary = data.preprocessing, data.augmentation
    usual = len(how.mean) == len(how.std) in (1, data.train.shape[0]) and min(how.std) > 0
    size = None if max(how.height, how.width) > MOST_PIXELS else (how.height, how.width)
    return Data(
        source=_in_any_folder(stated.source),
        size=how.height if how.height == how.width and size else size,
        resize=how.resize,
        crop=how.crop,
        interpolation=how.interpolation,
        colour=how.colour,
        mean=how.mean if usual else None,
        std=how.std if usual else None,
        flip=vary.flip,
        pad=vary.pad,
        random_resized_crop=vary.crop or False,
        rotate=vary.rotate,
        jitter=Jitter(**vary.stated()["jitter"]),
        mixup=vary.mixup,
        allow_duplicates=bool(stated.allow_duplicates),
    )
