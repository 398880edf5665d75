"""Images of a data set that edgekd knows, or of the user's own function, as a given file takes them."""

import hashlib
import json

import numpy as np

from edgekd.data.dataset import Dataset, Images
from edgekd.data.feeds.feeds import Array, Feeds, FeedSplits, Indices
from edgekd.data.fixed_images import labelled
from edgekd.errors import EdgekdError
from edgekd.values.given import Takes

MOST = 2_000
"""Images of each split that are used."""


def source_feeds(data: Dataset, takes: Takes) -> FeedSplits:
    """Training images to calibrate on, and validation images to compare on.

    Args:
        data: prepared as `takes` wants it; where that takes pixels, its images are those divided by 255.
        takes: what they are fed to.

    Raises:
        EdgekdError: its images are of another size.
    """
    if tuple(data.train.shape) != takes.image:
        ours, theirs = ("x".join(map(str, shape)) for shape in (data.train.shape, takes.image))
        what = f"the images of {data.name} are {ours} (channels, height, width), and the model takes {theirs}"
        raise EdgekdError(what, "Give images of that size, such as a folder of photos.")
    digest = hashlib.sha256(json.dumps([data.fingerprint, takes.model_dump(mode="json")]).encode()).hexdigest()
    train, val = _feeds(data.train, f"{digest} train", takes), _feeds(data.val, f"{digest} val", takes)
    return FeedSplits(train, val, data.name, data.classes, data.notes)


def _feeds(images: Images, content: str, takes: Takes) -> Feeds:
    values, labels = labelled(images, MOST)
    fed = _as_taken(values, takes)

    def read(indices: Indices) -> Array:
        return fed[indices]

    return Feeds(content, read, np.arange(len(fed)), labels)


def _as_taken(values: Array, takes: Takes) -> Array:
    if takes.dtype == "uint8":
        pixels = np.rint(values * 255)
        if not (np.abs(values * 255 - pixels) <= 0.05).all() or pixels.min() < 0 or pixels.max() > 255:
            what = "the model takes pixels, and this data's images are no pixels divided by 255"
            raise EdgekdError(what, "Give the images as the model is fed, in an .npz file.")
        values = pixels.astype(np.uint8)
    return values if takes.layout == "NCHW" else np.ascontiguousarray(values.transpose(0, 2, 3, 1))
