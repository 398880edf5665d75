"""Whether two data sets are the same to whoever trains on them or is tested by them."""

from edgekd.data.dataset import Dataset
from edgekd.store import fingerprint


def identity(data: Dataset) -> str:
    """The SHA-256 of all that decides what a network sees of a data set (`Dataset.key`)."""
    return fingerprint(data.key())
