import torch
from torch import nn
from torch.nn.utils import parametrizations

from edgekd.zoo.build import build
from edgekd.zoo.cost import macs, nonzero, parameters


def test_macs_are_those_counted_by_hand() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, groups=1), nn.Flatten(), nn.Linear(8 * 4 * 4, 10))
    assert macs(model, (3, 4, 4)) == 16 * 8 * 3 * 9 + 8 * 4 * 4 * 10


def test_macs_of_resnet32_are_the_published_69_million() -> None:
    assert 69e6 < macs(build("resnet32", classes=10, channels=3), (3, 32, 32)) < 69.5e6


def test_counting_leaves_the_model_as_it_was() -> None:
    model = build("resnet8", classes=10, channels=1).train()
    model.get_submodule("stem").eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    macs(model, (1, 16, 16))
    assert model.training
    assert not model.get_submodule("stem").training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_shared_parameters_count_once() -> None:
    layer = nn.Linear(4, 4)
    assert parameters(nn.Sequential(layer, layer, nn.BatchNorm1d(4))) == 20 + 8


def test_zeros_are_parameters_that_nonzero_leaves_out() -> None:
    layer = nn.Linear(4, 4)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    with torch.no_grad():
        layer.weight[0, :3] = 0
    model = nn.Sequential(layer, layer)
    assert (parameters(model), nonzero(model)) == (20, 13)


def test_parametrised_layers_are_counted_and_continue_learning() -> None:
    conv = nn.Conv2d(3, 8, 3, padding=1)
    conv.bias.requires_grad_(False)  # type: ignore[union-attr]
    model = nn.Sequential(parametrizations.weight_norm(conv), nn.Flatten(), nn.Linear(8 * 4 * 4, 10))
    assert macs(model, (3, 4, 4)) == 16 * 8 * 3 * 9 + 8 * 4 * 4 * 10
    assert [p.requires_grad for p in model.parameters()] == [False, True, True, True, True]
