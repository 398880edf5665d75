"""NVIDIA's real ONNX parser and compiler, without a GPU: TensorRT-RTX, for the GPU nearest to the target's.

It has no Jetson among its GPUs and its kernels aren't TensorRT's: it says whether a graph is read and compiled, and
neither how fast it is nor that a Jetson's TensorRT, which is older, builds it.
"""

import importlib.util
from pathlib import Path

from edgekd.values.preflight import Parsed
from edgekd.worker import Worker, WorkerError, of_module

ACCEPTED = "accepted by NVIDIA's parser and compiler; not a Jetson engine"

_TIMEOUT_S = 300.0


def is_installed() -> bool:
    """Whether this machine has NVIDIA's parser."""
    return importlib.util.find_spec("tensorrt_rtx") is not None


def parse(path: Path, compute_capability: str | None, *, timeout_s: float = _TIMEOUT_S) -> Parsed:
    """What NVIDIA's parser and compiler make of a file, in a process of its own, which they may crash.

    Args:
        path: the ONNX file.
        compute_capability: of the target's GPU, such as "8.7"; None: of any.
        timeout_s: the most that it may take.
    """
    if not is_installed():
        message = "NVIDIA's parser isn't installed: pip install 'edgekd[trt-check]' (on x86-64)"
        return Parsed(status="not judged", message=message)
    command, env = of_module("edgekd.deploy.preflight.worker")
    try:
        with Worker(command, env=env) as worker:
            answer = worker.ask({"path": str(path.absolute()), "compute_capability": compute_capability}, timeout_s)
    except WorkerError as e:
        return Parsed(status="not judged", message=f"NVIDIA's parser and compiler gave no answer: {e}"[:500])
    compiler = str(answer["compiler"])
    match answer["status"]:
        case "accepted":
            return Parsed(status="accepted", message=ACCEPTED, compiler=compiler)
        case "parsed":
            left_open = ", ".join(answer["open"])
            message = f"accepted by NVIDIA's parser; not compiled, since it leaves axes open: {left_open}"
            return Parsed(status="parsed", message=message, compiler=compiler)
        case _:
            return Parsed(status="refused", message=str(answer["reason"]), compiler=compiler)
