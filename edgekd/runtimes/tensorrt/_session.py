"""Runs an engine: inputs go to the device's memory, outputs come back, on one stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._layers import nodes
from ._library import logger
from ._types import numpy_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekd.runtimes.tensorrt._cuda import Cuda


@dataclass(frozen=True)
class Tensor:
    """An input or output of an engine, and its place in the device's memory."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    is_input: bool
    address: int


def opened(trt: Any, cuda: Cuda, path: str, *, provider: str, dla_core: int | None, traced: bool) -> Session:
    """The engine in a file. Raises ValueError if it can't be loaded, or doesn't fit into the device's memory."""
    log = logger(trt)
    log.clear()
    runtime = trt.Runtime(log)
    if dla_core is not None:
        runtime.DLA_core = dla_core
    try:
        plan = Path(path).read_bytes()
    except OSError as e:
        raise ValueError(f"the engine can't be read: {e.strerror}") from e
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise ValueError(log.words("the engine can't be loaded: it was built by another TensorRT or for another GPU"))
    context = engine.create_execution_context()
    if context is None:
        raise ValueError(log.words("there is no memory to run the engine in"))
    return Session(trt, cuda, runtime, engine, context, provider=provider, traced=traced)


class Session:
    """A loaded engine; see `_base.Session`, and of a runtime with memory of its own.

    Args:
        trt: TensorRT's module.
        cuda: CUDA's library.
        runtime: that loaded the engine, and must outlive it.
        engine: the engine.
        context: in which it runs.
        provider: what runs it.
        traced: whether layers are timed.
    """

    def __init__(
        self, trt: Any, cuda: Cuda, runtime: Any, engine: Any, context: Any, *, provider: str, traced: bool
    ) -> None:
        self._trt, self._cuda, self._runtime, self._engine, self._context = trt, cuda, runtime, engine, context
        self.provider = provider
        self._stream, self._events = cuda.stream(), (cuda.event(), cuda.event())
        self._tensors: list[Tensor] = []
        self._place_tensors()
        self._profiler: Any = _profiler(trt) if traced else None
        if traced:
            context.profiler = self._profiler

    def __del__(self) -> None:
        """Give its memory back: artifacts are opened one after the other in a process that evaluates."""
        for tensor in getattr(self, "_tensors", ()):  # opening may have failed
            self._cuda.free(tensor.address)
        for event in getattr(self, "_events", ()):
            self._cuda.end_event(event)
        if hasattr(self, "_stream"):
            self._cuda.end_stream(self._stream)

    def inputs(self) -> list[dict[str, Any]]:
        """Name, shape and numpy dtype name of each input; its shapes are fixed."""
        return [{"name": t.name, "shape": [*t.shape], "dtype": t.dtype} for t in self._tensors if t.is_input]

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """One inference from the host's memory to the host's memory; blocks until the outputs are there."""
        import numpy as np

        self._copy(feeds)
        self._begin()
        outputs = []
        for tensor in self._tensors:
            if not tensor.is_input:
                outputs.append(np.empty(tensor.shape, tensor.dtype))
                self._cuda.to_host(outputs[-1], tensor.address, self._stream)
        self._cuda.synchronize(self._stream)
        return outputs

    def place(self, feeds: Mapping[str, Any]) -> None:
        """Copy inputs to the device's memory, for `compute`."""
        self._copy(feeds)
        self._cuda.synchronize(self._stream)

    def compute(self) -> None:
        """One inference on the inputs that are in the device's memory, where its outputs stay."""
        self._begin()
        self._cuda.synchronize(self._stream)

    def accelerator_ms(self) -> float:
        """Of the last inference, what lies between the events around its computation: without copies."""
        return self._cuda.elapsed_ms(*self._events)

    def nodes(self, cold: int) -> list[dict[str, Any]]:
        """The fields of `values.Node` of every layer, but for its first `cold` inferences."""
        return nodes(self._trt, self._engine, self._profiler.runs[cold:] or self._profiler.runs)

    def _copy(self, feeds: Mapping[str, Any]) -> None:
        import numpy as np

        for tensor in self._tensors:
            if tensor.is_input:
                values = np.ascontiguousarray(feeds[tensor.name], tensor.dtype)
                if values.shape != tensor.shape:
                    raise ValueError(f"input {tensor.name!r} is {values.shape}, and the engine takes {tensor.shape}")
                self._cuda.to_device(tensor.address, values, self._stream)

    def _begin(self) -> None:
        """Begin to compute."""
        if self._profiler is not None:
            self._profiler.runs.append({})
        start, end = self._events
        self._cuda.record(start, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise ValueError(logger(self._trt).words("the engine can't be run"))
        self._cuda.record(end, self._stream)

    def _place_tensors(self) -> None:
        engine, context = self._engine, self._context
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT]
        for name in inputs:
            if -1 in engine.get_tensor_shape(name):
                context.set_input_shape(name, engine.get_tensor_profile_shape(name, 0)[1])
        for name in names:
            shape, dtype = tuple(context.get_tensor_shape(name)), numpy_name(engine.get_tensor_dtype(name))
            if -1 in shape or engine.get_tensor_location(name) != self._trt.TensorLocation.DEVICE:
                raise ValueError(f"{name!r} has a shape that depends on values, which edgekd can't run on TensorRT")
            address = self._cuda.allocate(math.prod(shape) * _size(dtype))
            self._tensors.append(Tensor(name, shape, dtype, name in inputs, address))
            context.set_tensor_address(name, address)


def _size(dtype: str) -> int:
    import numpy as np

    return np.dtype(dtype).itemsize


def _profiler(trt: Any) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[misc]
        """Keeps the milliseconds of each layer, of each inference."""

        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.runs: list[dict[str, float]] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            """Called by TensorRT, once the layer has run."""
            self.runs[-1][layer_name] = self.runs[-1].get(layer_name, 0.0) + ms

    return Profiler()
