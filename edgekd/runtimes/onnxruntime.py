"""ONNX Runtime on the CPU.

Loaded by path on devices (see `_base`): nothing of edgekd is imported here, and Python 3.8 is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Mapping

formats = ("onnx", "ort")

_PROVIDER = "CPUExecutionProvider"

_NUMPY_NAMES = {"float": "float32", "double": "float64"}  # the others are called as in numpy


def describe() -> dict[str, str]:
    """`runtime`, `runtime_version` and `provider`, as in `schema.Environment`."""
    return {"runtime": "onnxruntime", "runtime_version": onnxruntime.__version__, "provider": _PROVIDER}


class Session:
    """An opened model; see `_base.Session`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]

    def inputs(self) -> list[dict[str, Any]]:
        """Name, shape (with strings or None for free axes) and numpy dtype name of each input."""
        return [
            {"name": i.name, "shape": list(i.shape), "dtype": _numpy_name(i.type)} for i in self._session.get_inputs()
        ]

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """One inference; blocks until the outputs are there."""
        outputs: list[Any] = self._session.run(self._outputs, feeds)
        return outputs


def open(path: str, *, threads: int = 1, spinning: bool = True) -> Session:
    """Load the model: operators run one after the other, each on `threads` threads of the CPU.

    Raises:
        ValueError: it can't be loaded; the text is the runtime's own, without its prefixes.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # its warnings about a graph are no news to who measures it
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    try:
        return Session(onnxruntime.InferenceSession(path, options, providers=[_PROVIDER]))
    except Exception as e:  # its exceptions have no base class of their own
        raise ValueError(_own_words(e)) from e


def _numpy_name(kind: str) -> str:
    element = kind[len("tensor(") : -1] if kind.startswith("tensor(") else kind
    return _NUMPY_NAMES.get(element, element)


def _own_words(error: Exception) -> str:
    """`[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model failed: …` from "Load" on, the first line."""
    words = (str(error).strip() or type(error).__name__).splitlines()[0]
    return words.split(" : ", 3)[-1][:500] if words.startswith("[ONNXRuntimeError]") else words[:500]
