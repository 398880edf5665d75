"""The contract of a data source. Its module's name, with hyphens for underscores, is the data set's name."""

from pathlib import Path
from typing import Protocol

from edgekd.catalog import Kind
from edgekd.data.dataset import Dataset
from edgekd.values import Data


class Source(Protocol):
    """The members of a source module."""

    @property
    def WHERE(self) -> str:
        """What users write after the name and a colon, such as "PATH"; empty if nothing."""

    def load(self, *, root: Path | None, download: bool, seed: int, where: str, stated: Data) -> Dataset:
        """The data set with its three splits.

        Args:
            root: the folder with data sets that the user gave.
            download: whether a missing data set may be downloaded.
            seed: seed of the splits, if the source doesn't define them.
            where: what the user wrote after the colon.
            stated: the recipe's [data]; `adapted` applies it to images in memory.

        Raises:
            EdgekdError: the data is missing, damaged or unusable.
        """


SOURCES = Kind[Source]("data.sources", "data source")
