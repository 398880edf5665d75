# ruff: noqa: B905, F821, N802, N807 - Python 3.8, enumerations are made from the file, names are TensorRT's
"""TensorRT as its Python module looks to who builds and runs engines, of the version in $FAKE_TENSORRT_VERSION.

Each class and enumeration has exactly the members, and each member the value, that this version has (surface.json, read
off NVIDIA's own wheels): using another one raises AttributeError, as it does there. Engines hold the ONNX file and
compute by ONNX Runtime, at the addresses that they are given.

Environment: FAKE_TENSORRT_DLA_CORES; FAKE_TENSORRT_BUILD_S, the seconds of a build that isn't in the timing cache;
FAKE_TENSORRT_FAILS, whether engines fail to run.
"""

import ctypes
import hashlib
import json
import os
import time
from pathlib import Path

from tensorrt import _onnx

__version__ = os.environ.get("FAKE_TENSORRT_VERSION", "10.3.0")
_SURFACES = json.loads(Path(__file__).with_name("surface.json").read_text(encoding="utf-8"))
if __version__ not in _SURFACES:
    raise ImportError(f"there is no fake TensorRT {__version__}, only {', '.join(_SURFACES)}")
_SURFACE = _SURFACES[__version__]
_KNOWN = {}


def _enumeration(name, members):
    """As pybind11 makes them: int() works, comparing sizes doesn't."""

    def __init__(self, label, value):
        self.name, self.value = label, value

    body = {
        "__init__": __init__,
        "__int__": lambda self: self.value,
        "__eq__": lambda self, other: type(self) is type(other) and self.value == other.value,
        "__hash__": lambda self: self.value,
        "__repr__": lambda self: f"<{name}.{self.name}: {self.value}>",
    }
    kind = type(name, (), body)
    kind.__members__ = {label: kind(label, value) for label, value in members.items()}
    for label, member in kind.__members__.items():
        setattr(kind, label, member)
    return kind


for _name, _members in _SURFACE["enums"].items():
    globals()[_name] = _enumeration(_name, _members)


def _of_this_version(kind):
    """The class with the members alone that this version has."""
    name = kind.__name__
    _KNOWN[name] = {member for member in vars(kind) if not member.startswith("_")} | set(getattr(kind, "_SET", ()))
    members = _SURFACE["classes"][name]

    def __setattr__(self, attribute, value):
        if not attribute.startswith("_") and attribute not in members:
            raise AttributeError(f"'{name}' object has no attribute '{attribute}'")
        object.__setattr__(self, attribute, value)

    body = {key: value for key, value in vars(kind).items() if key.startswith("_") or key in members}
    body.pop("__dict__", None)
    body.pop("__weakref__", None)
    return type(name, (), {**body, "__setattr__": __setattr__})


class ILogger:
    Severity = _enumeration("Severity", {"INTERNAL_ERROR": 0, "ERROR": 1, "WARNING": 2, "INFO": 3, "VERBOSE": 4})

    def __init__(self):
        self._made = True


class IProfiler:
    def __init__(self):
        self._made = True


_logger = None


def _logged(logger):
    """The logger; TensorRT keeps the first of a process."""
    global _logger
    if not isinstance(logger, ILogger) or not hasattr(logger, "_made"):
        raise TypeError("incompatible function arguments: a logger is needed")
    _logger = _logger or logger
    return _logger


def _error(message):
    _logger.log(ILogger.Severity.ERROR, f"[network.cpp::validate::3062] {message} (In validate at network.cpp:3062)")


class Dims(tuple):
    """A shape."""


