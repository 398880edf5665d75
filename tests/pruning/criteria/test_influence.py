import numpy as np
import pytest
import torch
from torch import nn

from edgekd.pruning.criteria.influence import influences
from edgekd.pruning.watching import maps
from edgekd.zoo.build import build


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def test_influence_is_one_minus_the_mean_cosine_of_input_and_output() -> None:
    torch.manual_seed(0)
    model = build("resnet20", classes=10, channels=1).eval()
    images = torch.randn(40, 1, 8, 8)  # more than one batch
    cosines: dict[str, list[float]] = {"stage1.1": [], "stage3.2": []}
    for image in images:
        for name, (before, after) in maps(model, image[None], cosines).items():
            cosines[name].append(cosine(before.numpy().astype("float64"), after.numpy().astype("float64")))
    found = influences(model, list(cosines), images)
    assert found == pytest.approx({name: 1 - np.mean(each) for name, each in cosines.items()}, abs=1e-6)
    assert 0.001 < found["stage3.2"] != found["stage1.1"]


def test_channels_that_only_the_output_has_count_as_change() -> None:
    torch.manual_seed(0)
    model = build("densenet_bc40", classes=10, channels=1).eval()
    images = torch.randn(1, 1, 8, 8)
    before, after = (tensor.numpy() for tensor in maps(model, images, ["block2.3"])["block2.3"])
    filled = np.zeros_like(after)
    filled[:, : before.shape[1]] = before
    assert influences(model, ["block2.3"], images)["block2.3"] == pytest.approx(1 - cosine(filled, after), abs=1e-6)


def test_a_block_that_changes_nothing_has_no_influence() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False)).eval()
    nn.init.dirac_(model[1].weight)
    with torch.no_grad():
        model[2].weight.copy_(-model[1].weight)
    found = influences(model, ["1", "2"], torch.randn(3, 1, 8, 8))
    assert found == pytest.approx({"1": 0, "2": 2}, abs=1e-6)
