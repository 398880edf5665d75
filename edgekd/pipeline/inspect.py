"""`inspect`: what is in a model's file. Imports no torch."""

from pathlib import Path

from edgekd.measuring.graph.inspection import inspect_file
from edgekd.measuring.manifests import beside
from edgekd.values.inspection import Inspection


def inspect(path: Path) -> Inspection:
    """What is in an ONNX file, whatever made it, and in the manifests beside it. Nothing is run, and external data is
    not read.

    Raises:
        StorageError: the file can't be read.
        UnsupportedModelError: it isn't an ONNX model.
    """
    found = inspect_file(path)
    return found.model_copy(update={"manifests": beside(path, found.sha256)})