_TYPES = {1: "FLOAT", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "HALF", 16: "BF16"}
_NUMPY = {"FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "INT64": "int64", "BOOL": "bool"}
_NUMPY["UINT8"] = "uint8"


def _type(onnx_type):
    return DataType.__members__[_TYPES[onnx_type]]


class _Tensor:
    def __init__(self, name, onnx_type, shape=()):
        self.name, self.dtype = name, _type(onnx_type)
        self.shape = Dims(-1 if size is None else size for size in shape)


_LAYERS = {"Conv": "CONVOLUTION", "QuantizeLinear": "QUANTIZE", "DequantizeLinear": "DEQUANTIZE"}
_LAYERS["Gemm"] = "MATRIX_MULTIPLY"


class _Layer:
    def __init__(self, node, number):
        self.name = node.name or f"{node.op}_{number}"
        self.op, self.type = node.op, LayerType.__members__[_LAYERS.get(node.op, "ACTIVATION")]
        self.num_outputs = len(node.outputs)
        self._outputs = [_Tensor(name, kind) for name, kind in zip(node.outputs, node.types)]
        self.integers = False

    def get_output(self, i):
        return self._outputs[i]


@_of_this_version
class INetworkDefinition:
    def __init__(self, flags):
        known = NetworkDefinitionCreationFlag.__members__
        if flags >> (1 + max(map(int, known.values()))):
            raise ValueError(f"unknown flags {flags}")
        self._typed = "STRONGLY_TYPED" in known and bool(flags & (1 << int(known["STRONGLY_TYPED"])))
        self._batched = "EXPLICIT_BATCH" not in known or bool(flags & (1 << int(known["EXPLICIT_BATCH"])))
        self._path, self._graph = None, None

    @property
    def num_layers(self):
        return len(self._layers)

    def get_layer(self, i):
        return self._layers[i]

    @property
    def num_inputs(self):
        return len(self._inputs)

    def get_input(self, i):
        return self._inputs[i]

    def _read(self, path):
        self._path, self._graph = path, _onnx.read(Path(path).read_bytes())
        self._layers = [_Layer(node, i) for i, node in enumerate(self._graph.nodes)]
        self._inputs = [_Tensor(name, kind, shape) for name, (kind, shape) in self._graph.inputs.items()]


@_of_this_version
class ParserError:
    def __init__(self, node, name, op, desc):
        self._node, self._name, self._op, self._desc = node, name, op, desc

    def node(self):
        return self._node

    def node_name(self):
        return self._name

    def node_operator(self):
        return self._op

    def desc(self):
        return self._desc


_OPS = {
    "Conv",
    "Relu",
    "Clip",
    "Add",
    "Mul",
    "Gemm",
    "MatMul",
    "MaxPool",
    "GlobalAveragePool",
    "AveragePool",
    "Flatten",
}
_OPS |= {"Reshape", "QuantizeLinear", "DequantizeLinear", "Cast", "Concat", "Identity", "Neg", "ReduceMean", "Sigmoid"}
_OPS |= {
    "HardSigmoid",
    "HardSwish",
    "BatchNormalization",
    "Softmax",
    "Transpose",
    "Constant",
    "Sub",
    "Div",
    "Pad",
    "Slice",
}
_OPS |= {"Squeeze", "Unsqueeze", "Shape", "Gather"}


@_of_this_version
class OnnxParser:
    def __init__(self, network, logger):
        _logged(logger)
        self._network, self._errors = network, []

    def parse_from_file(self, path):
        try:
            self._network._read(path)
        except (OSError, ValueError) as e:
            self._errors = [ParserError(-1, "", "", f"Assertion failed: {e}")]
            return False
        for i, node in enumerate(self._network._graph.nodes):
            if node.op not in _OPS:
                why = "Plugin not found, are the plugin name, version, and namespace correct? (at op.cpp:12)"
                self._errors.append(ParserError(i, node.name, node.op, why))
            elif (
                node.op in ("QuantizeLinear", "DequantizeLinear") and __version__.startswith("8.") and 10 in node.scales
            ):
                self._errors.append(ParserError(i, node.name, node.op, "Assertion failed: scale must be of type FLOAT"))
        return not self._errors

    @property
    def num_errors(self):
        return len(self._errors)

    def get_error(self, i):
        return self._errors[i]


@_of_this_version
class IOptimizationProfile:
    def __init__(self):
        self._shapes = {}

    def set_shape(self, name, least, usual, most):
        assert all(isinstance(shape, tuple) for shape in (least, usual, most))
        self._shapes[name] = [list(least), list(usual), list(most)]


@_of_this_version
class ITimingCache:
    def __init__(self, known):
        self._known = known

    def serialize(self):
        return json.dumps({"version": __version__, "known": sorted(self._known)}).encode()


@_of_this_version
class IBuilderConfig:
    _SET = ("DLA_core", "default_device_type", "profiling_verbosity")

    def __init__(self):
        self._flags, self._profile, self._timings, self._memory = {"TF32"}, None, None, {}
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.default_device_type, self.DLA_core = DeviceType.GPU, -1

    def set_flag(self, flag):
        assert isinstance(flag, BuilderFlag)
        self._flags.add(flag.name)

    def clear_flag(self, flag):
        assert isinstance(flag, BuilderFlag)
        self._flags.discard(flag.name)

    def set_memory_pool_limit(self, pool, size):
        assert isinstance(pool, MemoryPoolType)
        self._memory[pool.name] = size

    def add_optimization_profile(self, profile):
        self._profile = profile
        return 0

    def can_run_on_DLA(self, layer):
        return layer.op in ("Conv", "Relu", "Add", "MaxPool", "QuantizeLinear", "DequantizeLinear")

    def create_timing_cache(self, data):
        try:
            return ITimingCache(set(json.loads(data)["known"])) if data else ITimingCache(set())
        except ValueError:
            return None

    def set_timing_cache(self, cache, ignore_mismatch):
        self._timings = cache
        return True

    def get_timing_cache(self):
        return self._timings


class IHostMemory(bytes):
    """A serialised engine."""


@_of_this_version
class Builder:
    def __init__(self, logger):
        _logged(logger)

    @property
    def num_DLA_cores(self):
        return int(os.environ.get("FAKE_TENSORRT_DLA_CORES", "0"))

    platform_has_fast_fp16 = platform_has_fast_int8 = True

    def create_network(self, flags=0):
        return INetworkDefinition(flags)

    def create_builder_config(self):
        return IBuilderConfig()

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        why = _refused(network, config)
        if why:
            _error(why)
            return None
        data = Path(network._path).read_bytes()
        key = hashlib.sha256(data).hexdigest()
        if config._timings is None or key not in config._timings._known:
            time.sleep(float(os.environ.get("FAKE_TENSORRT_BUILD_S", "0")))
        if config._timings is not None:
            config._timings._known.add(key)
        shapes = config._profile._shapes if config._profile else {}
        header = {
            "version": __version__,
            "flags": sorted(config._flags),
            "typed": network._typed,
            "shapes": shapes,
            "memory": config._memory,
            "detailed": config.profiling_verbosity == ProfilingVerbosity.DETAILED,
            "dla": config.DLA_core if config.default_device_type == DeviceType.DLA else None,
            "on_dla": [config.can_run_on_DLA(layer) for layer in network._layers],
            "path": str(Path(network._path).resolve()),
        }
        return IHostMemory(json.dumps(header).encode() + b"\n" + data)


def _refused(network, config):
    """Why the builder would refuse a network; None if it would not."""
    kinds = {layer.get_output(i).dtype.name for layer in network._layers for i in range(layer.num_outputs)}
    lowered = config._flags & {"FP16", "INT8"}
    quantised = any(layer.type.name == "QUANTIZE" for layer in network._layers)
    fixed = config._profile._shapes if config._profile else {}
    is_open = any(-1 in tensor.shape and tensor.name not in fixed for tensor in network._inputs)
    on_dla, weak = config.default_device_type == DeviceType.DLA, not network._typed
    reasons = {
        "Error Code 4: Internal Error (networks with implicit batch can't be parsed)": not network._batched,
        "Error Code 3: API Usage Error (precision flags with a strongly typed network)": network._typed and lowered,
        "Error Code 4: the network has Q/DQ, and INT8 isn't set": weak and quantised and "INT8" not in lowered,
        "Error Code 4: the network has HALF, and FP16 isn't set": weak and "HALF" in kinds and "FP16" not in lowered,
        "Error Code 4: dynamic inputs, but no optimization profile": is_open,
        "Error Code 4: GPU fallback is off": on_dla and "GPU_FALLBACK" not in config._flags,
    }
    return next((why for why, so in reasons.items() if so), None)


class _Held:
    """What an engine holds: its header, the file, and a session of ONNX Runtime."""

    def __init__(self, plan):
        import onnxruntime

        header, _, self.onnx = plan.partition(b"\n")
        self.header = json.loads(header)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.graph = _onnx.read(self.onnx)
        if any(node.op == "QuantizeLinear" for node in self.graph.nodes):  # its own meaning of Q and DQ, literally
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self.session = onnxruntime.InferenceSession(self.onnx, options, providers=["CPUExecutionProvider"])
        except Exception:  # its weights are in files beside it
            self.session = onnxruntime.InferenceSession(self.header["path"], options)
        self.inputs = {name: (kind, shape) for name, (kind, shape) in self.graph.inputs.items()}
        self.outputs = [output.name for output in self.session.get_outputs()]


@_of_this_version
class Runtime:
    _SET = ("DLA_core",)

    def __init__(self, logger):
        _logged(logger)
        self.DLA_core = -1

    def deserialize_cuda_engine(self, plan):
        try:
            held = _Held(bytes(plan))
        except (ValueError, UnicodeDecodeError):
            _error("Error Code 1: Serialization (Serialization assertion magicTag failed.Magic tag does not match)")
            return None
        if held.header["version"] != __version__:
            _error(f"Error Code 6: The engine plan file is not compatible with this version of TensorRT, {__version__}")
            return None
        if held.header["dla"] is not None and held.header["dla"] != self.DLA_core:
            _error("Error Code 3: API Usage Error (the engine is for another DLA core)")
            return None
        return ICudaEngine(held)


_ONNX_NAMES = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(double)": "FLOAT"}


@_of_this_version
class ICudaEngine:
    def __init__(self, held):
        self._held = held
        self._outputs = {output.name: output.type for output in held.session.get_outputs()}

    @property
    def num_io_tensors(self):
        return len(self._held.inputs) + len(self._outputs)

    def get_tensor_name(self, i):
        return [*self._held.inputs, *self._outputs][i]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name in self._held.inputs else TensorIOMode.OUTPUT

    def get_tensor_location(self, name):
        return TensorLocation.DEVICE

    def get_tensor_dtype(self, name):
        if name in self._held.inputs:
            return _type(self._held.inputs[name][0])
        kind = self._outputs[name]
        return DataType.__members__[_ONNX_NAMES.get(kind, kind[len("tensor(") : -1].upper())]

    def get_tensor_shape(self, name):
        assert name in self._held.inputs
        return Dims(-1 if size is None else size for size in self._held.inputs[name][1])

    def get_tensor_profile_shape(self, name, profile):
        return [Dims(shape) for shape in self._held.header["shapes"][name]]

    @property
    def num_layers(self):
        return len(self._held.graph.nodes)

    def create_execution_context(self):
        return IExecutionContext(self, self._held)

    def create_engine_inspector(self):
        return EngineInspector(self._held)


def _label(node, number):
    return node.name or f"{node.op}_{number}"


@_of_this_version
class EngineInspector:
    def __init__(self, held):
        self._held = held

    def get_layer_information(self, i, kind):
        assert kind == LayerInformationFormat.JSON
        node, header = self._held.graph.nodes[i], self._held.header
        if not header["detailed"]:
            return json.dumps(_label(node, i))
        on_dla = header["dla"] is not None and header["on_dla"][i]
        made = {1: "FP32", 3: "Int8", 10: "FP16"}[node.types[0]] if node.types else "FP32"
        taken = "Int8" if self._takes_integers(node) else "FP32" if node.op == "QuantizeLinear" else made
        kinds = {"Conv": "CaskConvolution", "QuantizeLinear": "Quantize", "DequantizeLinear": "Dequantize"}
        layer = {
            "Name": _label(node, i),
            "LayerType": "DLA" if on_dla else kinds.get(node.op, node.op),
            "Inputs": [_told(taken)],
            "Outputs": [_told(made)],
            "TacticName": f"sm80_{node.op.lower()}",
        }
        return json.dumps(layer)

    def _takes_integers(self, node):
        """Whether it takes integers itself, or is a convolution that has the DequantizeLinear before it in itself."""
        before = [one for one in self._held.graph.nodes if one.outputs[0] == node.inputs[0]]
        fused = node.op == "Conv" and before and before[0].op == "DequantizeLinear"
        return node.op == "DequantizeLinear" or bool(fused)


def _told(kind):
    """A tensor, as versions before 11 and since tell it."""
    if int(__version__.partition(".")[0]) < 11:
        return {"Dimensions": [1], "Format/Datatype": f"Row major linear {kind}"}
    return {"Dimensions": [1], "Format": "kLINEAR", "Datatype": {"FP32": "Float", "FP16": "Half"}.get(kind, kind)}


@_of_this_version
class IExecutionContext:
    _SET = ("profiler",)

    def __init__(self, engine, held):
        self._engine, self._held, self._addresses, self._profiler = engine, held, {}, None
        self.profiler = None
        self._shapes = {name: engine.get_tensor_shape(name) for name in held.inputs}
        self._results = None

    def set_input_shape(self, name, shape):
        self._shapes[name] = Dims(shape)
        return True

    def get_tensor_shape(self, name):
        if name in self._shapes:
            return self._shapes[name]
        if any(-1 in shape for shape in self._shapes.values()):
            return Dims((-1,))
        import numpy as np

        if self._results is None:
            zeros = {given: np.zeros(shape, _numpy(self._engine, given)) for given, shape in self._shapes.items()}
            found = self._held.session.run(self._held.outputs, zeros)
            self._results = {given: Dims(value.shape) for given, value in zip(self._held.outputs, found)}
        return self._results[name]

    def set_tensor_address(self, name, address):
        assert isinstance(address, int)
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle):
        import numpy as np

        assert stream_handle, "the default stream"
        if os.environ.get("FAKE_TENSORRT_FAILS"):
            _error("Error Code 1: Cask (Cask convolution execution)")
            return False
        start, feeds = time.perf_counter(), {}
        for name, shape in self._shapes.items():
            feeds[name] = np.empty(shape, _numpy(self._engine, name))
            ctypes.memmove(feeds[name].ctypes.data, self._addresses[name], feeds[name].nbytes)
        for name, value in zip(self._held.outputs, self._held.session.run(self._held.outputs, feeds)):
            value = np.ascontiguousarray(value)
            ctypes.memmove(self._addresses[name], value.ctypes.data, value.nbytes)
        if self.profiler is not None:
            nodes = self._held.graph.nodes
            for i, node in enumerate(nodes):
                ms = 1e3 * (time.perf_counter() - start) / len(nodes)
                self.profiler.report_layer_time(_label(node, i), ms)
        return True


def _numpy(engine, name):
    return _NUMPY[engine.get_tensor_dtype(name).name]
