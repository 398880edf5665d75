"""The versions of installed libraries."""

import importlib.metadata
from collections.abc import Iterable

from edgekd import catalog
from edgekd.deploy.writers._base import WRITERS
from edgekd.values import Variant


def made_with(variants: Iterable[Variant], *exporters: str) -> dict[str, str | None]:
    """The versions of what makes the files of variants and runs them, in alphabetical order: another one makes other
    files. None where one isn't installed.
    """
    kinds = list(variants)
    written = [catalog.load(WRITERS, variant.runtime).precisions[variant.precision] for variant in kinds]
    used = filter(None, (precision.library for precision in written))
    libraries = (*exporters, "onnx", "onnxruntime", *used, *(variant.runtime for variant in kinds))
    return {name: _version(name) for name in sorted(set(libraries))}


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
