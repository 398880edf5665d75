import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.training.flow import Flow, Key, flow
from edgekd.zoo.build import build


class Block(nn.Module):
    """Two convolutions and a shortcut, written in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.shortcut = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)) if way == "projection" else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(images)))))
        if self.way == "in place":
            inner += self.shortcut(images)
            return self.relu(inner)
        if self.way == "turned":
            return functional.relu(torch.add(self.shortcut(images), inner))
        return self.relu(inner + self.shortcut(images))


def one_addition(found: Flow) -> tuple[Key, Key]:
    assert len(found.additions) == 1
    return found.additions[0]


@pytest.mark.parametrize("way", ["plain", "in place", "turned"])
def test_skip_of_a_block_is_what_the_block_reads(way: str) -> None:
    found = flow(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), Block(way)).eval(), torch.randn(1, 1, 8, 8))
    addition = one_addition(found)
    skip = found.skip(addition)
    assert skip is not None
    assert (addition[skip],) == found.reads["2.conv1"] == found.gives["1"] == found.reads["2"]
    assert found.convolutions[addition[1 - skip]] == "2.conv2"


def test_of_two_convolutions_the_shorter_branch_is_the_shortcut() -> None:
    found = flow(Block("projection").eval(), torch.randn(1, 4, 8, 8))
    addition = one_addition(found)
    skip = found.skip(addition)
    assert skip is not None
    assert found.convolutions[addition[skip]] == "shortcut.0"


def test_what_else_is_read_of_a_convolution_is_not_fused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, images: Tensor) -> Tensor:
            given = self.conv(images)
            return given + given.sigmoid()

    found = flow(Twice().eval(), torch.randn(1, 1, 4, 4))
    assert found.skip(one_addition(found)) is None


@pytest.mark.parametrize(("model", "additions"), [("resnet20", 9), ("mobilenet_v2", 10), ("mobilenet_v1", 0)])
def test_additions_of_the_architectures(model: str, additions: int) -> None:
    network = build(model, classes=10, channels=1).eval()
    found = flow(network, torch.randn(1, 1, 16, 16))
    assert len(found.additions) == additions
    assert all(found.skip(addition) is not None for addition in found.additions)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
