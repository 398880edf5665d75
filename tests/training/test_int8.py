from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from edgekd.data.dataset import Dataset
from edgekd.deploy.export import export_onnx
from edgekd.deploy.outputs import Runner
from edgekd.deploy.writers._base import Source
from edgekd.deploy.writers.onnxruntime import write
from edgekd.errors import UnsupportedModelError
from edgekd.progress import Silent
from edgekd.training.engine import train
from edgekd.training.int8 import RoundedInput, RoundedWeight, rounded
from edgekd.training.losses.ce import CrossEntropy
from edgekd.training.objective import Objective, Term
from edgekd.values import Training
from edgekd.values.training import Execution
from edgekd.zoo.identity import digest

IMAGES = torch.randn(16, 1, 16, 16)


def test_weight_has_255_levels_of_its_own_in_every_channel() -> None:
    weight = torch.randn(4, 3, 3, 3) * torch.tensor([1e-3, 1.0, 7.0, 100.0]).view(4, 1, 1, 1)
    given = RoundedWeight()(weight)
    for channel, exact in zip(given, weight, strict=True):
        step = exact.abs().max() / 127
        torch.testing.assert_close(channel, (exact / step).round() * step, rtol=1e-5, atol=1e-9)


def test_gradient_of_a_weight_is_that_of_its_rounded_value() -> None:
    weight = torch.randn(4, 3, requires_grad=True)
    (RoundedWeight()(weight) * torch.arange(3.0)).sum().backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, torch.arange(3.0).expand(4, 3))


def test_range_of_activations_starts_as_seen_and_follows_in_training_alone() -> None:
    reads = RoundedInput().eval()
    reads(torch.tensor([-1.0, 2.0]))
    reads(torch.tensor([-9.0, 9.0]))
    assert (reads.low.item(), reads.high.item()) == (-1.0, 2.0)
    reads.train()(torch.tensor([1.0, 12.0]))
    assert reads.low.item() == pytest.approx(-0.99)  # 0 is always in the range
    assert reads.high.item() == pytest.approx(2.1)
    outside = reads.eval()(torch.tensor([50.0]))
    assert outside.item() == pytest.approx(2.1, abs=0.02)


def test_first_ranges_are_those_of_all_images_few_of_which_are_run_at_once() -> None:
    model, sizes = nn.Sequential(nn.Conv2d(1, 2, 3)), []
    model.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    images = torch.linspace(-3, 9, 150).view(150, 1, 1, 1).expand(150, 1, 4, 4)
    with rounded(model, images):
        reads = model[0].reads
        assert (reads.low.item(), reads.high.item()) == (-3.0, 9.0)
    assert sum(sizes) == 150
    assert max(sizes) <= 64
    assert model.training


def test_model_is_plain_again_with_what_it_learned(resnet8: nn.Module) -> None:
    names = list(resnet8.state_dict())
    before = digest(resnet8)
    with rounded(resnet8, IMAGES):
        assert digest(resnet8) != before
        with torch.no_grad():
            next(resnet8.parameters()).add_(1)
    assert sorted(resnet8.state_dict()) == sorted(names)
    assert digest(resnet8) != before
    assert not any(m._forward_pre_hooks for m in resnet8.modules())


def test_predicts_what_the_exported_int8_file_gives(
    resnet8: nn.Module,
    digits: Dataset,
    tmp_path: Path,
    runner_of: Callable[..., Runner],
    source_of: Callable[..., Source],
) -> None:
    settings = Training(epochs=2, batch_size=64)
    labels = Objective([Term("ce", 1.0, CrossEntropy())])
    common = {"seed": 0, "execution": Execution(), "objective": labels, "progress": Silent()}
    images, _ = next(iter(digits.train.batches(256)))
    with rounded(resnet8, images):
        trained = train(resnet8, digits, settings, checkpoint=tmp_path / "c.pt", **common)
        with torch.inference_mode():
            foretold = resnet8(images).numpy()
    assert trained.validation.top1 > 0.5
    with torch.inference_mode():
        exact = resnet8(images).numpy()
    export_onnx(resnet8, images[:1], tmp_path / "fp32.onnx", opset=17)
    write(source_of(tmp_path / "fp32.onnx", images.numpy()), "int8", tmp_path / "int8.onnx")
    given = runner_of(tmp_path / "int8.onnx", "onnxruntime")(images.numpy())
    # nearer to the file than the plain network is, though its ranges are a moving average and the file's are exact
    assert np.square(given - foretold).mean() < np.square(given - exact).mean()


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_the_networks_own_parametrisations_stay(wrap) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(wrap(nn.Conv2d(1, 4, 3)), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    images = torch.randn(8, 1, 8, 8)
    names, plain = set(model.state_dict()), model(images)
    with rounded(model, images):
        felt = model.eval()(images)
    assert 0 < (felt - plain).abs().max() < 0.1 * plain.abs().max()
    assert set(model.state_dict()) == names
    torch.testing.assert_close(model(images), plain)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_weight_that_a_hook_computes_is_refused() -> None:
    model = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(1, 4, 3)))
    with pytest.raises(UnsupportedModelError, match="can't round '0'"), rounded(model, torch.zeros(2, 1, 8, 8)):
        pass
