"""How images become what a given file takes: as its metadata states, or the user; nothing that decides values is
guessed.
"""

from typing import Any

from edgekd.data.normalisation import NORMALISATIONS, of_channels
from edgekd.errors import EdgekdError
from edgekd.values import Data
from edgekd.values.given import Takes

_OPTION = "--normalize imagenet (or 0.5, 0-1), or mean and std in the [data] of a --recipe"
_OR_ARRAYS = "or give the images as the model is fed, in an .npz file"


def as_stated(takes: Takes, stated: Data) -> Data:
    """The data with size, colour and normalisation that the model takes, all of them stated.

    Raises:
        EdgekdError: the normalisation isn't stated, or contradicts the file; the input is no image.
    """
    if takes.layout is None:
        shape = "x".join(map(str, takes.shape))
        what = f"the model's input {takes.name} of the shape {shape} is no grey or coloured image"
        raise EdgekdError(what, "Give an .npz file of what the model is fed.")
    if takes.preprocessing and takes.preprocessing.colour is None:  # of images that its training got ready-made
        takes = takes.model_copy(update={"preprocessing": None})
    channels, height, width = takes.image
    found: dict[str, Any] = {"size": (height, width), "colour": "grey" if channels == 1 else "rgb"}
    if stated.colour not in (None, found["colour"]):
        raise EdgekdError(f"[data] colour: the model takes {channels} channels", "Leave colour out.")
    if takes.preprocessing is not None:
        how = takes.preprocessing
        found |= {"resize": how.resize, "crop": how.crop, "interpolation": how.interpolation}
    mean, std = _normalisation(takes, stated, channels)
    for name in ("resize", "crop", "interpolation"):
        if name in found and getattr(stated, name) not in (None, found[name]):
            raise EdgekdError(f"[data] {name}: the file itself states {found[name]!r}", f"Leave {name} out.")
    return stated.model_copy(update={**found, "mean": mean, "std": std})


def _normalisation(takes: Takes, stated: Data, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    given = stated.mean is not None or stated.std is not None
    if takes.dtype == "uint8":
        if given:
            what = "the model takes pixels (uint8), and normalises them itself"
            raise EdgekdError(what, "Leave --normalize out.")
        return (0.0,) * channels, (1.0,) * channels
    if takes.preprocessing is not None:
        own = of_channels(takes.preprocessing.mean, channels), of_channels(takes.preprocessing.std, channels)
        if given:
            what = f"the file itself states how its images are normalised: mean {own[0]}, deviation {own[1]}"
            raise EdgekdError(what, "Leave --normalize out.")
        return own
    if not given:
        what = "how the model's images are normalised isn't stated, and the file doesn't state it"
        raise EdgekdError(what, f"Give {_OPTION}, {_OR_ARRAYS}.")
    return _numbers(stated, channels)


def _numbers(stated: Data, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    values = []
    for position, name in enumerate(("mean", "std")):
        wanted = getattr(stated, name)
        if wanted is None:
            raise EdgekdError(f"[data] has no {name}", "State mean and std, both.")
        if wanted == "data":
            what = "the model's own normalisation can't be measured on these images"
            raise EdgekdError(what, f"Give {_OPTION}.")
        values.append(of_channels(NORMALISATIONS[wanted][position] if isinstance(wanted, str) else wanted, channels))
    return values[0], values[1]
