import numpy as np
import pytest
import torch
from torch import nn

from edgekd.deploy.export import export_onnx
from edgekd.deploy.writers import ncnn as writer
from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.measuring.artifact import describe


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network with every kind of weights, with and without biases."""
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False), nn.PReLU(6), nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 6, 1), nn.ReLU(),
        nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(24, 3),
    ).eval()  # fmt: skip
    path = tmp_path_factory.mktemp("exported") / "m.onnx"
    export_onnx(model, torch.zeros(1, 3, 6, 6), path)
    return path


@pytest.fixture
def written(exported, tmp_path, source_of):
    """Writes the network; returns the .param file."""
    source = source_of(exported, np.random.default_rng(0).normal(size=(4, 3, 6, 6)).astype("float32"))
    return lambda precision="fp32": writer.write(source, precision, tmp_path / f"{precision}.onnx")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_weights_that_fit_are_taken_and_those_of_another_model_refused(written, precision):
    path = written(precision)
    assert describe(path, name="m", runtime="ncnn").precision == precision
    weights = path.with_suffix(".bin")
    whole = weights.read_bytes()
    for other in (whole + bytes(4), whole[:-4]):
        weights.write_bytes(other)
        with pytest.raises(UnsupportedModelError, match=rf"{len(other):,} bytes, and .* weights of {len(whole):,}"):
            describe(path, name="m", runtime="ncnn")


def test_weights_of_another_type_are_refused(written):
    path, other = written("fp32"), written("fp16")
    path.with_suffix(".bin").write_bytes(b"odd!" + other.with_suffix(".bin").read_bytes()[4:])
    with pytest.raises(UnsupportedModelError, match=r"the layers of the \.param file beside it have weights of"):
        describe(path, name="m", runtime="ncnn")


def test_layers_whose_weights_are_not_known_are_not_refused(written):
    path = written()
    path.write_text(path.read_text().replace("PReLU ", "GroupNorm "))
    path.with_suffix(".bin").write_bytes(path.with_suffix(".bin").read_bytes() + bytes(8))
    assert describe(path, name="m", runtime="ncnn").precision == "fp32"


def test_a_scale_that_is_an_input_has_no_weights(written):
    """As in a squeeze-and-excitation block that was converted from Caffe."""
    path = written()
    magic, counts, *layers = path.read_text().splitlines()
    (number, blobs), output = counts.split(), layers[-1].split()[5]
    scaled = f"Scale se 2 1 {output} {output} scaled 0=-233"
    path.write_text("\n".join([magic, f"{int(number) + 1} {int(blobs) + 1}", *layers, scaled]) + "\n")
    assert describe(path, name="m", runtime="ncnn").precision == "fp32"


def test_both_files_are_needed_and_the_param_file_is_the_one_to_give(written):
    path = written()
    with pytest.raises(UnsupportedModelError, match=r"fp32\.bin: holds the weights of fp32\.param"):
        describe(path.with_suffix(".bin"), name="m", runtime="ncnn")
    path.with_suffix(".bin").unlink()
    with pytest.raises(StorageError, match=r"its weights fp32\.bin are missing"):
        describe(path, name="m", runtime="ncnn")
    with pytest.raises(StorageError, match="No such file"):
        describe(path.with_name("none.param"), name="m", runtime="ncnn")
