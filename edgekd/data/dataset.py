"""What a data set is to the rest of edgekd."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from edgekd.values import Jitter, Preprocessing, document

if TYPE_CHECKING:  # so that images without PyTorch don't import it
    from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How training varies images at random: each is cut out and enlarged, turned, its colours changed, cropped out of a
    black border, and mirrored in every second view.
    """

    pad: int
    """Pixels of the border."""
    flip: bool
    crop: tuple[float, float] | None = None
    """Least and most of the area that is cut out and enlarged; None where the whole image is seen."""
    rotate: float = 0.0
    """Most degrees, either way."""
    jitter: Jitter = field(default_factory=Jitter)
    mixup: float = 0.0
    """Alpha of the Beta distribution by which the training engine mixes two images of a batch; 0 mixes none."""

    def stated(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return {**vars(self), "jitter": document(self.jitter)}


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
    def labels(self) -> "Tensor":
        """(N,) int64."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""

    def __len__(self) -> int: ...

    def batches(self, batch_size: int, view: View | None = None) -> "Iterator[tuple[Tensor, Tensor]]":
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
    """sha256 of all that decides what training sees: two data sets with the same one are the same."""
    preprocessing: Preprocessing = None  # type: ignore[assignment]  # always there: filled in where it isn't given
    """How an image becomes what the network sees; its `mean` and `std` are those above."""
    notes: tuple[str, ...] = ()
    """What the user should know of the images."""
    content: str = ""
    """sha256 of the images, splits and labels alone, whatever is made of them; the fingerprint where it isn't given."""

    def __post_init__(self) -> None:
        # a data set of the user's own may name classes by numbers, or by bytes that are no text
        names = tuple(str(name).encode(errors="backslashreplace").decode() for name in self.classes)
        object.__setattr__(self, "classes", names)
        mean, std = tuple(map(float, self.mean)), tuple(map(float, self.std))
        how = self.preprocessing or _as_they_are(self.train)
        object.__setattr__(self, "preprocessing", how.model_copy(update={"mean": mean, "std": std}))
        object.__setattr__(self, "content", self.content or self.fingerprint)

    def key(self) -> dict[str, Any]:
        """What decides what a network sees of it: its images, by their own fingerprint, their shape, classes,
        normalisation and augmentation. What it is called doesn't.
        """
        decisive = ("classes", "mean", "std", "fingerprint", "content")
        return {
            **{name: getattr(self, name) for name in decisive},
            "augmentation": self.augmentation.stated(),
            "preprocessing": document(self.preprocessing),
            "shape": self.train.shape,
            "images": [len(self.train), len(self.val)],
        }


def fingerprinted(data: Dataset) -> Dataset:
    """The data set with the fingerprint of its content, preprocessing and augmentation as they are now."""
    stated = json.dumps([data.content, document(data.preprocessing), data.augmentation.stated()], sort_keys=True)
    return replace(data, fingerprint=hashlib.sha256(stated.encode()).hexdigest())


def _as_they_are(images: Images) -> Preprocessing:
    """What images in files say of themselves; else nothing is resized or cropped."""
    stated = getattr(images, "preprocessing", None)
    if isinstance(stated, Preprocessing):
        return stated
    channels, height, width = images.shape
    return Preprocessing(height=height, width=width, colour=_COLOURS.get(channels), mean=(), std=())
