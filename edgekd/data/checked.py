"""Validates data sets that user code creates, before they are used."""

from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from edgekd.data.dataset import Dataset, Images
from edgekd.data.folder_images import FolderImages
from edgekd.data.memory_images import MemoryImages
from edgekd.errors import EdgekdError

SPLITS = ("train", "val", "test")
_HINT = "See edgekd.data.dataset: Dataset and Images."


def require_sound(data: Dataset) -> None:
    """Raises EdgekdError where a split is empty, has labels that aren't classes, is of another shape than training's,
    or isn't normalised as the data set says, which its files would tell their users.
    """
    for split in SPLITS:
        images: Images = getattr(data, split)
        if not len(images):
            _refuse(data, split, "are missing", "Every split needs images.")
        _require_labels(data, split, images)
        if tuple(images.shape) != tuple(data.train.shape):
            _refuse(data, split, f"are of shape {tuple(images.shape)}, those of training {tuple(data.train.shape)}")
        if isinstance(images, MemoryImages) and images.pixels.dtype != np.uint8:
            hint = "Give MemoryImages pixels from 0 to 255 as a numpy array of uint8."
            _refuse(data, split, f"hold {images.pixels.dtype}", hint)
        _require_as_stated(data, split, images)


def require_views(data: Dataset) -> None:
    """Raises EdgekdError where its training images can't be varied as its augmentation says."""
    vary, (channels, height, width) = data.augmentation, data.train.shape
    if vary.pad > min(height, width):
        what = f"a border of {vary.pad} pixels around images of {height}x{width} would leave views without any image"
        raise EdgekdError(f"data set {data.name}: {what}", f"Set pad in [data] to about {min(height, width) // 8}.")
    varied = vary.crop is not None or vary.rotate or any(vary.stated()["jitter"].values())
    if varied and isinstance(data.train, MemoryImages) and channels not in (1, 3):
        what = f"cropping, rotation and colour jitter support only grey and RGB images, not {channels} channels"
        hint = "Omit random_resized_crop, rotate and jitter."
        raise EdgekdError(f"data set {data.name}: {what}", hint)


def _require_labels(data: Dataset, split: str, images: Images) -> None:
    labels = images.labels
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.ndim != 1:
        what = f"a tensor {labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        _refuse(data, split, f"have labels of another kind: {what}", f"Give a torch.int64 tensor ({len(images)},).")
    held = {MemoryImages: "pixels", FolderImages: "paths"}.get(type(images))
    if held and len(getattr(images, held)) != len(labels):
        _refuse(data, split, f"are {len(getattr(images, held))}, with {len(labels)} labels")
    least, most, classes = int(labels.min()), int(labels.max()), len(data.classes)
    if least < 0 or most >= classes:
        hint = f"With {classes} classes, labels must be from 0 to {classes - 1}."
        _refuse(data, split, f"have labels from {least} to {most}", hint)


def _require_as_stated(data: Dataset, split: str, images: Images) -> None:
    how, stated = data.preprocessing, (tuple(data.mean), tuple(data.std))
    hint = "State the same in both: exported files contain the data set's values for their users."
    if isinstance(images, MemoryImages) and (tuple(images.mean), tuple(images.std)) != stated:
        _refuse(data, split, f"are normalised by {images.mean} and {images.std}, the data set says by {stated}", hint)
    if isinstance(images, FolderImages) and images.preprocessing != how:
        _refuse(data, split, f"are prepared as {images.preprocessing!r}, the data set says as {how!r}", hint)


def _refuse(data: Dataset, split: str, what: str, hint: str = _HINT) -> NoReturn:
    raise EdgekdError(f"data set {data.name}: its {split} images {what}", hint)
