import pytest
import torch
from torch import Tensor, nn

from edgekd.training.ensemble import Ensemble
from edgekd.training.forward import forward
from edgekd.training.taps import find_taps
from edgekd.zoo.build import build

IMAGES = torch.randn(2, 1, 28, 28)


@pytest.mark.parametrize(
    ("spec", "stages"),
    [
        ("resnet8", ["stage1", "stage2", "stage3"]),
        ("vgg8", ["stage1", "stage2", "stage3", "stage5"]),
        ("mobilenet_v1:width=0.125", ["blocks.0", "blocks.2", "blocks.4", "blocks.10", "blocks.12"]),
        ("mobilenet_v2:width=0.25", ["stage2", "stage3", "stage5", "last"]),
        ("densenet_bc40:growth=4", ["block1", "block2", "norm"]),
    ],
)
def test_stages_end_with_the_last_block_of_a_resolution(spec: str, stages: list[str]) -> None:
    model = build(spec, classes=10, channels=1)
    taps = find_taps(model, IMAGES)
    assert list(taps.stages) == stages
    assert taps.embedding == "head.2"
    seen = forward(model.eval(), IMAGES, "fp32", taps)
    sizes = [stage.shape[-1] for stage in seen.stages]
    assert sizes == sorted(set(sizes), reverse=True)
    assert all(stage.shape[0] == 2 for stage in seen.stages)
    assert seen.embedding is not None
    torch.testing.assert_close(model.head[2](seen.embedding), seen.logits)


@pytest.mark.parametrize("spec", ["mobilenet_v3_small", "efficientnet_b0", "torchvision:resnet18"])
def test_every_network_has_some(spec: str) -> None:
    images = torch.randn(2, 3, 64, 64)
    model = build(spec, classes=10, channels=3).eval()
    seen = forward(model, images, "fp32", find_taps(model, images))
    assert len(seen.stages) >= 3
    assert seen.embedding is not None


def test_watching_changes_nothing_and_leaves_no_hook() -> None:
    model = build("resnet8", classes=10, channels=1).eval()
    expected = model(IMAGES)
    seen = forward(model, IMAGES, "fp32", find_taps(model, IMAGES))
    assert torch.equal(seen.logits, expected)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_gradient_flows_through_the_features() -> None:
    model = build("resnet8", classes=10, channels=1).train()
    seen = forward(model, IMAGES, "fp32", find_taps(model, IMAGES))
    assert model.training
    seen.stages[1].square().sum().backward()
    assert model.stem[0].weight.grad.abs().max() > 0
    assert model.head[2].weight.grad is None


def test_ensemble_shows_the_features_of_its_first_member() -> None:
    first, second = build("resnet8", classes=10, channels=1), build("vgg6", classes=10, channels=1)
    both = Ensemble([first, second]).eval()
    seen = forward(both, IMAGES, "fp32", find_taps(both, IMAGES))
    alone = forward(first, IMAGES, "fp32", find_taps(first, IMAGES))
    assert all(torch.equal(a, b) for a, b in zip(seen.stages, alone.stages, strict=True))


class NoLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Conv2d(1, 10, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.only(images).mean((2, 3))


def test_network_without_a_linear_layer_has_no_embedding() -> None:
    model = NoLinear()
    taps = find_taps(model, IMAGES)
    assert taps.embedding is None
    assert forward(model, IMAGES, "fp32", taps).embedding is None
