"""Applies a recipe's [data] to a data set with its own preprocessing."""

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from edgekd.data.chosen import chosen, normalisation, varying
from edgekd.data.cropping import CentreCrop, evaluation
from edgekd.data.dataset import Dataset, fingerprinted
from edgekd.data.folder_images import FolderImages
from edgekd.data.memory_images import MemoryImages
from edgekd.data.pictures import Decoding, picture, resized
from edgekd.data.renormalised import normalised
from edgekd.data.views import Pixels, channel_statistics
from edgekd.errors import EdgekdError
from edgekd.values import Data, Preprocessing

_SPLITS = ("train", "val", "test")
_SHAPING = ("size", "resize", "crop", "interpolation", "colour")


def adapted(data: Dataset, stated: Data) -> Dataset:
    """The data set with what is stated: resized, cropped and recoloured once, in memory; normalised and augmented.

    Raises:
        EdgekdError: its images can't be changed so.
    """
    shaped = _shaped(data, stated)
    measured = (shaped.mean, shaped.std)
    if "data" in (stated.mean, stated.std):
        measured = _measured(shaped)
    if (stated.mean, stated.std) != (None, None):
        shaped = normalised(shaped, *normalisation(stated, shaped.train.shape[0], measured))
    return fingerprinted(replace(shaped, augmentation=varying(stated, data.augmentation)))


def _shaped(data: Dataset, stated: Data) -> Dataset:
    asked = [name for name in _SHAPING if getattr(stated, name) is not None]
    now = data.preprocessing
    how = _wanted(data, stated)
    if not asked or how == now:
        return data
    images = [getattr(data, split) for split in _SPLITS]
    if all(isinstance(one, FolderImages) for one in images):
        made = [replace(one, preprocessing=how) for one in images]
    elif now.colour is not None and all(isinstance(one, MemoryImages) for one in images):
        made = [replace(one, pixels=_reshaped(one.pixels, how)) for one in images]
    else:
        what = f"{data.name}: its images are produced by its own code, so [data] {asked[0]} can't change them"
        raise EdgekdError(what, "Omit the setting, and change the code instead.")
    train, val, test = made
    shaped = replace(data, train=train, val=val, test=test, preprocessing=how)
    if how.colour == now.colour:
        return shaped
    plain = normalised(shaped, (0.0,), (1.0,))
    mean, std = _measured(plain)
    return normalised(plain, mean, std)


def _wanted(data: Dataset, stated: Data) -> Preprocessing:
    """As the data set is prepared now, but for what is stated."""
    now = data.preprocessing
    _, height, width = data.train.shape
    kept: dict[str, Any] = {"interpolation": stated.interpolation or now.interpolation}
    if stated.size is None and stated.resize is None:
        kept["size"] = (height, width)
    if now.crop == "center":
        kept["crop"] = stated.crop or now.crop
        kept["resize"] = now.resize if "size" in kept and kept["crop"] == "center" else stated.resize
    how = chosen(stated.model_copy(update=kept), [(height, width)], now.colour or "rgb")
    same = {"mean": now.mean, "std": now.std, "colour": stated.colour or now.colour}
    return how.model_copy(update=same)


def _reshaped(pixels: Pixels, how: Preprocessing) -> Pixels:
    """(N, C, H, W) as they are prepared."""
    decoding, crop = evaluation(how), CentreCrop(how.height, how.width)
    return np.stack([crop(0, picture(_prepared(image, decoding))) for image in pixels])


def _prepared(pixels: Pixels, decoding: Decoding) -> Image.Image:
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return resized(image.convert("L" if decoding.colour == "grey" else "RGB"), decoding)


def _measured(data: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel of the training images."""
    if isinstance(data.train, MemoryImages):
        return channel_statistics(data.train.pixels)
    mean, std = (np.array(values) for values in (data.mean, data.std))
    count, total, squares = 0, np.zeros(len(mean)), np.zeros(len(mean))
    for images, _ in data.train.batches(64):
        values = images.numpy().astype(np.float64) * std[:, None, None] + mean[:, None, None]
        count += values.size // len(mean)
        total += values.sum((0, 2, 3))
        squares += np.square(values).sum((0, 2, 3))
    found = total / count
    deviation = np.sqrt(np.maximum(squares / count - found**2, 0))
    return tuple(found.tolist()), tuple(d or 1.0 for d in deviation.tolist())
