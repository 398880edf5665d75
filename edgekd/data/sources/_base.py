"""What a source of data provides. Its module's name, with hyphens for underscores, is the data set's name."""

from pathlib import Path
from typing import Protocol

from edgekd.catalog import Kind
from edgekd.data.dataset import Dataset
from edgekd.values import Data


class Source(Protocol):
    """The members of a source module."""

    @property
    def WHERE(self) -> str:
        """What users put behind the name and a colon, such as "PATH"; empty where nothing belongs there."""

    def load(self, *, root: Path | None, download: bool, seed: int, where: str, stated: Data) -> Dataset:
        """The data set in its three splits.

        Args:
            root: the folder with data sets that the user named.
            download: whether a set that isn't there may be fetched.
            seed: which of the possible splits, where the source doesn't fix them.
            where: what stood behind the colon.
            stated: what the user wants of the images; `adapted` makes it of images in memory.

        Raises:
            EdgekdError: the data isn't there, is damaged, or can't be learned from.
        """


SOURCES = Kind[Source]("data.sources", "data source")
