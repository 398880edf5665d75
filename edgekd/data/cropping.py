"""What image files become where nothing is varied: resized, and the centre cut out. Imports no torch."""

from dataclasses import dataclass

import numpy as np

from edgekd.data.pictures import Decoding, Picture
from edgekd.values import Preprocessing


def evaluation(how: Preprocessing) -> Decoding:
    """What files become before their centre is cut out."""
    colour = how.colour or "rgb"
    if how.resize is None:
        return Decoding(colour, size=(how.height, how.width), interpolation=how.interpolation)
    return Decoding(colour, short_side=how.resize, interpolation=how.interpolation)


@dataclass(frozen=True)
class CentreCrop:
    """The centre of an image; where that has no middle, to the even side, as torchvision's. A `decoding.Finish`."""

    height: int
    width: int

    def __call__(self, index: int, pixels: Picture) -> Picture:
        """The centre (C, height, width) of an image that is no smaller."""
        _, height, width = pixels.shape
        top, left = round((height - self.height) / 2), round((width - self.width) / 2)
        return np.ascontiguousarray(pixels[:, top : top + self.height, left : left + self.width])
