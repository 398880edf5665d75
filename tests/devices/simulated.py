"""A device of the target x86-cpu whose latencies are known: what is measured on it takes no time.

Requests and answers go through the same checks as a real agent's. `simulated` (tests/conftest.py) makes them.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx

from edgekd.devices._base import Array, Engine
from edgekd.devices.agent import protocol
from edgekd.devices.client import Agent
from edgekd.devices.reading import require_readable
from edgekd.values import Artifact, DeviceFacts, DeviceRuntime, Host, MeasuringProtocol, Target
from edgekd.worker_output import Limits

INFERENCES = 15
"""Of each block."""

_OTHERWISE_S = 1.0  # that a request takes beside its inferences

Outputs = Callable[[Array], Array]
"""From a batch of N inputs to N outputs."""

Timing = Callable[[float, float], protocol.Timed]
"""From an artifact's true milliseconds and the seconds of a block to what is reported of the block."""


def exactly(ms: float, seconds: float) -> protocol.Timed:
    """Every inference takes what it should."""
    return protocol.Timed((ms,) * INFERENCES, energy_mj=None, canary_ms=1.0)


def by_weights(path: Path, *, int8: float = 1.2) -> float:
    """Milliseconds in proportion to a file's weights, and in INT8 so many times as in fp32."""
    graph = onnx.load(path).graph
    weights = sum(onnx.numpy_helper.to_array(tensor).size for tensor in graph.initializer)
    return weights / 50_000 * (int8 if any(node.op_type == "QuantizeLinear" for node in graph.node) else 1.0)


def one_layer(path: Path, ms: float) -> list[protocol.Node]:
    """All of a file as one convolution, in integers if anything is quantised."""
    quantised = path.suffix == ".onnx" and any(n.op_type == "QuantizeLinear" for n in onnx.load(path).graph.node)
    return [protocol.Node("all", "QLinearConv" if quantised else "Conv", "CPUExecutionProvider", ms)]


def each_layer(path: Path, _ms: float = 0.0) -> list[protocol.Node]:
    """Each layer of a file takes its weights times its positions, and the rest of the graph nothing."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    weights = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.value_info}
    return [
        protocol.Node(node.name, node.op_type, "CPUExecutionProvider", products / 2e6)
        for node in graph.node
        if node.op_type in ("Conv", "Gemm")
        for products in [weights[node.input[1]] * math.prod(shapes.get(node.output[0], [])[2:])]
    ]


def all_layers(path: Path) -> float:
    """Milliseconds of a file whose layers take what `each_layer` says."""
    return 0.001 + sum(node.ms for node in each_layer(path))


def by_onnxruntime(path: Path) -> Outputs:
    """The real outputs of a file that takes one image at a time."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: np.concatenate([session.run(None, {name: one[None]})[0] for one in batch])


