"""What a library of models provides."""

from typing import Protocol

from torch import nn

from edgekd.catalog import Kind
from edgekd.values import Preprocessing


class Library(Protocol):
    """The members of a library module."""

    def build(self, name: str, *, classes: int, channels: int) -> nn.Module:
        """The model of that name with random weights. Raises EdgekdError if there is none."""

    def preprocessing(self, name: str) -> Preprocessing | None:
        """How the images were prepared that the library's own weights are for; None if it has none."""


LIBRARIES = Kind[Library]("zoo.libraries", "library of models")
