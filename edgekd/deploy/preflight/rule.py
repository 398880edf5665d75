"""A static rule: what a file may not have."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from edgekd.deploy.preflight.model import Model


@dataclass(frozen=True)
class Destination:
    """The TensorRT that is to read a file, as far as it is known."""

    max_opset: int | None = None
    compute_capability: str | None = None
    """Of the GPU, such as "8.7"."""
    version: str | None = None
    """Of TensorRT, as the device reports it."""


@dataclass(frozen=True)
class Rule:
    """One thing that a file may not have."""

    id: str
    severity: Literal["error", "warning"]
    message: str
    """A sentence that the places follow."""
    remedy: str
    broken: Callable[[Model, Destination], Iterable[str]]
    """The places where it is broken: a node's name, or a number."""
