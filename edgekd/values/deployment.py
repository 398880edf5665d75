"""How a network is deployed, and the files that this makes."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from edgekd.values.file import File
from edgekd.values.lineage import Lineage
from edgekd.values.value import Name, NonNegativeInt, PositiveInt, Value
from edgekd.visible import visible_name

Setting = bool | int | float | str | dict[str, str]
"""What a runtime's setting may hold; a table is options that the runtime hands on, such as a provider's."""


FLOATING = ("fp32", "fp16", "bf16")
"""The floating-point precisions. All others have integers in the file."""


class Variant(Value):
    """Which runtime runs a network, in which precision and with which of the runtime's settings."""

    runtime: str
    """What runs the file."""
    precision: str
    """What it computes in, such as `fp32` or `int8`."""
    settings: dict[str, Setting] = {}
    """Those that differ from the runtime's defaults, by name: threads, provider …"""

    @property
    def name(self) -> str:
        """Such as `onnxruntime-int8`, or `onnxruntime-int8-threads2` where a setting isn't the runtime's default."""
        parts = [self.runtime, self.precision, *(_named(*setting) for setting in sorted(self.settings.items()))]
        return re.sub(r"[^\w.+-]+", "-", "-".join(parts))

    @property
    def quantised(self) -> bool:
        """Whether its files compute in integers, in part at least."""
        return re.split("[+-]", self.precision)[0] not in FLOATING


def _named(key: str, value: Setting) -> str:
    if isinstance(value, bool):
        return key if value else f"no-{key}"
    if isinstance(value, dict):
        return "-".join(f"{name}-{option}" for name, option in sorted(value.items()))
    return value if isinstance(value, str) else f"{key}{value:g}"


class Needs(Value):
    """What a runtime must know to run an ONNX file."""

    ir_version: NonNegativeInt
    opset: NonNegativeInt
    """Of ONNX's own operators."""
    operators: tuple[str, ...]
    """By name, each once: `Conv-11`, with the opset that defined it so, or `com.microsoft:QGemm`, with its domain."""


class Artifact(Value):
    """A network in one variant: its files, what they weigh and what they were made from."""

    name: Name
    """What reports call it."""
    format: str = "onnx"
    variant: Variant
    files: Annotated[tuple[File, ...], Field(min_length=1)]
    """The model's file, then those of its external data."""
    disk_bytes: NonNegativeInt
    """Of all files."""
    transfer_bytes: NonNegativeInt
    """After gzip."""
    zstd_bytes: NonNegativeInt | None = None
    """After zstd."""
    lineage: Lineage | None = None
    """None: not known."""
    needs: Needs | None = None
    """None: not known."""

    @property
    def id(self) -> str:
        """The SHA-256 of what decides how it runs: the contents of all files, and the variant."""
        decides = [self.format, self.variant.model_dump(mode="json"), [file.sha256 for file in self.files]]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def key(self) -> str:
        """What decides the result of a stage that uses it: what it is called doesn't."""
        return self.id

    @property
    def path(self) -> Path:
        """The model's file."""
        return self.files[0].path

    @property
    def file(self) -> str:
        """The name of the model's file."""
        return visible_name(self.path.name)

    @property
    def runtime(self) -> str:
        """The variant's."""
        return self.variant.runtime

    @property
    def precision(self) -> str:
        """The variant's."""
        return self.variant.precision

    def without_folder(self) -> Self:
        """The same artifact with paths relative to the model's file, as documents name them."""
        folder = self.path.parent
        return self._moved(lambda path: Path(visible_name(str(path.relative_to(folder)))))

    def below(self, folder: Path) -> Self:
        """An artifact without a folder, with its files in that one."""
        return self._moved(lambda path: folder / path)

    def _moved(self, move: Callable[[Path], Path]) -> Self:
        files = tuple(file.model_copy(update={"path": move(file.path)}) for file in self.files)
        return self.model_copy(update={"files": files})


class Parity(Value):
    """How far an exported file's outputs are from the network's, over real images."""

    images: int
    max_difference: float
    sqnr_db: float
    """Signal to quantisation noise ratio: 10·log10(mean reference² ÷ mean difference²)."""
    top1_agreement: float | None
    """Of the images whose greatest output is the same; None where the outputs aren't classes."""


class Coverage(Value):
    """How much of an artifact computes in integers, in the graph as its runtime optimised it on the device."""

    integers: NonNegativeInt
    """Convolutions and matrix products that compute in integers."""
    layers: PositiveInt
    """All convolutions and matrix products."""
