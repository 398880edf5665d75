"""What TensorRT's types are called elsewhere."""

from __future__ import annotations

from typing import Any

_NUMPY_NAMES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
    "UINT8": "uint8",
}


def numpy_name(dtype: Any) -> str:
    """What numpy calls a type. Not by the module's `nptype`: that of TensorRT 8.5 fails in numpy 1.24 and newer.

    Raises:
        ValueError: numpy has no such type.
    """
    if dtype.name not in _NUMPY_NAMES:
        raise ValueError(f"an input or output is of type {dtype.name}, which numpy doesn't have")
    return _NUMPY_NAMES[dtype.name]
