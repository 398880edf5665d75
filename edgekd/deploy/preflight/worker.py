"""The process that runs NVIDIA's parser and compiler: `python -m edgekd.deploy.preflight.worker`.

One file a process: TensorRT keeps the first logger that it gets, and some files crash it.
"""

import json
import os
import re
from typing import Any

import tensorrt_rtx as trt

from edgekd.devices.agent.host import requests
from edgekd.runtimes.tensorrt._library import parser_error, plain

_NO_GPU = re.compile(r"Error Code 1: Cuda Runtime.*", re.DOTALL)
"""What it adds to any error where there is no GPU."""
_GPU = re.compile(r"SM(\d+)")
_OLDEST = 80
"""TensorRT-RTX also compiles for SM75, but not all that a Jetson's TensorRT builds: "FP32 GEMM is not supported"."""


class Log(trt.ILogger):  # type: ignore[misc]
    """Keeps the errors."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def log(self, severity: Any, message: str) -> None:
        """Called by TensorRT."""
        if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
            self.errors.append(message)


def main() -> None:
    """Answer the one request on stdin."""
    # what else prints goes to stderr, so that it can't garble the answer
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        asked = json.loads(next(requests()))
        answers.write(json.dumps(judged(asked["path"], asked["compute_capability"])) + "\n")


def judged(path: str, compute_capability: str | None) -> dict[str, Any]:
    """Whether a file is parsed and compiled, for which GPU, and why not."""
    gpu = nearest(compute_capability)
    meant = f" for {gpu}"
    if compute_capability:
        meant += f", the nearest to compute capability {compute_capability} that it has in full"
    compiler = f"TensorRT-RTX {trt.__version__}{meant}"
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(path):
        errors = [parser_error(parser.get_error(i)) for i in range(parser.num_errors)]
        return {"compiler": compiler, "status": "refused", "reason": _short(errors or log.errors)}
    config = builder.create_builder_config()
    if left_open := _fixed(builder, config, network):
        return {"compiler": compiler, "status": "parsed", "open": left_open}
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.__members__[gpu], 0)
    if builder.build_serialized_network(network, config) is None:
        return {"compiler": compiler, "status": "refused", "reason": _short(log.errors)}
    return {"compiler": compiler, "status": "accepted"}


def nearest(compute_capability: str | None) -> str:
    """The GPU that it compiles for whose compute capability is the nearest, such as "SM86"."""
    all_of_them = (int(found[1]) for name in trt.ComputeCapability.__members__ if (found := _GPU.fullmatch(name)))
    known = sorted(gpu for gpu in all_of_them if gpu >= _OLDEST)
    wanted = int(compute_capability.replace(".", "")) if compute_capability else known[0]
    return f"SM{min(known, key=lambda gpu: abs(gpu - wanted))}"


def _fixed(builder: Any, config: Any, network: Any) -> list[str]:
    """Batches that inputs leave open get one image; returns the inputs that leave further axes open."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    left_open = [one.name for one in inputs if -1 in tuple(one.shape)[1:]]
    batched = [one for one in inputs if tuple(one.shape)[:1] == (-1,)]
    if batched and not left_open:
        profile = builder.create_optimization_profile()
        for one in batched:
            shape = (1, *tuple(one.shape)[1:])
            profile.set_shape(one.name, shape, shape, shape)
        config.add_optimization_profile(profile)
    return left_open


def _short(errors: list[str]) -> str:
    told = dict.fromkeys(_NO_GPU.sub("", error).strip() for error in errors)
    return plain("; ".join(error for error in told if error)) or "no reason was given"


if __name__ == "__main__":
    main()