class SimulatedDevice:
    """See above.

    Args:
        latency_ms: of each file.
        throttled: whether the device has throttled at the end of its n-th process, from 1.
        machine: tells it apart from others.
        timing: called for each process: how it times blocks.
        outputs: from a file to what gives its outputs for a batch; ONNX Runtime in this process, if nothing is given.
        runtimes: that it has.
        emulated: whether it says so of itself.
        clusters: its CPUs by kind, the fastest first; two CPUs of one kind, if none are given.
        described: further facts of its host, as the n-th process describes it, from 1.
        ended: what of its state has changed at the end of its n-th process.
        nodes: the trace of a file that takes so many milliseconds.
    """

    url = "local:"

    def __init__(
        self,
        latency_ms: Callable[[Path], float] = by_weights,
        *,
        throttled: Callable[[int], bool] = lambda process: False,
        machine: str = "simulated",
        timing: Callable[[], Timing] = lambda: exactly,
        outputs: Callable[[Path], Outputs] = by_onnxruntime,
        runtimes: Sequence[str] = ("onnxruntime",),
        emulated: bool = False,
        clusters: Sequence[tuple[int, ...]] = (),
        described: Callable[[int], dict[str, Any]] = lambda process: {},
        ended: Callable[[int], dict[str, Any]] = lambda process: {},
        nodes: Callable[[Path, float], Sequence[protocol.Node]] = one_layer,
    ) -> None:
        self.latency_ms, self.throttled, self.machine, self.timing = latency_ms, throttled, machine, timing
        self.outputs, self.runtimes, self.emulated = outputs, runtimes, emulated
        self.clusters, self.described, self.ended = clusters, described, ended
        self.nodes = nodes
        self.finished = self.started = 0
        self.affinities: list[tuple[int, ...] | None] = []
        self.threads: set[int] = set()

    title = "the simulated device"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def install_command(self, runtime: str) -> str | None:
        return None

    @property
    def facts(self) -> DeviceFacts:
        runtimes = {name: DeviceRuntime(version="1", provider="CPUExecutionProvider") for name in self.runtimes}
        return DeviceFacts(host=Host(**protocol.document(self.host(0))), runtimes=runtimes)

    def key(self) -> Any:
        return self.facts.model_dump(mode="json")

    def is_of(self, target: Target) -> bool:
        kind = (target.arch, target.os, target.marker, target.compatible)
        return kind == ("x86_64", "linux", None, ())

    def leased(self) -> AbstractContextManager[None]:
        return nullcontext()

    def push(self, paths: Sequence[Path]) -> str:
        return str(paths[0])

    def require_readable(self, artifact: Artifact) -> None:
        if runtime := self.facts.runtimes.get(artifact.runtime):
            require_readable(artifact, runtime.version, self.title, str)

    def build(self, artifact: Artifact, how: MeasuringProtocol | None = None, inputs: str | None = None) -> Engine:
        return Engine(str(artifact.path))

    def evaluate(self, artifact: Artifact, batches: Iterable[Array], output: int = 0) -> Iterator[Array]:
        run = self.outputs(artifact.path)
        for batch in batches:
            yield run(batch)

    def start(self, runtime: str) -> Agent:
        self.started += 1
        process = SimulatedProcess(self, self.started)
        return Agent(process, self.url, lambda: process.now_s)

    def host(self, process: int) -> protocol.Host:
        usually: dict[str, Any] = {
            "machine": self.machine,
            "arch": "x86_64",
            "os": "linux",
            "os_version": "1",
            "cpu": "simulated",
            "cpu_features": (),
            "cores": sum(map(len, self.clusters)) or 2,
            "memory_bytes": None,
            "governor": None,
            "python": "3",
            "emulated": self.emulated,
        }
        return protocol.Host(**usually | self.described(process))

    def state(self, throttle_count: int = 0) -> protocol.State:
        return protocol.State((), None, None, {}, throttle_count, ())


class SimulatedProcess:
    """Answers the requests of `agent.protocol` for its device."""

    def __init__(self, device: SimulatedDevice, number: int = 1) -> None:
        self.device, self.number = device, number
        self.timing = device.timing()
        self.now_s = 0.0
        """What has passed by the host's clock."""

    def ask(self, request: Any, timeout_s: float, limits: Limits) -> dict[str, Any]:
        sent = protocol.read_request(json.loads(json.dumps(request)))
        answer = protocol.answer_document(getattr(self, protocol.name_of(sent))(sent), request)
        self.now_s += sum(answer.get("samples_ms", ())) / 1e3 + _OTHERWISE_S
        return json.loads(json.dumps(answer))

    def close(self) -> None:
        pass

    def describe(self, _: protocol.Describe) -> protocol.Described:
        return protocol.Described(self.device.host(self.number), protocol.Runtime("1", "CPUExecutionProvider"))

    def exists(self, _: protocol.Exists) -> protocol.Found:
        return protocol.Found(True)

    def state(self, _: protocol.ReadState) -> protocol.StateRead:
        return protocol.StateRead(self.device.state(), energy=False)

    def cpus(self, _: protocol.Cpus) -> protocol.UsableCpus:
        clusters = tuple(protocol.Cluster(cpus, None) for cpus in self.device.clusters)
        cpus = tuple(sorted(cpu for cluster in self.device.clusters for cpu in cluster)) or (0, 1)
        return protocol.UsableCpus(cpus, not clusters, clusters)

    def load(self, request: protocol.Load) -> protocol.Loaded:
        self.device.affinities.append(request.opening.affinity)
        self.device.threads.add(request.opening.options["threads"])
        self.ms = self.device.latency_ms(Path(request.opening.path))
        return protocol.Loaded(5.0, {}, "CPUExecutionProvider", ())

    def first(self, _: protocol.First) -> protocol.FirstRun:
        return protocol.FirstRun(2.0)

    def warmup(self, _: protocol.Warmup) -> protocol.Warmed:
        return protocol.Warmed((self.ms,), self.ms, self.device.state())

    def block(self, request: protocol.Block) -> protocol.Timed:
        return self.timing(self.ms, request.seconds)

    def finish(self, _: protocol.Finish) -> protocol.Finished:
        self.device.finished += 1
        end = self.device.state(int(self.device.throttled(self.device.finished)))
        return protocol.Finished(None, dataclasses.replace(end, **self.device.ended(self.device.finished)))

    def trace(self, request: protocol.Trace) -> protocol.Traced:
        path = Path(request.opening.path)
        return protocol.Traced(1, tuple(self.device.nodes(path, self.device.latency_ms(path))), ())
