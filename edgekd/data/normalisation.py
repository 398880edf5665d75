"""Mean and deviation of images by name, and one for each channel."""

from collections.abc import Sequence

from edgekd.errors import EdgekdError

NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    # of ImageNet's training images, as everybody rounds them: torchvision's documentation of its models
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0.5": ((0.5,), (0.5,)),
    "0-1": ((0.0,), (1.0,)),
}


def of_channels(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """A value for each channel: one stands for all; for grey, three are averaged.

    Raises:
        EdgekdError: there are neither one nor `channels` values.
    """
    if len(values) == channels:
        return tuple(values)
    if len(values) == 1:
        return tuple(values) * channels
    if channels == 1 and len(values) == 3:
        return (sum(values) / 3,)
    what = f"mean or std has {len(values)} values, but the images have {channels} channels"
    raise EdgekdError(what, f"Set one value, or {channels}, in [data].")
