import copy
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.ao import quantization

from edgekd.errors import UnsupportedModelError
from edgekd.zoo.build import build
from edgekd.zoo.kinds import plain

IMAGES = torch.zeros(1, 1, 8, 8)


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10))


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(small())


def traced_part() -> nn.Module:
    model = small()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model[0] = torch.jit.trace(model[0], IMAGES)
    return model


def prepared() -> nn.Module:
    model = small().train()
    model.qconfig = quantization.get_default_qat_qconfig("x86")  # type: ignore[assignment]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantization.prepare_qat(model)


def quantised() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantization.quantize_dynamic(small(), {nn.Linear})


class Stateful(nn.Linear):
    def get_extra_state(self) -> dict[str, int]:
        return {"seen": 3}


class UnusedLazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(8, 10), nn.LazyLinear(3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.used(images[:, 0, 0])
        return logits


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return small()


@pytest.mark.parametrize(
    ("make", "says", "hint"),
    [
        (scripted, "the network is TorchScript", "Return the Python module"),
        (traced_part, "its module '0' is TorchScript", "Return the Python module"),
        (prepared, "went through prepare_qat", "Return the float network"),
        (quantised, "its module '3' is a quantised Linear", "Return the float network"),
        (lambda: nn.Sequential(Stateful(4, 4)), "its state holds '0._extra_state', a dict", "register_buffer"),
        (UnusedLazy, "lazy layers that its forward doesn't use", "widths"),
        (on_meta, "on the device 'meta'", "on the CPU"),
        (nn.Flatten, "has no parameters", "that learns"),
    ],
)
def test_what_cannot_be_worked_on_is_refused_with_what_to_give_instead(make, says, hint) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        plain(make(), IMAGES)
    assert says in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel, lambda m: torch.compile(nn.DataParallel(m))])
def test_wrappers_are_taken_off(wrap) -> None:
    model = small()
    assert plain(wrap(model), IMAGES) is model


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_other_floats_become_32_bit_with_the_same_values(dtype) -> None:
    model = small()
    expected = {key: value.to(dtype).float() for key, value in model.state_dict().items()}
    given = plain(model.to(dtype), IMAGES)
    assert given(IMAGES).dtype == torch.float32
    assert all(torch.equal(value, expected[key]) for key, value in given.state_dict().items())


LAZY = """
from torch import nn
def make(classes, channels):
    return nn.Sequential(nn.LazyConv2d(4, 3, 2, 1), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(classes))
"""


def test_lazy_layers_take_their_widths_from_the_images_and_the_seed(tmp_path: Path, monkeypatch) -> None:
    name = f"lazy_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(LAZY)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(3)
    first = build(f"{name}:make", classes=10, channels=1, size=(8, 6))
    torch.manual_seed(3)
    second = build(f"{name}:make", classes=10, channels=1, size=(8, 6))
    assert first.training
    assert first[3].weight.shape == (10, 4 * 4 * 3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    with pytest.raises(UnsupportedModelError, match="lazy layers, whose widths aren't known"):
        build(f"{name}:make", classes=10, channels=1)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("wrap", [nn.utils.weight_norm, nn.utils.spectral_norm])
def test_layers_whose_weight_a_hook_computes_can_be_copied_and_continue_learning(wrap) -> None:
    model = plain(nn.Sequential(wrap(nn.Conv2d(1, 4, 3))), IMAGES)
    copied = copy.deepcopy(model)
    copied(torch.ones(1, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in copied.parameters())
