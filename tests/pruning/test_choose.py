"""The channels that are taken out are the same, whoever cuts."""

import copy
import warnings

import pytest
import torch
from torch import Tensor, nn

from edgekd.pruning.choose import channels_of
from edgekd.pruning.graph import Channels, Graph, channels_left
from edgekd.pruning.known_groups import KnownGroups
from edgekd.pruning.proof import require_proof
from edgekd.zoo.build import build

EXAMPLE = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
OWN = ("vgg6", "resnet8", "mobilenet_v1:width=0.25,blocks512=1", "densenet_bc40")
TORCHVISION = ("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "squeezenet1_1", "googlenet")


def halves(channels: Channels) -> dict[str, tuple[int, ...]]:
    """Every other channel; of each part of a group the same ones."""
    kept = {}
    for group in channels.groups:
        length = group.width // group.parts
        kept[group.root] = tuple(p * length + i for p in range(group.parts) for i in range(0, length, 2))
    return kept


def cut(channels: Channels, kept: dict[str, tuple[int, ...]]) -> None:
    for root, stays in kept.items():
        channels.keep(root, stays)


@pytest.mark.parametrize("spec", [*OWN, *(f"torchvision:{name}" for name in TORCHVISION)])
def test_known_groups_are_cut_as_torch_pruning_cuts_them(spec: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's own
        model = build(spec, classes=10, channels=3, size=(32, 32)).eval()
    copied, other = copy.deepcopy(model), copy.deepcopy(model)
    channels, graph = channels_of(model, copied, EXAMPLE), Graph(other, EXAMPLE)
    assert isinstance(channels, KnownGroups), "cut by torch-pruning, which takes far longer"
    kept = halves(channels)
    assert kept == halves(graph)
    left = channels_left(model, channels_of(model, model, EXAMPLE).groups, kept)
    cut(channels, kept)
    cut(graph, kept)
    for (name, one), (_, same) in zip(copied.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(one, same), name
    require_proof(model, copied, EXAMPLE, kept=left)


class Unscaled(nn.Module):
    """A norm without weights is in no group's members, and yet it has a width."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16, affine=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.first(x))).mean(dim=(2, 3)))


def test_where_members_are_missing_torch_pruning_cuts() -> None:
    model = Unscaled().eval()
    copied = copy.deepcopy(model)
    channels = channels_of(model, copied, EXAMPLE)
    assert isinstance(channels, Graph)
    channels.keep("first", (1, 4, 9))
    assert copied.norm.num_features == 3
    require_proof(model, copied, EXAMPLE, kept={"first": (1, 4, 9)})


def test_one_weight_for_all_channels_stays() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.PReLU(), nn.Flatten(), nn.Linear(8 * 900, 10)).eval()
    copied = copy.deepcopy(model)
    channels_of(model, copied, EXAMPLE).keep("0", (0, 5))
    assert copied[1].weight.numel() == 1
    require_proof(model, copied, EXAMPLE, kept={"0": (0, 5)})


def test_weights_that_were_frozen_get_gradients() -> None:
    copied = build("vgg6", classes=10, channels=3).eval().requires_grad_(False)
    channels_of(copy.deepcopy(copied), copied, EXAMPLE)
    assert all(parameter.requires_grad for parameter in copied.parameters())
