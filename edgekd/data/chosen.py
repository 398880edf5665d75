"""What the recipe's [data] leaves open, chosen by the images; and what was chosen, stated."""

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
"""Pixels of the longer side up to which images of one size are seen as they are."""
_PHOTO = 224
_STEP = 32
"""What networks halve five times has sides that are multiples of it."""
_MARGIN = 256 / 224
"""Of the short side to the crop's, as torchvision's and timm's models are evaluated."""
PHOTO_CROP = (0.25, 1.0)
"""The least area isn't the 0.08 of Szegedy et al. (arXiv 1409.4842), but edgekd's choice: trainings are short here."""


def chosen(stated: Data, sizes: Sequence[Size], colour: Colour) -> Preprocessing:
    """How images of these sizes are prepared where `stated` leaves it open; without mean and deviation.

    Images of one size, of up to 256 pixels, are seen as they are; others at 224, or less where they are smaller: the
    short side becomes 8/7 of that, and the centre is cut out.

    Raises:
        EdgekdError: what is stated contradicts itself.
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
    """Whether images of these sizes are brought to `size` as they are: undistorted, and no photographs whose border is
    cut off as usual, unless somebody has chosen their shape.
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
    """The augmentation that is stated, the rest as the default."""
    crop = stated.random_resized_crop
    if crop is None:
        # whoever wants a border and says nothing of a crop wants that instead
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
    """Mean and deviation of each channel as stated, in numbers or by a word; else as measured.

    Raises:
        EdgekdError: they don't go with the number of channels.
    """
    values = []
    for position, wanted in enumerate((stated.mean, stated.std)):
        if wanted is None or wanted == "data":
            values.append(tuple(measured[position]))
        else:
            numbers = NORMALISATIONS[wanted][position] if isinstance(wanted, str) else wanted
            values.append(of_channels(numbers, channels))
    return values[0], values[1]


def needs_measuring(stated: Data) -> bool:
    """Whether mean or deviation are to be measured on the training images."""
    return stated.mean in (None, "data") or stated.std in (None, "data")


def settled(stated: Data, data: Dataset) -> Data:
    """The section that gives this data set again, nothing left open but what a user's own code does in its own way."""
    how, vary = data.preprocessing, data.augmentation
    usual = len(how.mean) == len(how.std) in (1, data.train.shape[0]) and min(how.std) > 0
    size = None if max(how.height, how.width) > MOST_PIXELS else (how.height, how.width)
    return Data(
        source=stated.source,
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
