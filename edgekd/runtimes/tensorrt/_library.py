"""TensorRT's Python module, and what it logs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_OLDEST = "8.5"
_INSTALL = (
    "On a Jetson: sudo apt-get install python3-libnvinfer, and use JetPack's own Python (/usr/bin/python3), "
    "or a virtual environment made with --system-site-packages."
)
_FILE = r"[\w./-]+\.(?:cpp|h|cu|inl)"
_FOUND = rf"\[{_FILE}[^\]]*\]|(?:\bIn \S+ )?(?:\bat )?{_FILE}:\d+:?"
_PLACE = re.compile(rf"\((?:{_FOUND})\)|(?:{_FOUND})|^\d+: ")
"""Where in its own source TensorRT found something."""
_CONDITION = re.compile(r'[^"]+ && "(.*)"', re.DOTALL)
"""What its parser asserts, and what it says of that."""


class MissingError(ModuleNotFoundError):
    """TensorRT isn't there, or can't be used here. `hint` is the remedy."""

    def __init__(self, what: str, hint: str = _INSTALL) -> None:
        super().__init__(what)
        self.hint = hint


def library() -> Any:
    """TensorRT's Python module, which runs engines; `builds` tells whether it builds them. Raises MissingError."""
    try:
        import tensorrt
    except ModuleNotFoundError as e:
        raise MissingError(f"this Python has no module {e.name}") from e
    except ImportError as e:  # of a shared library that it needs
        raise MissingError(f"TensorRT's Python module can't be imported: {e}") from e
    if not hasattr(tensorrt.IExecutionContext, "execute_async_v3"):
        hint = f"Use TensorRT {_OLDEST} or newer: JetPack 5.1 or newer has it."
        raise MissingError(f"TensorRT {tensorrt.__version__} is older than {_OLDEST}", hint)
    return tensorrt


def builds(trt: Any) -> bool:
    """Whether the module builds engines from ONNX files."""
    return hasattr(trt, "Builder") and hasattr(trt, "OnnxParser")


@lru_cache(maxsize=None)
def logger(trt: Any) -> Any:
    """The one logger of this process: TensorRT takes the first that it gets, and ignores others."""

    class Log(trt.ILogger):  # type: ignore[misc]
        """Keeps what TensorRT says of errors."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            """Called by TensorRT."""
            if int(severity) <= int(trt.ILogger.Severity.ERROR):
                self._errors.append(message)

        def clear(self) -> None:
            """Forget earlier errors."""
            self._errors.clear()

        def words(self, otherwise: str) -> str:
            """The errors since `clear`, each once, without places in source files."""
            return plain("; ".join(dict.fromkeys(self._errors)) or otherwise)

    return Log()


def parser_error(error: Any) -> str:
    """What the parser says of a node, which it names from TensorRT 10 on."""
    said = _CONDITION.sub(r"\1", str(error.desc()))
    said = "the parser refuses it without a reason" if said == "false" else said
    if error.node() < 0:
        return said
    where = [f"node {error.node()}"]
    if hasattr(error, "node_name"):
        where += [repr(error.node_name()), f"({error.node_operator()})"]
    return f"{' '.join(where)}: {said}"


def plain(text: str) -> str:
    """TensorRT's words in one line, without places in its source files."""
    return " ".join(_PLACE.sub("", text).split()).replace(" )", ")")[:500]
