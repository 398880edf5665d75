"""Which images there are, and how they become what the network sees."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from edgekd.values.value import NonNegative, NonNegativeInt, Positive, PositiveInt, Value

Colour = Literal["grey", "rgb"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
"""PIL's filters; all but `nearest` average what they reduce."""
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Word = Literal["imagenet", "0.5", "0-1", "data"]
"""Mean and deviation of ImageNet's images, 0.5 and 0.5, 0 and 1 (what is between black and white stays from 0 to 1),
or as measured on the training images.
"""
MOST_PIXELS = 4096
"""Of a side that a network sees: more is a slip, and wouldn't fit into memory."""
Side = Annotated[int, Field(ge=1, le=MOST_PIXELS, strict=True)]


def _else(says: str) -> WrapValidator:
    """What a value of several kinds should be, said in one sentence instead of one for each kind."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as e:
            raise ValueError(f"should be {says}") from e

    return WrapValidator(validate)


_LISTED = BeforeValidator(lambda value: (value,) if isinstance(value, float) else value)
"""One number stands for all channels."""
_WORDS = "imagenet, 0.5, 0-1 or data"


def _rising(area: tuple[float, float]) -> tuple[float, float]:
    if area[0] > area[1]:
        raise ValueError("the least area shouldn't be above the most")
    return area


Area = Annotated[float, Field(gt=0, le=1, strict=True)]


class Jitter(Value):
    """How far colours vary at random: `brightness = 0.2` multiplies by 0.8 to 1.2; `hue` is of the whole circle."""

    brightness: NonNegative = 0.0
    """Most that brightness varies, as a fraction."""
    contrast: NonNegative = 0.0
    """Most that contrast varies, as a fraction."""
    saturation: NonNegative = 0.0
    """Most that saturation varies, as a fraction."""
    hue: Annotated[float, Field(ge=0, le=0.5, strict=True)] = 0.0
    """Most that hue varies, as a fraction of the circle."""


class Data(Value):
    """A data set, what the network sees of its images, and how training varies them; None means chosen by the data."""

    source: str
    """`digits`, `folder:PATH` …: see `data.load.load_dataset`."""
    size: Annotated[
        Side | tuple[Side, Side] | None,
        _else(f"a number of pixels up to {MOST_PIXELS}, or two: height and width"),
    ] = None
    """Pixels that the network sees: of a square's side, or height and width."""
    resize: Annotated[int, Field(ge=1, le=2 * MOST_PIXELS, strict=True)] | None = None
    """Pixels of the short side before the centre is cut out."""
    crop: Literal["center", "none"] | None = None
    """`center`: the short side becomes `resize`, and the centre is cut out. `none`: the image becomes `size`, whatever
    its aspect.
    """
    interpolation: Interpolation | None = None
    """Pillow's filter for resizing."""
    colour: Colour | None = None
    """Whether images are read as grey or as colour."""
    mean: Annotated[tuple[Finite, ...] | Word | None, _else(f"numbers, or {_WORDS}"), _LISTED] = None
    """Of each channel, as a fraction of white."""
    std: Annotated[tuple[Positive, ...] | Word | None, _else(f"numbers above 0, or {_WORDS}"), _LISTED] = None
    """The deviation of each channel, as a fraction of white."""
    flip: bool | None = None
    """Whether training sees mirrored images too."""
    pad: NonNegativeInt | None = None
    """Pixels of black border out of which training crops at random."""
    random_resized_crop: Annotated[
        Annotated[tuple[Area, Area], AfterValidator(_rising)] | Literal[False] | None,
        _else("the least and the most of the area, such as [0.25, 1.0], or false"),
    ] = None
    """Least and most of an image's area that training cuts out and enlarges; false where the whole image is seen."""
    rotate: Annotated[float, Field(ge=0, le=180, strict=True)] | None = None
    """Most degrees that training turns an image by, either way."""
    jitter: Jitter | None = None
    mixup: NonNegative | None = None
    """Alpha of the Beta distribution by which training mixes two images (arXiv 1710.09412); 0 mixes none."""
    allow_duplicates: bool | None = None
    """Whether more than 1 % of the validation or test images may be training images too."""


class Preprocessing(Value):
    """How an image becomes what the network sees, all decided: resized, cropped, then (pixel / 255 - mean) / std."""

    height: PositiveInt
    """Pixels that the network sees."""
    width: PositiveInt
    resize: PositiveInt | None = None
    """Pixels of the short side before the centre is cut out; None where `crop` is "none"."""
    crop: Literal["center", "none"] = "none"
    interpolation: Interpolation = "bilinear"
    colour: Colour | None
    """None: channels of the user's own kind."""
    mean: tuple[float, ...]
    """Of each channel, as a fraction of white."""
    std: tuple[float, ...]


def _sourced(stated: Any) -> Any:
    """`data = "digits"` is short for `data = {source = "digits"}`."""
    return {"source": stated} if isinstance(stated, str) else stated


Source = Annotated[Data, BeforeValidator(_sourced)]
