"""ncnn on the CPU.

Loaded by path on devices (see `_base`): it imports nothing from edgekd and runs on Python 3.8. The library is imported
late, so that the host can read the settings of a runtime that only the device has.

A model is two files: NAME.param, its layers as text, and beside it NAME.bin, their weights.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekd.runtimes._base import Setting

formats = ("ncnn",)
builds = False

SETTINGS: Mapping[str, Setting] = {
    "threads": {"kind": "count", "default": 1, "help": "CPU threads of an inference"},
    "precision": {"kind": "text", "default": "fp32", "help": "floating-point precision; set by the variant"},
}

_PROVIDER = "CPU"

_MAGIC = "7767517"
_HALF = {"fp32": False, "fp16": True, "int8": False, "int8+fp16": True, "int8-partial": False}
"""Whether values between layers, and the arithmetic where the CPU has it, are in fp16; INT8 is in the file."""

QUANTISED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
"""Layers that may have INT8 weights, and then scales, which this parameter says."""
_INT8_SCALES = "8"
_KINDS = {
    **dict.fromkeys((*QUANTISED, "Gemm", "MatMul"), "product"),
    **dict.fromkeys(("Deconvolution", "DeconvolutionDepthWise"), "product"),
    **dict.fromkeys(("Cast", "Quantize", "Dequantize", "Requantize"), "conversion"),
    **dict.fromkeys(("Permute", "Packing"), "layout"),
}


class Layer:
    """A line of a .param file."""

    def __init__(self, words: list[str]) -> None:
        self.kind, self.name = words[:2]
        bottoms, tops = int(words[2]), int(words[3])
        names = words[4 : 4 + bottoms + tops]
        self.bottoms, self.tops = names[:bottoms], names[bottoms:]
        self.parameters = dict(word.split("=", 1) for word in words[4 + bottoms + tops :])

    def integer(self, number: str) -> int:
        """A parameter that is one; 0 if it isn't stated. Raises ValueError if it is something else."""
        stated = self.parameters.get(number, "0")
        try:
            return int(stated)
        except ValueError as e:
            raise ValueError(f"the parameter {number} of {self.name} isn't a whole number: {stated}") from e


