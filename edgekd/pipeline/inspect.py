"""`inspect`: what is in a model's file. Imports no torch."""

from pathlib import Path

from edgekd.measuring.graph.inspection import inspect_file
from edgekd.measuring.graph.ncnn_inspection import inspect_ncnn
from edgekd.measuring.manifests import beside
from edgekd.measuring.ncnn_file import is_ncnn
from edgekd.values.inspection import Inspection


def inspect(path: Path) -> Inspection:
    """What is in an ONNX or .param file, whatever made it, and in the manifests beside it. Nothing is run, and weights
    outside the file are not read.

    Raises:
        StorageError: the file can't be read.
        UnsupportedModelError: it isn't a model of either format.
    """
    found = inspect_ncnn(path) if is_ncnn(path) else inspect_file(path)
    return found.model_copy(update={"manifests": beside(path, found.sha256)})
