"""ONNX Runtime on the CPU.

Loaded by path on devices (see `_base`): it imports nothing from edgekd and runs on Python 3.8. The library is imported
late, so that the host can read the settings of a runtime that only the device has.
"""

from __future__ import annotations

import bisect
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import onnxruntime

    from edgekd.runtimes._base import Reads, Setting

# it reports its use to Microsoft, and keeps an identity in the home directory, unless this is set before its import
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

formats = ("onnx", "ort")
builds = False
CLOCK_US = 1.0

SETTINGS: Mapping[str, Setting] = {
    "threads": {"kind": "count", "default": 1, "help": "CPU threads of each operator"},
    "spinning": {"kind": "switch", "default": True, "help": "whether waiting threads spin"},
    "exact_integers": {
        "kind": "switch",
        "default": False,
        "help": "whether x86 CPUs without VNNI add INT8 products exactly, as other CPUs do; they are slower then",
    },
    "provider": {"kind": "text", "default": None, "help": "the execution provider; the CPU's by default"},
    "provider_options": {"kind": "options", "default": {}, "help": "options of the execution provider"},
}

# Both as tried with a wheel of each version, 1.8 to 1.32: models of one node of every opset and IR version, of every
# operator of com.microsoft, and the test models of ONNX's releases; from 1.16 on with the kernels that it lists.
READS: Sequence[Reads] = tuple(
    {"since": since, "opset": opset, "ir_version": ir_version}
    for since, opset, ir_version in (
        ((1, 8), 14, 7),
        ((1, 9), 15, 8),
        ((1, 11), 16, 8),
        ((1, 12), 17, 8),
        ((1, 14), 18, 8),
        ((1, 15), 19, 9),
        ((1, 17), 20, 9),
        ((1, 18), 21, 10),
        ((1, 21), 22, 10),
        ((1, 23), 23, 11),
        ((1, 24), 25, 13),
        ((1, 25), 26, 13),
        ((1, 32), 28, 14),
        ((1, 33), None, None),
    )
)

_LATER = {
    (1, 9): "com.microsoft:GridSample com.microsoft:NGramRepeatBlock com.microsoft:QEmbedLayerNormalization "
    "com.microsoft:QGemm com.microsoft:SparseToDenseMatMul",
    (1, 13): "com.microsoft:QLinearSoftmax",
    (1, 14): "com.microsoft:MultiHeadAttention com.microsoft:QLinearWhere com.microsoft:QuickGelu "
    "com.microsoft:SkipSimplifiedLayerNormalization",
    (1, 16): "AveragePool-19 Cast-19 DequantizeLinear-19 Equal-19 Identity-19 Pad-19 QuantizeLinear-19 Reshape-19 "
    "Size-19 com.microsoft:MatMulBnb4 com.microsoft:MatMulNBits com.microsoft:RotaryEmbedding",
    (1, 18): "com.microsoft:GroupQueryAttention",
    (1, 19): "com.microsoft:SparseAttention",
    (1, 20): "com.microsoft:GatherBlockQuantized",
    (1, 23): "com.microsoft:MoE com.microsoft:QMoE",
    (1, 25): "DeformConv-19 DeformConv-22 TensorScatter-24 com.microsoft:CausalConvWithState "
    "com.microsoft:LinearAttention",
}
OPERATORS: Mapping[str, tuple[int, int]] = {name: since for since, names in _LATER.items() for name in names.split()}

_PROVIDER = "CPUExecutionProvider"

EXACT_INTEGERS = ("session.x64quantprecision", "1")
"""The entry of a session's configuration without which x86 CPUs that have no VNNI add products of unsigned and signed
integers in 16 bits, which saturate: a file gives other results there than anywhere else. Other CPUs ignore it.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

_NODE_SUFFIX = "_kernel_time"  # name suffix of trace events that are nodes

_NUMPY_NAMES = {"float": "float32", "double": "float64"}  # the other names are the same as numpy's


def describe() -> dict[str, str]:
    """The version and the default execution provider."""
    import onnxruntime

    return {"version": onnxruntime.__version__, "provider": _PROVIDER}


class Session:
    """An opened model; see `_base.Session`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]
        self.provider: str = session.get_providers()[0]

    def inputs(self) -> list[dict[str, Any]]:
        """Name, shape (with strings or None for dynamic axes) and numpy dtype name of each input."""
        return [
            {"name": i.name, "shape": list(i.shape), "dtype": _numpy_name(i.type)} for i in self._session.get_inputs()
        ]

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """One inference; blocks until the outputs are available."""
        outputs: list[Any] = self._session.run(self._outputs, feeds)
        return outputs

    def nodes(self, cold: int) -> list[dict[str, Any]]:
        """The fields of `values.Node` of every node, without the first `cold` inferences; ends the session's trace.

        Source: the Chrome trace of ONNX Runtime's profiler, whose times are whole microseconds.
        """
        with Path(self._session.end_profiling()).open(encoding="utf-8", errors="backslashreplace") as file:
            events = json.load(file)
        runs = [event for event in events if event["name"] == "model_run"]
        return _nodes([event for event in events if event.get("cat") == "Node"], runs[cold:] or runs)


