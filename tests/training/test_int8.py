import copy
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from edgekd.data.dataset import Dataset
from edgekd.deploy.export import export_onnx
from edgekd.deploy.quantise.calibration import calibrate
from edgekd.deploy.writers import tensorrt
from edgekd.deploy.writers._base import Source
from edgekd.errors import UnsupportedModelError
from edgekd.training.int8 import rounded
from edgekd.values.rounding import Rounding
from edgekd.zoo.identity import digest

IMAGES = torch.randn(16, 1, 16, 16)
U8 = Rounding(additions="all")
S8 = Rounding(symmetric=True, additions="skip")


def test_first_ranges_are_those_of_all_images_few_of_which_are_run_at_once() -> None:
    model, sizes = nn.Sequential(nn.Conv2d(1, 2, 3)), []
    model.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    images = torch.linspace(-3, 9, 150).view(150, 1, 1, 1).expand(150, 1, 4, 4)
    with rounded(model, images, U8, learned=False):
        assert model[0].reads.range == (-3.0, 9.0)
    assert sum(sizes) == 1 + 150
    assert max(sizes) <= 64
    assert model.training


def test_model_is_plain_again_with_what_it_learned(resnet8: nn.Module) -> None:
    names = list(resnet8.state_dict())
    before = digest(resnet8)
    with rounded(resnet8, IMAGES, U8, learned=True):
        assert digest(resnet8) != before
        with torch.no_grad():
            next(resnet8.parameters()).add_(1)
    assert sorted(resnet8.state_dict()) == sorted(names)
    assert digest(resnet8) != before
    assert not any(m._forward_pre_hooks for m in resnet8.modules())


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_the_networks_own_parametrisations_stay(wrap) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(wrap(nn.Conv2d(1, 4, 3)), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    images = torch.randn(8, 1, 8, 8)
    names, plain = set(model.state_dict()), model(images)
    with rounded(model, images, U8, learned=False):
        felt = model.eval()(images)
    assert 0 < (felt - plain).abs().max() < 0.1 * plain.abs().max()
    assert set(model.state_dict()) == names
    torch.testing.assert_close(model(images), plain)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_weight_that_a_hook_computes_is_refused() -> None:
    model = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(1, 4, 3)))
    with (
        pytest.raises(UnsupportedModelError, match="can't round '0'"),
        rounded(model, torch.zeros(2, 1, 8, 8), U8, learned=False),
    ):
        pass


def decibels(exact: np.ndarray, given: np.ndarray) -> float:
    return float(10 * np.log10(np.square(exact).mean() / np.square(exact - given).mean()))


def as_defined(path: Path, images: np.ndarray) -> np.ndarray:
    """What a file gives by ONNX's definitions: the integer kernels of optimised graphs round elsewhere too."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options)
    return np.concatenate([session.run(None, {"input": image[None]})[0] for image in images])


def test_the_file_with_the_ranges_of_a_simulation_computes_what_it_did(
    resnet8: nn.Module, digits: Dataset, tmp_path: Path
) -> None:
    images, _ = next(iter(digits.train.batches(128)))
    with torch.no_grad():
        for _ in range(20):
            resnet8.train()(images)
    with rounded(resnet8.eval(), images, S8, learned=True) as simulated, torch.inference_mode():
        for activation in {*simulated.activations.values()}:
            activation.high.mul_(0.7)
        foretold, ranges = resnet8(images).numpy(), simulated.ranges()
    export_onnx(resnet8, images[:1], tmp_path / "fp32.onnx")
    found = {}
    for name, learned in (("learned", ranges), ("calibrated", {})):
        (tmp_path / name).mkdir()
        calibrated = calibrate(tmp_path / "fp32.onnx", images.numpy, tmp_path / name, learned)
        assert not calibrated.unknown
        source = Source(tmp_path / "fp32.onnx", calibrated.read(images.numpy))
        given = as_defined(tensorrt.write(source, "int8+fp32", tmp_path / f"{name}.onnx"), images.numpy())
        found[name] = decibels(foretold, given)
    # what is left are values between two levels, which float arithmetic puts on either side
    assert found["learned"] > 45
    assert found["calibrated"] < 25


def test_what_two_layers_read_has_one_range_and_additions_are_rounded_as_the_writer_does(resnet8: nn.Module) -> None:
    with rounded(resnet8, IMAGES, S8, learned=False) as simulated:
        skip = simulated.activations
    assert skip["stage2.0.first.0.weight"] is skip["stage2.0.shortcut.0.weight"]
    assert {name for name in skip if name.endswith("output")} == {
        f"stage{stage}.0.shortcut.0.weight output" for stage in (2, 3)
    }
    with rounded(resnet8, IMAGES, U8, learned=False) as simulated:
        both = {name for name in simulated.activations if name.endswith("output")}
    assert both - {*skip} == {f"stage{stage}.0.second.0.weight output" for stage in (1, 2, 3)}
    with rounded(resnet8, IMAGES, Rounding(), learned=False) as simulated:
        assert not any(name.endswith("output") for name in simulated.activations)


def test_a_copy_of_a_rounded_model_has_ranges_of_its_own(resnet8: nn.Module) -> None:
    with rounded(resnet8, IMAGES, U8, learned=False) as simulated:
        before = simulated.ranges()
        copy.deepcopy(resnet8).train()(100 * IMAGES)
        assert simulated.ranges() == before
        resnet8.train()(100 * IMAGES)
        assert all(after != before[name] for name, after in simulated.ranges().items())
