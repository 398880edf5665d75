"""What a data set is to the rest of edgekd."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from edgekd.schema import Preprocessing


@dataclass(frozen=True)
class Augmentation:
    """Random crop out of an image padded by `pad` pixels, and a horizontal flip for every second view."""

    pad: int
    flip: bool


@dataclass(frozen=True)
class View:
    """Which randomly augmented view of the images to give: a function of seed, epoch and index alone,
    so that it is the same for every student, on every machine, and after a restart.
    """

    augmentation: Augmentation
    seed: int
    epoch: int
    part: int = 0
    """Of every batch, give only this one of `parts` equal parts: the others are other processes'."""
    parts: int = 1


class Images(Protocol):
    """One split: images with labels."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""

    def __len__(self) -> int: ...

    def batches(self, batch_size: int, view: View | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images (B, C, H, W) float32 with their labels (B,) int64.

        With a view: shuffled and augmented, the last incomplete batch left out (unless it is the only one).
        Without: all of them in order, as they are.
        """


_COLOURS: dict[int, Literal["grey", "rgb"]] = {1: "grey", 3: "rgb"}


@dataclass(frozen=True)
class Dataset:
    """Images of known classes in fixed train, validation and test splits."""

    name: str
    classes: tuple[str, ...]
    train: Images
    val: Images
    test: Images
    augmentation: Augmentation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    """sha256 of what decides the images: two data sets with the same one are the same."""
    preprocessing: Preprocessing = None  # type: ignore[assignment]  # always there: filled in where it isn't given
    """How an image becomes what the network sees; its `mean` and `std` are those above."""
    notes: tuple[str, ...] = ()
    """What the user should know of the images."""

    def __post_init__(self) -> None:
        mean, std = tuple(map(float, self.mean)), tuple(map(float, self.std))
        how = self.preprocessing or _as_they_are(self.train)
        object.__setattr__(self, "preprocessing", how.model_copy(update={"mean": mean, "std": std}))


def _as_they_are(images: Images) -> Preprocessing:
    """Nothing is resized or cropped."""
    channels, height, width = images.shape
    return Preprocessing(height=height, width=width, colour=_COLOURS.get(channels), mean=(), std=())
