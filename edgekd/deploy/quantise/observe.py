"""What a float graph's activations are over images, in one pass that keeps none of them."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from edgekd.deploy.quantise.view import View, is_rectifier, view
from edgekd.errors import UnsupportedModelError

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Observed:
    """An activation over images."""

    low: float
    high: float
    samples: _Array
    """Some of its values (N,) float32, from places evenly spaced in each image; none where none were asked for."""
    greatest: _Array
    """The greatest magnitude in each channel (C,), on the second axis; of one number where there are no channels."""
    mean: _Array
    """The mean of each channel (C,)."""


def observe(model: onnx.ModelProto, images: _Array, *, samples: int) -> Mapping[str, Observed]:
    """The float activations of a graph, by name: its input, and what its nodes give.

    Args:
        model: takes a batch of any size that divides the number of images, as its only input.
        images: (N, …) as the model is fed; N is 1 or more.
        samples: how many values of each activation to keep, roughly; 0: none.

    Raises:
        UnsupportedModelError: an activation is NaN or infinite.
        Exception: whatever ONNX Runtime raises for a model that it can't run.
    """
    gathered: dict[str, _Gathering] = {}
    each = -(-samples // len(images))
    for number, values in enumerate(_activations(model, images)):
        for name, value in values.items():
            if name not in gathered:
                gathered[name] = _Gathering(value, each, len(images))
            if not gathered[name].add(value, number):
                what = f"{_maker(model.graph, name)} is NaN or infinity on calibration image {number + 1}"
                raise UnsupportedModelError(what, "Its training may have diverged: check the weights and the images.")
    return {name: one.observed() for name, one in gathered.items()}


def _activations(model: onnx.ModelProto, images: _Array) -> Iterator[Mapping[str, _Array]]:
    """For each image, the float activations."""
    seen = view(model.graph)
    names = [name for name in seen.made_by if name and not _is_passed_on(name, seen)]
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    present = {output.name for output in model.graph.output}
    extended.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        path = Path(folder) / "observed.onnx"
        onnx.save(extended, path)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    for image in images:
        found = {given: image[None], **dict(zip(names, session.run(names, {given: image[None]}), strict=True))}
        yield {name: value for name, value in found.items() if _is_float(value)}


def _is_float(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float32 and value.size > 0


def _is_passed_on(name: str, seen: View) -> bool:
    """Whether a rectifier alone reads it, which no runtime wants a pair before."""
    readers = seen.readers.get(name, ())
    return len(readers) == 1 and name not in seen.outputs and is_rectifier(seen.nodes[readers[0][0]], seen)


def _maker(graph: onnx.GraphProto, name: str) -> str:
    for node in graph.node:
        if name in node.output:
            weight = f" of {node.input[1]}" if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul") else ""
            return f"the output {name} of the {node.op_type}{weight}"
    return f"the input {name}"


class _Gathering:
    """An activation over the images so far."""

    def __init__(self, first: _Array, each: int, images: int) -> None:
        self._stride = max(1, first.size // each) if each else 0
        kept = -(-first.size // self._stride) if each else 0
        self._samples = np.zeros((images, kept), np.float32)
        channels = first.shape[1] if first.ndim > 1 and len(first) == 1 else 1
        self._low, self._high, self._images = np.full(channels, np.inf), np.full(channels, -np.inf), images
        self._sum = np.zeros(channels)

    def add(self, value: _Array, number: int) -> bool:
        """Whether it is finite."""
        channels = value.reshape(len(self._sum), -1)
        self._low = np.minimum(self._low, channels.min(1))
        self._high = np.maximum(self._high, channels.max(1))
        with np.errstate(over="ignore", invalid="ignore"):
            self._sum += channels.mean(1)
        if self._stride:
            # the places move from image to image, so that all of them take part
            taken = value.reshape(-1)[number % self._stride :: self._stride]
            self._samples[number, : len(taken)] = taken
            self._samples[number, len(taken) :] = taken[-1]
        return bool(np.isfinite(self._low).all() and np.isfinite(self._high).all())

    def observed(self) -> Observed:
        """What was gathered."""
        return Observed(
            low=float(self._low.min()),
            high=float(self._high.max()),
            samples=self._samples.reshape(-1),
            greatest=np.maximum(np.abs(self._low), np.abs(self._high)),
            mean=self._sum / self._images,
        )
