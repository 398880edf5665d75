from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.pruning.apply import Pruned
from edgekd.pruning.criteria._norms import filter_norms
from edgekd.pruning.graph import Graph
from edgekd.zoo.build import build

PrunedBy = Callable[..., Pruned]
IMAGE = torch.randn(1, 1, 16, 16)


def random_norms(model: nn.Module) -> nn.Module:
    """Batch norms as training leaves them, not all the same."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.1, 2)
            nn.init.normal_(layer.bias)
    return model.eval()


def test_a_score_is_the_l1_norm_of_the_filters_alone() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 15 * 15, 4)).eval()
    nn.init.uniform_(model[1].weight, 5, 9)
    group = Graph(model, IMAGE).groups[0]
    kernels = model[0].weight.detach().numpy()  # (3, 1, 2, 2)
    by_hand = [np.abs(kernels[c]).sum() for c in range(3)]
    np.testing.assert_allclose(filter_norms(group).numpy(), by_hand, rtol=1e-6)


def test_norms_of_layers_that_share_a_channel_are_summed() -> None:
    model = random_norms(build("resnet14", classes=10, channels=1))
    outer = model.get_submodule("stage3.1.second.0")
    group = next(g for g in Graph(model, IMAGE).groups if outer in [m.layer for m in g.members if m.side == "out"])
    outputs = ["stage3.0.second.0", "stage3.0.shortcut.0", "stage3.1.second.0"]
    kernels = [model.get_submodule(name).weight.detach().numpy() for name in outputs]
    by_hand = [sum(np.abs(kernel[c]).sum() for kernel in kernels) for c in range(64)]
    np.testing.assert_allclose(filter_norms(group).numpy(), by_hand, rtol=1e-5)


def test_the_filters_with_the_largest_norms_stay(pruned_by: PrunedBy) -> None:
    model = random_norms(build("vgg6", classes=10, channels=1))
    student = pruned_by(model, 0.5, "filter_l1")
    for name, width in (("stage1.0.0", 32), ("stage2.0.0", 64), ("stage3.0.0", 128)):
        kernels = np.abs(model.get_submodule(name).weight.detach().numpy()).sum(axis=(1, 2, 3))
        assert student.kept[name] == tuple(sorted(np.argsort(-kernels)[:width]))


def test_globally_layers_of_small_differences_stay_wide(pruned_by: PrunedBy) -> None:
    model = build("vgg6", classes=10, channels=1).eval()
    first, last = model.get_submodule("stage1.0.0"), model.get_submodule("stage3.0.0")
    with torch.no_grad():
        first.weight.fill_(1.0)  # every one of 64 filters is as strong as the mean
        last.weight.copy_(torch.arange(256).view(-1, 1, 1, 1).expand_as(last.weight))  # 0 … 2 times the mean
    kept = pruned_by(model, 0.25, "filter_l1", scope="global").kept
    assert "stage1.0.0" not in kept
    assert len(kept["stage3.0.0"]) < 0.75 * 256
    assert kept["stage3.0.0"] == tuple(range(256 - len(kept["stage3.0.0"]), 256))


@pytest.mark.parametrize("spec", ["vgg6", "mobilenet_v1:width=0.25,blocks512=1"])
@pytest.mark.parametrize("ratio", [0.3, 0.6])
def test_globally_the_ratio_of_all_channels_goes(spec: str, ratio: float, pruned_by: PrunedBy) -> None:
    model = build(spec, classes=10, channels=1).eval()
    student = pruned_by(model, ratio, "filter_l1", scope="global")
    groups = Graph(model, IMAGE).groups
    widths = [len(student.kept.get(group.root, range(group.width))) for group in groups]
    assert all(width >= 8 and width % 8 == 0 for width in widths)
    assert abs(sum(widths) - (1 - ratio) * sum(group.width for group in groups)) <= 4
    assert student.model(IMAGE).isfinite().all()
