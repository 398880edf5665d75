import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgekd.deploy.check import compare, failure
from edgekd.deploy.export import export_onnx
from edgekd.deploy.feeding import believable, brightness, fed, manifest, metadata, stamp
from edgekd.deploy.normalising import graph
from edgekd.deploy.writers.onnxruntime import precisions, write
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.values import Feeding, Lineage, Manifest, Preprocessing
from edgekd.values.lineage import NetworkOrigin

RGB = Preprocessing(
    height=12,
    width=16,
    resize=14,
    crop="center",
    colour="rgb",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
GREY = Preprocessing(height=12, width=16, colour="grey", mean=(0.3,), std=(0.25,))
LINEAGE = Lineage(edgekd="0", network=NetworkOrigin(model="netz", weights="é" * 64))
CLASSES = ("naïve", "日本", '"; print(1)', "a\nb", "")


def network(channels):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 5),
    ).eval()


def pixels(how, n=60):
    channels = len(how.mean)
    return np.random.default_rng(1).integers(0, 256, (n, channels, how.height, how.width), np.uint8)


def normalised(values, how):
    mean, std = (np.array(numbers, np.float32)[:, None, None] for numbers in (how.mean, how.std))
    return ((values / np.float32(255) - mean) / std).astype(np.float32)


def feeding(how, by="caller"):
    return Feeding(preprocessing=how, normalised_by=by, classes=CLASSES)


