"""A part of a data set: so many images of each class."""

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from edgekd.data.dataset import Dataset, Images, fingerprinted
from edgekd.data.folder_images import FolderImages
from edgekd.data.memory_images import MemoryImages
from edgekd.errors import EdgekdError


def subset(data: Dataset, *, train_per_class: int | None = None, val_per_class: int | None = None) -> Dataset:
    """The data set with so many training and validation images of each class, always the same ones, or all that there
    are if those are fewer; None means all. Test images and normalisation stay.

    Raises:
        EdgekdError: its images are of the user's own kind, of which no part can be taken.
    """
    if train_per_class is None and val_per_class is None:
        return data
    stated = f"{data.content} train {train_per_class} val {val_per_class}"
    part = replace(
        data,
        train=_some(data.train, train_per_class, data.name),
        val=_some(data.val, val_per_class, data.name),
        content=hashlib.sha256(stated.encode()).hexdigest(),
    )
    return fingerprinted(part)


def _some(images: Images, per_class: int | None, name: str) -> Images:
    if per_class is None:
        return images
    chosen = of_each_class(images.labels, per_class)
    if isinstance(images, MemoryImages):
        return replace(images, pixels=images.pixels[chosen.numpy()], labels=images.labels[chosen])
    if isinstance(images, FolderImages):
        return replace(images, paths=tuple(images.paths[i] for i in chosen.tolist()), labels=images.labels[chosen])
    what = f"{name}: no part can be taken of its images, which are of {type(images).__name__}"
    raise EdgekdError(what, "Take a scale that uses all images, or a built-in data set.")


def of_each_class(labels: Tensor, count: int) -> Tensor:
    """The rising indices of so many images of each class, drawn at random but always the same."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for label in torch.unique(labels):
        members = (labels == label).nonzero()[:, 0]
        parts.append(members[torch.randperm(len(members), generator=generator)[:count]])
    return torch.cat(parts).sort().values