def open(
    path: str,
    *,
    threads: int = 1,
    spinning: bool = True,
    exact_integers: bool = False,
    provider: str | None = None,
    provider_options: Mapping[str, str] | None = None,
    trace_in: str | None = None,
) -> Session:
    """Load the model. Operators run sequentially, each on `threads` CPU threads.

    Args:
        path: the model file.
        threads: threads per operator.
        spinning: whether waiting threads spin.
        exact_integers: whether x86 CPUs without VNNI compute INT8 as all others do; see `EXACT_INTEGERS`.
        provider: the execution provider; nodes that it doesn't support run on the CPU. None: only the CPU.
        provider_options: options of the provider, as in its documentation.
        trace_in: a folder for the trace that `Session.nodes` reads.

    Raises:
        ValueError: the model can't be loaded; the text is the runtime's message without prefixes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # warnings about the graph don't matter for a measurement
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    if exact_integers:
        options.add_session_config_entry(*EXACT_INTEGERS)
    if trace_in:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(trace_in) / "trace")
    providers = _providers(provider, provider_options or {})
    try:
        session = Session(onnxruntime.InferenceSession(path, options, providers=providers))
    except Exception as e:  # its exceptions have no common base class
        raise ValueError(_own_words(e)) from e
    if provider and session.provider != provider:  # it only warns if a provider's libraries are missing
        raise ValueError(f"{provider} couldn't be started, and {session.provider} was used instead")
    return session


def _nodes(events: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The nodes with their time per inference: each node's mean over the faster half of the runs that it is in, since
    interruptions on a shared machine slow down another few nodes in each run.

    A node in the body of a Loop may run several times per inference, one in the body of an If not in every inference.
    The time of a body counts for the nodes in it, and not again for its Loop or If.
    """
    spans = sorted((run["ts"], run["ts"] + run["dur"]) for run in runs)
    starts = [start for start, _ in spans]
    found: dict[tuple[str, str, str, str], dict[int, float]] = {}
    for event, own in _own_times([e for e in events if e["name"].endswith(_NODE_SUFFIX)]):
        args = event["args"]
        name = event["name"][: -len(_NODE_SUFFIX)]
        node = (name, args.get("op_name", ""), args.get("provider", ""), args.get("node_index", ""))
        in_runs = found.setdefault(node, {})
        run = bisect.bisect(starts, event["ts"]) - 1
        if run >= 0 and event["ts"] <= spans[run][1]:
            in_runs[run] = in_runs.get(run, 0.0) + own
    return [
        {"name": name, "op": op, "provider": provider, "ms": _of_faster_half(in_runs.values(), len(spans)) / 1e3}
        for (name, op, provider, _), in_runs in found.items()
    ]


def _of_faster_half(times: Collection[float], runs: int) -> float:
    """The mean of the faster half, per run if it isn't in all of so many runs."""
    if not times:
        return 0.0
    half = sorted(times)[: (len(times) + 1) // 2]
    return sum(half) / len(half) * len(times) / runs


def _own_times(events: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], float]]:
    """Each event in order of its start, with its microseconds excluding nested events."""
    # events are written when they end: of two equal ones the second is the outer one
    own: list[list[Any]] = []
    around: list[list[Any]] = []
    for _, event in sorted(enumerate(events), key=lambda e: (e[1]["ts"], -e[1]["dur"], -e[0])):
        while around and event["ts"] >= around[-1][0]["ts"] + around[-1][0]["dur"]:
            around.pop()
        if around:
            around[-1][1] -= event["dur"]
        own.append([event, event["dur"]])
        around.append(own[-1])
    return [(event, max(0.0, us)) for event, us in own]


def _providers(first: str | None, options: Mapping[str, str]) -> list[Any]:
    import onnxruntime

    known = onnxruntime.get_available_providers()
    if first is None or first == _PROVIDER:
        return [(_PROVIDER, dict(options))]
    if first not in known:
        raise ValueError(f"the provider {first!r} is not available here; available: {', '.join(known)}")
    return [(first, dict(options)), _PROVIDER]


def _numpy_name(kind: str) -> str:
    element = kind[len("tensor(") : -1] if kind.startswith("tensor(") else kind
    return _NUMPY_NAMES.get(element, element)


def _own_words(error: Exception) -> str:
    """The first line without a prefix such as "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF :"."""
    words = (str(error).strip() or type(error).__name__).splitlines()[0]
    return words.split(" : ", 3)[-1][:500] if words.startswith("[ONNXRuntimeError]") else words[:500]
