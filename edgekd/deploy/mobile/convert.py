"""An ONNX file as an app takes it, by ONNX Runtime's own tools in a process of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edgekd.errors import UnsupportedModelError
from edgekd.values.mobile import Accelerator
from edgekd.worker import Worker, WorkerError, of_module

_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Converted:
    """What was written."""

    ort: Path
    config: Path
    report: Path
    made_by: str
    accelerators: tuple[Accelerator, ...]


def convert(
    path: Path, folder: Path, *, command: Sequence[str] | None = None, timeout_s: float = _TIMEOUT_S
) -> Converted:
    """Write a model to an empty folder as `.ort`, with the operators that it needs, and ask the usability checker.

    Args:
        path: the ONNX file; it isn't changed.
        folder: for the files.
        command: of the process; None: this Python's.
        timeout_s: the most that it may take.

    Raises:
        UnsupportedModelError: ONNX Runtime's tools can't convert it, crashed, or took too long.
    """
    usual, env = of_module("edgekd.deploy.mobile.worker")
    try:
        with Worker(command or usual, env=env) as worker:
            answer = worker.ask({"path": str(path.absolute()), "folder": str(folder.absolute())}, timeout_s)
        ort, config, report = (folder / Path(answer[name]).name for name in ("ort", "config", "report"))
        accelerators = tuple(Accelerator.model_validate(one) for one in answer["accelerators"])
        return Converted(ort, config, report, str(answer["made_by"]), accelerators)
    except (WorkerError, KeyError, TypeError, ValidationError) as e:
        message = f"{path.name}: ONNX Runtime's tools for phones can't convert it: {e}"
        raise UnsupportedModelError(message[:800], "Use the ONNX file in the app.") from e
