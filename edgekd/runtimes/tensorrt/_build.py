"""Builds an engine by TensorRT's Python module."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._library import logger, parser_error, plain
from ._types import numpy_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekd.runtimes.tensorrt import Shapes

PRECISIONS = ("fp32", "fp16", "int8+fp32", "int8+fp16")
_SHOWN = 5


@dataclass(frozen=True)
class Wish:
    """The settings of an engine; see `tensorrt.build`."""

    precision: str = "fp32"
    dla_core: int | None = None
    workspace_mb: int | None = None
    tf32: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where there is no such precision."""
        if self.precision not in PRECISIONS:
            raise ValueError(f"it builds {', '.join(PRECISIONS)}, and {self.precision} was asked for")

    @property
    def half(self) -> bool:
        """Whether floats are computed in fp16."""
        return self.precision.endswith("fp16")

    @property
    def integers(self) -> bool:
        """Whether what the file quantises is computed in integers."""
        return self.precision.startswith("int8")


@dataclass(frozen=True)
class Parsed:
    """A network, with the parser, which owns its weights."""

    network: Any
    parser: Any
    typed: bool
    """Whether each tensor has the type that the file states, and no other."""


def build(trt: Any, path: str, engine: str, shapes: Shapes, *, wish: Wish, known_timings: Path) -> str:
    """Write the engine of an ONNX file; returns how it was built.

    Args:
        trt: TensorRT's module.
        path: the ONNX file.
        engine: where to write.
        shapes: gives the shape of each input by name, of a network that leaves axes open.
        wish: its settings.
        known_timings: the file of TensorRT's timing cache, which is read and written.

    Raises:
        ValueError: it can't be built.
    """
    log = logger(trt)
    log.clear()
    builder = trt.Builder(log)
    parsed = _parsed(trt, builder, path, wish)
    config = builder.create_builder_config()
    words = [f"tensorrt {trt.__version__} in Python", *_flags(trt, config, parsed, wish)]
    if wish.dla_core is not None:
        words.append(_on_dla(trt, builder, config, parsed.network, wish))
    _fix_shapes(builder, config, parsed.network, shapes)
    timings = _timings(config, known_timings)  # which must live until the engine is built
    plan = builder.build_serialized_network(parsed.network, config)
    if plan is None:
        raise ValueError(log.words("the builder gave no engine, and no reason"))
    Path(engine).write_bytes(plan)
    _keep(timings, known_timings)
    return ", ".join(words)


def precisions(trt: Any, builder: Any) -> list[str]:
    """Those of `PRECISIONS` that this version and this device have."""
    flags, typed = trt.BuilderFlag.__members__, _can_be_typed(trt)
    # those that lack the attribute are newer than any device without
    half = (typed or "FP16" in flags) and getattr(builder, "platform_has_fast_fp16", True)
    integers = (typed or "INT8" in flags) and getattr(builder, "platform_has_fast_int8", True)
    known = {"fp32": True, "fp16": half, "int8+fp32": integers, "int8+fp16": half and integers}
    return [precision for precision in PRECISIONS if known[precision]]


def _can_be_typed(trt: Any) -> bool:
    return "STRONGLY_TYPED" in trt.NetworkDefinitionCreationFlag.__members__


def _parsed(trt: Any, builder: Any, path: str, wish: Wish) -> Parsed:
    """The network of the file: strongly typed where that gives what is wished."""
    weakly = "FP16" in trt.BuilderFlag.__members__
    if not _can_be_typed(trt) or (wish.dla_core is not None and weakly):  # a DLA takes weakly typed networks
        found = _parse(trt, builder, path, typed=False)
    else:
        found = _parse(trt, builder, path, typed=True)
        if wish.half and trt.DataType.HALF not in _types(found.network):
            if not weakly:
                version = f"TensorRT {trt.__version__} computes in the types that a file states"
                raise ValueError(f"{version}, and this one states no fp16: export it in {wish.precision}")
            found = _parse(trt, builder, path, typed=False)
    if not wish.half and trt.DataType.HALF in _types(found.network):
        raise ValueError(f"{wish.precision} was asked for, and the file states fp16")
    if wish.integers and not any(layer.type == trt.LayerType.QUANTIZE for layer in _layers(found.network)):
        raise ValueError(f"{wish.precision} was asked for, and the file quantises nothing (no QuantizeLinear)")
    return found


