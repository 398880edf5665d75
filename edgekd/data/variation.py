"""Random changes of single images during training: crop, rotation and colour jitter.

As in a view, all random numbers are drawn for all images at once, as a function of the view's seed and epoch. PIL
computes with integers, so views are identical on every machine.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from edgekd.data.dataset import Augmentation, View
from edgekd.data.pictures import FILTERS, Picture, picture
from edgekd.data.views import generator
from edgekd.values.data import Interpolation

_ASPECT = 4 / 3
"""A crop's largest aspect, or its inverse (Szegedy et al., "Going Deeper with Convolutions", arXiv 1409.4842)."""


@dataclass(frozen=True, eq=False)
class Variation:
    """The changes to each of N images; a `decoding.Finish`."""

    size: tuple[int, int]
    """Height and width of an image after a crop; without a crop its size doesn't change."""
    interpolation: Interpolation
    augmentation: Augmentation
    draws: NDArray[np.float64]
    """(N, 9) from 0 to 1: area, aspect, place down and across, angle, brightness, contrast, saturation, hue."""

    def __call__(self, index: int, pixels: Picture) -> Picture:
        """The changed image (C, H, W) of that index."""
        area, aspect, down, across, angle, *colours = self.draws[index].tolist()
        how = self.augmentation
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
        if how.crop is not None:
            least, most = how.crop
            box = crop_box(image.size, least + area * (most - least), _ASPECT ** (2 * aspect - 1), (across, down))
            height, width = self.size
            image = image.resize((width, height), FILTERS[self.interpolation], box=box)
        if how.rotate:
            image = image.rotate((2 * angle - 1) * how.rotate, Image.Resampling.BILINEAR)
        return picture(_jittered(image, how, colours))


def varied(
    view: View, images: int, size: tuple[int, int], interpolation: Interpolation = "bilinear"
) -> Variation | None:
    """How the view changes each of a split's images; None if it changes none."""
    how = view.augmentation
    if how.crop is None and not how.rotate and not any(how.stated()["jitter"].values()):
        return None
    draws = torch.rand(images, 9, generator=generator(view.seed, f"variation {view.epoch}"), dtype=torch.float64)
    return Variation(size, interpolation, how, draws.numpy())


def crop_box(
    size: tuple[int, int], area: float, aspect: float, place: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a crop of an image of (width, height).

    Args:
        size: the image's size.
        area: the crop's fraction of the image's area; the crop is smaller if the image is too narrow for the aspect.
        aspect: width divided by height.
        place: horizontal and vertical position, from 0 to 1.
    """
    width, height = size
    wanted = area * width * height
    wide = min(width, max(1, round(math.sqrt(wanted * aspect))))
    high = min(height, max(1, round(math.sqrt(wanted / aspect))))
    left, top = int(place[0] * (width - wide + 1)), int(place[1] * (height - high + 1))
    return left, top, left + wide, top + high


def _jittered(image: Image.Image, how: Augmentation, drawn: list[float]) -> Image.Image:
    """The image with each property changed by a factor within 1 ± its setting, and hue rotated within ± its setting."""
    most = how.jitter
    if not any((most.brightness, most.contrast, most.saturation, most.hue)):
        return image
    # importing it takes as long as decoding a hundred photos
    from torchvision.transforms.v2 import functional

    factors = (
        (functional.adjust_brightness, most.brightness),
        (functional.adjust_contrast, most.contrast),
        (functional.adjust_saturation, most.saturation),
    )
    for (change, by), share in zip(factors, drawn[:3], strict=True):
        least = max(0.0, 1 - by)
        image = change(image, least + share * (1 + by - least)) if by else image
    return functional.adjust_hue(image, (2 * drawn[3] - 1) * most.hue) if most.hue else image
