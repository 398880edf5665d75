"""What is chosen of a training where a recipe leaves it open."""

from typing import TypeVar

from edgekd.values.recipe import Recovery, Training

_PIXELS, _FEWEST = 32 * 224 * 224, 8
"""Of images that go through a network at once. A training step of torchvision:mobilenet_v3_small takes 0.6 GB for so
many; four times as many don't fit into a container of 2 GB.
"""
_LEARNING_RATE = 0.1
"""Of SGD with momentum 0.9 from random weights."""
Shape = tuple[int, ...]
T = TypeVar("T", bound=Training)


def default_epochs(train_images: int) -> int:
    """Epochs for a data set of this size: about 600,000 images seen, but 3 to 30 epochs."""
    return min(30, max(3, round(600_000 / max(1, train_images))))


def images_at_once(shape: Shape, most: int) -> int:
    """How many images of a shape that ends in (H, W) go through a network at once: `most` where they are small, else a
    power of two, 8 or more, that keeps memory within bounds.
    """
    *_, height, width = shape
    fitting = max(_FEWEST, _PIXELS // (height * width))
    return min(most, 1 << (fitting.bit_length() - 1))


def training_for(settings: T, train_images: Shape) -> T:
    """The settings with the numbers filled in that were left to the training images (N, C, H, W); the learning rate of
    a `Recovery` stays open.
    """
    chosen: dict[str, float] = {
        "epochs": settings.epochs or default_epochs(train_images[0]),
        "batch_size": settings.batch_size or images_at_once(train_images, 128),
    }
    if settings.learning_rate is None and not isinstance(settings, Recovery):
        chosen["learning_rate"] = _LEARNING_RATE
    return settings.model_copy(update=chosen)