def layers(path: str) -> list[Layer]:
    """The layers in a .param file.

    Raises:
        ValueError: it isn't one, or not complete.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
        count = int(lines[1].split()[0]) if lines[0].strip() == _MAGIC else 0
        found = [Layer(line.split()) for line in lines[2:] if line.strip()]
    except OSError as e:
        raise ValueError(f"{Path(path).name} can't be read: {e.strerror or e}") from e
    except (ValueError, IndexError) as e:
        raise ValueError(f"{Path(path).name} isn't one of ncnn's .param files") from e
    if not count or len(found) != count:
        raise ValueError(f"{Path(path).name} isn't one of ncnn's .param files, or not a complete one")
    return found


def inputs_of(found: list[Layer]) -> list[dict[str, Any]]:
    """Name, shape (with None for dynamic axes) and numpy dtype name of each input: one image, channels first."""
    return [
        {
            "name": layer.tops[0],
            "shape": [1, *(layer.integer(number) or None for number in ("2", "1", "0"))],
            "dtype": "float32",
        }
        for layer in found
        if layer.kind == "Input"
    ]


def outputs_of(found: list[Layer]) -> list[str]:
    """The names of what no layer reads."""
    read = {name for layer in found for name in layer.bottoms}
    return [name for layer in found for name in layer.tops if name not in read]


def describe() -> dict[str, str]:
    """The version and the processor."""
    import ncnn

    return {"version": ncnn.__version__, "provider": _PROVIDER}


class Session:
    """A loaded model; see `_base.Session`."""

    provider = _PROVIDER

    def __init__(self, net: Any, found: list[Layer], *, half: bool, traced: bool) -> None:
        self._net, self._layers, self._half, self._traced = net, found, half, traced
        self._inputs = inputs_of(found)
        self._outputs = outputs_of(found)
        self._times_ms: list[list[float]] = []

    def inputs(self) -> list[dict[str, Any]]:
        """Name, shape (with None for dynamic axes) and numpy dtype name of each input."""
        return self._inputs

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """One inference; blocks until the outputs are available."""
        import ncnn
        import numpy as np

        extractor = self._net.create_extractor()
        for given in self._inputs:
            values = feeds[given["name"]]
            _require_shape(given, values)
            image = np.ascontiguousarray(values[0], np.float32)  # ncnn doesn't keep it alive: it has a name
            extractor.input(given["name"], ncnn.Mat(image).clone())
        if self._traced:
            self._times_ms.append(self._timed(extractor))
        return [self._extracted(extractor, name) for name in self._outputs]

    def nodes(self, cold: int) -> list[dict[str, Any]]:
        """The fields of `values.Node` of every layer, without the first `cold` inferences.

        A layer's time includes the conversion of its inputs to the types and the layout that it takes.
        """
        runs = self._times_ms[cold:] or self._times_ms
        return [
            {
                "name": layer.name,
                "op": layer.kind,
                "provider": self.provider,
                "ms": sum(times) / len(times),
                "kind": _KINDS.get(layer.kind),
                "precision": self._precision(layer, loaded),
            }
            for layer, loaded, times in zip(self._layers, self._net.layers(), zip(*runs))
            if layer.kind != "Input"
        ]

    def _timed(self, extractor: Any) -> list[float]:
        """The milliseconds of each layer in one inference.

        In the order of the layers each blob is computed by one layer alone. Asked for again, it is only copied: that is
        subtracted. Nothing is kept, so that layers that work in place still do.
        """
        blobs = {blob.name: index for index, blob in enumerate(self._net.blobs())}
        found = []
        for layer in self._layers:
            seconds = 0.0
            for top in layer.tops if layer.kind != "Input" else ():
                for sign in (1, -1):
                    start = time.perf_counter()
                    extractor.extract(blobs[top], 1)
                    seconds += sign * (time.perf_counter() - start)
            found.append(1e3 * max(0.0, seconds))
        return found

    def _extracted(self, extractor: Any, name: str) -> Any:
        import numpy as np

        code, values = extractor.extract(name)
        if code:
            raise ValueError(f"ncnn couldn't compute {name} (code {code})")
        return np.array(values)[None]

    def _precision(self, layer: Layer, loaded: Any) -> str | None:
        import ncnn

        if _KINDS.get(layer.kind) != "product":
            return None
        if layer.kind in QUANTISED and layer.integer(_INT8_SCALES):
            return "int8"
        return "fp16" if self._half and loaded.support_fp16_storage and ncnn.cpu_support_arm_asimdhp() else "fp32"


def open(path: str, *, threads: int = 1, precision: str = "fp32", trace_in: str | None = None) -> Session:
    """Load the model.

    Args:
        path: the .param file; the .bin file is beside it.
        threads: CPU threads per inference.
        precision: floating-point precision between layers.
        trace_in: if not None, layers are timed for `Session.nodes`; nothing is written.

    Raises:
        ValueError: the files can't be loaded.
    """
    import ncnn

    if precision not in _HALF:
        raise ValueError(f"the precision {precision} is not supported; use {', '.join(_HALF)}")
    found, weights = layers(path), Path(path).with_suffix(".bin")
    _require(found, weights)
    net, half = ncnn.Net(), _HALF[precision]
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = half
    if net.load_param(path):
        raise ValueError(f"ncnn {ncnn.__version__} can't read {Path(path).name}")
    if net.load_model(str(weights)):
        raise ValueError(f"{weights.name} doesn't hold the weights of {Path(path).name}, or not all of them")
    return Session(net, found, half=half, traced=bool(trace_in))


def _require(found: list[Layer], weights: Path) -> None:
    """Raises ValueError for what ncnn would only write about to the standard error."""
    import ncnn

    for layer in found:
        if ncnn.layer_to_index(layer.kind) < 0:
            raise ValueError(f"ncnn {ncnn.__version__} has no layer {layer.kind} ({layer.name})")
    if not weights.is_file():
        raise ValueError(f"{weights.name}, the weights, isn't beside the .param file")


def _require_shape(given: Mapping[str, Any], values: Any) -> None:
    """Raises ValueError for a shape that isn't the input's: ncnn would compute something or crash."""
    wanted = given["shape"]
    fits = len(values.shape) == len(wanted) and all(w in (None, v) for w, v in zip(wanted, values.shape))
    if not fits:
        raise ValueError(f"the input {given['name']} takes the shape {wanted}, not {list(values.shape)}")