def written(tmp_path, how, by, source_of):
    """A network, the same as a stamped fp32 file and as an INT8 file, and normalised images."""
    model, images = network(len(how.mean)), normalised(pixels(how), how)
    whole, example = graph(model, torch.zeros(1, *images.shape[1:]), feeding(how, by))
    export_onnx(whole, example, tmp_path / "fp32.onnx")
    stamp(tmp_path / "fp32.onnx", feeding(how, by), LINEAGE)
    write(source_of(tmp_path / "fp32.onnx", fed(images, feeding(how, by))), "int8", tmp_path / "int8.onnx")
    stamp(tmp_path / "int8.onnx", feeding(how, by), LINEAGE)
    with torch.inference_mode():
        return images, model(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("by", ["caller", "graph"])
@pytest.mark.parametrize("how", [RGB, GREY], ids=["rgb", "grey"])
def test_both_ways_and_precisions_are_the_same_function(tmp_path, how, by, runner_of, source_of):
    images, expected = written(tmp_path, how, by, source_of)
    for precision in ("fp32", "int8"):
        parity = compare(expected, runner_of(tmp_path / f"{precision}.onnx", "onnxruntime", feeding(how, by))(images))
        assert failure(parity, precisions[precision].tolerance) is None
        assert parity.sqnr_db > {"fp32": 90, "int8": 20}[precision]


def test_pixels_are_taken_as_images_are_laid_out(tmp_path, source_of):
    written(tmp_path, RGB, "graph", source_of)
    for precision in ("fp32", "int8"):
        given = onnx.load(tmp_path / f"{precision}.onnx").graph.input[0].type.tensor_type
        assert given.elem_type == onnx.TensorProto.UINT8
        assert [d.dim_value for d in given.shape.dim] == [1, 12, 16, 3]


def test_the_normalisation_itself_stays_exact_in_int8(tmp_path, source_of):
    """Only what comes behind it is rounded: the first thing quantised is the convolution's input."""
    written(tmp_path, RGB, "graph", source_of)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.index("Cast") < kinds.index("Sub") < kinds.index("Div") < kinds.index("Transpose")
    assert kinds.index("Transpose") < min(i for i, node in enumerate(graph.node) if node.op_type == "QuantizeLinear")


@pytest.mark.parametrize("by", ["caller", "graph"])
def test_every_file_says_how_it_is_fed(tmp_path, by, source_of):
    written(tmp_path, RGB, by, source_of)
    for precision in ("fp32", "int8"):
        proto = onnx.load(tmp_path / f"{precision}.onnx")
        onnx.checker.check_model(proto)
        told = {entry.key: entry.value for entry in proto.metadata_props}
        assert tuple(json.loads(told["edgekd.classes"])) == CLASSES
        how = json.loads(told["edgekd.preprocessing"])
        assert how.pop("normalised_by") == by
        assert Preprocessing.model_validate_json(json.dumps(how)) == RGB
        assert told["Image.BitmapPixelFormat"] == "Rgb8"
        assert told.get("Image.NominalPixelRange") == ("NominalRange_0_255" if by == "graph" else None)


@pytest.mark.parametrize(
    ("mean", "std", "word"), [(0.0, 1.0, "Normalized_0_1"), (0.5, 0.5, "Normalized_1_1"), (0.4, 0.2, None)]
)
def test_onnx_has_words_for_some_ranges(mean, std, word):
    how = GREY.model_copy(update={"mean": (mean,), "std": (std,)})
    assert metadata(feeding(how)).get("Image.NominalPixelRange") == word
    assert metadata(feeding(how))["Image.BitmapPixelFormat"] == "Gray8"


def test_metadata_of_others_stay(tmp_path):
    export_onnx(network(1), torch.zeros(1, 1, 12, 16), tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    onnx.helper.set_model_props(proto, {"model_author": "me", "edgekd.classes": "[]"})
    onnx.save(proto, tmp_path / "m.onnx")
    stamp(tmp_path / "m.onnx", feeding(GREY), LINEAGE)
    told = {entry.key: entry.value for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert told["model_author"] == "me"
    assert tuple(json.loads(told["edgekd.classes"])) == CLASSES


def test_the_manifest_names_the_ports(tmp_path, source_of):
    written(tmp_path, RGB, "graph", source_of)
    artifact = describe(tmp_path / "int8.onnx", name="student-int8", runtime="onnxruntime", precision="int8")
    found = manifest(artifact, tmp_path / "int8.onnx", feeding(RGB, "graph"))
    assert (found.input.name, found.input.dtype, found.input.layout) == ("input", "uint8", "NHWC")
    assert (found.input.shape, found.output.shape) == ((1, 12, 16, 3), (1, 5))
    assert (found.sha256, found.classes, found.normalised_by) == (artifact.files[0].sha256, CLASSES, "graph")
    assert Manifest.model_validate_json(found.model_dump_json()) == found


def test_the_manifest_of_a_file_that_leaves_its_outputs_axes_open_names_them(tmp_path, source_of):
    """As ONNX Runtime's quantiser leaves them behind a mean over height and width."""
    written(tmp_path, RGB, "caller", source_of)
    proto = onnx.load(tmp_path / "int8.onnx")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, tmp_path / "open.onnx")
    artifact = describe(tmp_path / "open.onnx", name="student-int8", runtime="onnxruntime", precision="int8")
    assert manifest(artifact, tmp_path / "open.onnx", feeding(RGB)).output.shape == (1, len(CLASSES))


def test_brightness_undoes_the_normalisation():
    values = pixels(RGB)
    assert np.abs(brightness(normalised(values, RGB), RGB) - values).max() < 1e-3
    assert (fed(normalised(values, RGB), feeding(RGB, "graph")) == values.transpose(0, 2, 3, 1)).all()


@pytest.mark.parametrize("scale", [1 / 3, 2.0, np.nan])
def test_images_that_are_no_pixels_cannot_be_fed_as_pixels(scale):
    images = normalised(pixels(RGB), RGB)
    assert fed(images * np.float32(scale), feeding(RGB)).dtype == np.float32
    with pytest.raises(UnsupportedModelError, match="whole numbers") as caught:
        fed(images * np.float32(scale), feeding(RGB, "graph"))
    assert "--include-preprocessing" in caught.value.hint


def at(*levels):
    """An image (1, 1, 1, W) that had these levels of 255 before it was normalised."""
    return normalised(np.array(levels, np.float32).reshape(1, 1, 1, -1), GREY)


def test_pixels_are_whole_numbers_from_0_to_255_but_for_rounding():
    assert fed(at(0, 99.96, 100.04, 255), feeding(GREY, "graph")).ravel().tolist() == [0, 100, 100, 255]
    for level in (100.06, 99.94, -1, 256):
        with pytest.raises(UnsupportedModelError, match="whole numbers"):
            fed(at(0, 100, level), feeding(GREY, "graph"))


def test_what_resizing_in_floats_goes_beyond_black_and_white_is_believable():
    assert believable(at(-12.9, 100, 267.9), GREY)
    assert not believable(at(-13.1, 100), GREY)
    assert not believable(at(100, 268.1), GREY)