def _parse(trt: Any, builder: Any, path: str, *, typed: bool) -> Parsed:
    known, flags = trt.NetworkDefinitionCreationFlag.__members__, 0
    # version 8 needs the flag for an explicit batch axis, version 11 has no other mode
    for name in ("EXPLICIT_BATCH", *(("STRONGLY_TYPED",) if typed else ())):
        flags |= 1 << int(known[name]) if name in known else 0
    network = builder.create_network(flags)
    log = logger(trt)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(path):
        errors = "; ".join(parser_error(parser.get_error(i)) for i in range(parser.num_errors))
        raise ValueError(plain(errors) or log.words("the ONNX parser can't read it"))
    return Parsed(network, parser, typed)


def _layers(network: Any) -> Iterator[Any]:
    return (network.get_layer(i) for i in range(network.num_layers))


def _types(network: Any) -> set[Any]:
    """The types of all tensors."""
    outputs = (layer.get_output(i) for layer in _layers(network) for i in range(layer.num_outputs))
    return {output.dtype for output in outputs if output is not None}


def _flags(trt: Any, config: Any, parsed: Parsed, wish: Wish) -> list[str]:
    """Set the flags of the builder; returns them in words."""
    words = ["strongly typed" if parsed.typed else "weakly typed"]
    # layers are reported with their types, to traces
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if wish.tf32:
        words.append("TF32")
    else:  # it is on by itself
        config.clear_flag(trt.BuilderFlag.TF32)
    if wish.workspace_mb is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, wish.workspace_mb * 1_000_000)
        words.append(f"workspace {wish.workspace_mb} MB")
    if not parsed.typed:
        for name, wished in (("INT8", wish.integers), ("FP16", wish.half)):
            if wished:
                config.set_flag(trt.BuilderFlag.__members__[name])
                words.append(name)
    return words


def _on_dla(trt: Any, builder: Any, config: Any, network: Any, wish: Wish) -> str:
    """Put what can be on the DLA core, and the rest on the GPU; returns what is where."""
    core, cores = wish.dla_core, max(0, builder.num_DLA_cores)
    if core not in range(cores):
        raise ValueError(f"DLA core {core} was asked for, and the device has {cores or 'none'}")
    if wish.precision == "fp32":
        raise ValueError("a DLA computes in fp16 and int8, not in fp32")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    layers = [*_layers(network)]
    others = [layer.name for layer in layers if not config.can_run_on_DLA(layer)]
    if len(others) == len(layers):
        raise ValueError("a DLA can run none of its layers")
    if not others:
        return f"DLA core {core}"
    named = ", ".join(others[:_SHOWN]) + (" …" if len(others) > _SHOWN else "")
    return f"DLA core {core}, the GPU for {len(others)} of {len(layers)} layers ({named})"


def _fix_shapes(builder: Any, config: Any, network: Any, shapes: Shapes) -> None:
    """Give axes that the network leaves open the sizes that it is fed."""
    tensors = [network.get_input(i) for i in range(network.num_inputs)]
    taken = [
        {
            "name": tensor.name,
            "shape": [size if size >= 0 else None for size in tensor.shape],
            "dtype": numpy_name(tensor.dtype),
        }
        for tensor in tensors
    ]
    if not any(None in one["shape"] for one in taken):
        return
    profile = builder.create_optimization_profile()
    for name, shape in shapes(taken).items():
        profile.set_shape(name, tuple(shape), tuple(shape), tuple(shape))
    config.add_optimization_profile(profile)


def _timings(config: Any, file: Path) -> Any:
    """TensorRT's cache of timings, with those of earlier builds; a damaged one, or another device's, it refuses."""
    try:
        known = file.read_bytes()
    except OSError:
        known = b""
    for data in (known, b""):
        cache = config.create_timing_cache(data)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None


def _keep(timings: Any, file: Path) -> None:
    """Keep the cache for later builds; of two builds at once that of the last one."""
    if timings is None:
        return
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_bytes(timings.serialize())
    partial.replace(file)
