import copy

import pytest
import torch
from torch import nn

from edgekd.errors import UnsupportedModelError
from edgekd.zoo.build import build
from edgekd.zoo.reinitialize import reinitialize


def test_every_layer_is_reinitialised_by_the_seed():
    model = build("resnet8", classes=10, channels=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7)
        model.stem[1].running_mean.fill_(7)
    reinitialize(model, 1)
    first = [p.detach().clone() for p in model.parameters()]
    assert not any((p == 7).any() for p in first)
    assert (model.stem[1].running_mean == 0).all()
    reinitialize(model, 1)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), first, strict=True))
    reinitialize(model, 2)
    assert not torch.equal(model.stem[0].weight, first[0])


def test_the_weights_are_as_wide_as_those_of_a_new_network():
    model, new = build("vgg8", classes=10, channels=1), build("vgg8", classes=10, channels=1)
    reinitialize(model, 5)
    for own, other in zip(model.parameters(), new.parameters(), strict=True):
        if own.ndim == 4:
            assert own.std().item() == pytest.approx(other.std().item(), rel=0.1)


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_the_weights_are_not_those_of_a_network_built_with_the_seed(seed):
    torch.manual_seed(seed)
    built = build("resnet8", classes=10, channels=1)
    model = copy.deepcopy(built)
    reinitialize(model, seed)
    for own, other in zip(model.parameters(), built.parameters(), strict=True):
        if own.ndim > 1:
            assert not (own == other).any()


def test_the_global_random_state_stays():
    torch.manual_seed(3)
    expected = torch.rand(1)
    model = build("resnet8", classes=10, channels=1)
    torch.manual_seed(3)
    reinitialize(model, 1)
    assert torch.rand(1) == expected


def test_a_tensor_that_no_layer_draws_is_refused():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    network = nn.Sequential()
    network.add_module("inner", Own())
    with pytest.raises(UnsupportedModelError, match="inner has tensors of its own"):
        reinitialize(network, 0)
