"""Whether two data sets are the same to whoever trains on them or is tested by them."""

from dataclasses import asdict, fields

from edgekd.data.dataset import Dataset
from edgekd.store import fingerprint

_NOT_DECISIVE = ("name", "notes", "train", "val", "test")


def identity(data: Dataset) -> str:
    """The SHA-256 of all that decides what a network sees of a data set: its images, by their own fingerprint, their
    shape, classes, normalisation and augmentation; what it is called doesn't.
    """
    decisive = {field.name: getattr(data, field.name) for field in fields(data) if field.name not in _NOT_DECISIVE}
    decisive["augmentation"] = asdict(data.augmentation)
    sizes = [len(data.train), len(data.val)]
    return fingerprint({**decisive, "shape": data.train.shape, "images": sizes})
