"""How images become what a file takes: said in its metadata, or done by its graph."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgekd.errors import UnsupportedModelError
from edgekd.files import write_bytes
from edgekd.runtimes import ncnn
from edgekd.values import Artifact, Feeding, Lineage, Manifest, Port, Preprocessing, document
from edgekd.values.manifest import CLASSES, LINEAGE, PREPROCESSING

Array = np.ndarray[Any, np.dtype[np.float32]]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_AT_ONCE = 64

_LEAST_WHOLE = 0.05
"""How far rounding may take a pixel from a whole number."""

_BEYOND = 13
"""Of 255 levels: how far cubic and Lanczos filters go beyond black and white."""


def fed(images: Array, feeding: Feeding) -> Array | Pixels:
    """What a file is fed for normalised images (N, C, H, W): they themselves, or their pixels (N, H, W, C).

    Raises:
        UnsupportedModelError: the pixels aren't whole numbers from 0 to 255.
    """
    if feeding.normalised_by == "caller":
        return images
    # part by part: the values between would take photos' memory a few times
    parts = range(0, len(images), _AT_ONCE)
    return np.concatenate([_pixels(images[i : i + _AT_ONCE], feeding.preprocessing) for i in parts])


def _pixels(images: Array, preprocessing: Preprocessing) -> Pixels:
    values = brightness(images, preprocessing)
    whole = np.rint(values)
    if not (np.abs(values - whole) <= _LEAST_WHOLE).all() or whole.min() < 0 or whole.max() > 255:
        raise UnsupportedModelError(
            "the normalisation can't be included in the graph: this data's images, times its deviation plus its mean, "
            "aren't whole numbers from 0 to 255",
            "Leave --include-preprocessing out, or have the data set state the mean and std that it divides by.",
        )
    return np.ascontiguousarray(whole.astype(np.uint8).transpose(0, 2, 3, 1))


def brightness(images: Array, preprocessing: Preprocessing) -> Array:
    """The images (N, C, H, W) before they were normalised, from 0 to 255."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    values = images * std
    values += mean
    values *= 255
    return values


def believable(images: Array, preprocessing: Preprocessing) -> bool:
    """Whether these normalised images (N, C, H, W) can come from pixels by the stated mean and deviation: whether they
    are between black and white before, or nearly, as after resizing in floats.
    """
    values = brightness(images, preprocessing)
    return bool(values.min() >= -_BEYOND and values.max() <= 255 + _BEYOND)


def stamp(path: Path, feeding: Feeding, lineage: Lineage) -> None:
    """Write into an ONNX file's metadata how it is fed, and what it was made from.

    Beside edgekd's own keys stand those that ONNX defines for images (its docs/MetadataProps.md), as far as they fit.

    Raises:
        StorageError: the file can't be written.
    """
    proto = onnx.load(path)
    kept = {entry.key: entry.value for entry in proto.metadata_props}
    onnx.helper.set_model_props(proto, kept | metadata(feeding) | {LINEAGE: _lineage(lineage)})
    _save(proto, path)


def stamp_like(original: Path, path: Path, lineage: Lineage) -> None:
    """Write into an ONNX file's metadata what the original states in its own, and what it was made from. Raises as
    `stamp`.
    """
    stated = onnx.load(original, load_external_data=False).metadata_props
    proto = onnx.load(path)
    kept = {entry.key: entry.value for entry in (*proto.metadata_props, *stated)}
    onnx.helper.set_model_props(proto, kept | {LINEAGE: _lineage(lineage)})
    _save(proto, path)


def _save(proto: onnx.ModelProto, path: Path) -> None:
    """Write the file so that it is on the disk before its stage counts as done."""
    write_bytes(path, proto.SerializeToString())


def _lineage(lineage: Lineage) -> str:
    return json.dumps(lineage.model_dump(mode="json", exclude_none=True))


def metadata(feeding: Feeding) -> dict[str, str]:
    """The keys and values that state how a file is fed; all of them ASCII, whatever the classes are called."""
    how = {**document(feeding.preprocessing), "normalised_by": feeding.normalised_by}
    stated = {PREPROCESSING: json.dumps(how), CLASSES: json.dumps(feeding.classes)}
    if colour := feeding.preprocessing.colour:
        stated["Image.BitmapPixelFormat"] = {"grey": "Gray8", "rgb": "Rgb8"}[colour]
        stated["Image.ColorSpaceGamma"] = "SRGB"
        if pixel_range := _nominal_range(feeding):
            stated["Image.NominalPixelRange"] = pixel_range
    return stated


def _nominal_range(feeding: Feeding) -> str | None:
    """ONNX's word for the range of what is fed; it has none for other means and deviations."""
    if feeding.normalised_by == "graph":
        return "NominalRange_0_255"
    known = {(0.0, 1.0): "Normalized_0_1", (0.5, 0.5): "Normalized_1_1"}
    used = set(zip(feeding.preprocessing.mean, feeding.preprocessing.std, strict=True))
    return known.get(used.pop()) if len(used) == 1 else None


def manifest(artifact: Artifact, path: Path, feeding: Feeding) -> Manifest:
    """The manifest of an artifact's file."""
    # a file may leave its output's axes open; its check has shown that there is a logit for each class
    ports = _of_ncnn if artifact.format == "ncnn" else _of_onnx
    given, output = ports(path, "NHWC" if feeding.normalised_by == "graph" else "NCHW", (1, len(feeding.classes)))
    return Manifest(
        **dict(feeding),
        file=artifact.file,
        sha256=artifact.files[0].sha256,
        further_files={file.path.name: file.sha256 for file in artifact.files[1:]},
        disk_bytes=artifact.disk_bytes,
        precision=artifact.precision,
        runtime=artifact.runtime,
        settings=artifact.variant.settings,
        input=given,
        output=output,
        lineage=artifact.lineage,
    )


def _of_onnx(path: Path, layout: str, logits: tuple[int, ...]) -> tuple[Port, Port]:
    graph = onnx.load(path, load_external_data=False).graph
    given = graph.input[0]
    shape = tuple(axis.dim_value for axis in given.type.tensor_type.shape.dim)
    return _port(given, shape, layout), _port(graph.output[0], logits, "NC")


def _of_ncnn(path: Path, layout: str, logits: tuple[int, ...]) -> tuple[Port, Port]:
    layers = ncnn.layers(str(path))
    (given,), (output,) = ncnn.inputs_of(layers), ncnn.outputs_of(layers)
    return Port(**given, layout=layout), Port(name=output, dtype=given["dtype"], shape=logits, layout="NC")


def _port(value: onnx.ValueInfoProto, shape: tuple[int, ...], layout: str) -> Port:
    dtype = str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)))
    return Port(name=value.name, dtype=dtype, shape=shape, layout=layout)
