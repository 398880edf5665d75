from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from edgekd.pruning.blocks import blocks, without
from edgekd.zoo.build import build

IMAGE = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def network(spec: str) -> nn.Module:
    """With batch norms that do something, so that a channel in the wrong place shows."""
    torch.manual_seed(0)
    model = build(spec, classes=10, channels=1).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (norm.bias, norm.running_mean):
                nn.init.uniform_(tensor, -0.5, 0.5)
    return model


def can_go(model: nn.Module) -> list[str]:
    return [block.name for block in blocks(model, IMAGE) if block.can_go]


def of_stages(counts: dict[int, Sequence[int]]) -> list[str]:
    return [f"stage{stage}.{i}" for stage, kept in counts.items() for i in kept]


FAMILIES = {
    "resnet8": (4, ["stage1.0"]),
    "resnet20": (10, of_stages({1: (0, 1, 2), 2: (1, 2), 3: (1, 2)})),
    "mobilenet_v1": (14, [f"blocks.{i}" for i in (2, 4, 6, 7, 8, 9, 10, 12)]),
    "mobilenet_v2": (19, of_stages({2: (1,), 3: (1, 2), 4: (1, 2, 3), 5: (1, 2), 6: (1, 2)})),
    "mobilenet_v3_small": (13, [f"blocks.{i}" for i in (0, 2, 4, 5, 7, 9, 10)]),
    "efficientnet_b0": (18, of_stages({2: (1,), 3: (1,), 4: (1, 2), 5: (1, 2), 6: (1, 2, 3)})),
    "densenet_bc40": (21, [f"block{block}.{i}" for block in (1, 2, 3) for i in range(6)]),
    "vgg6": (3, []),
    "vgg8": (5, ["stage5"]),
    "vgg11": (8, of_stages({3: (1,), 4: (1,), 5: (0, 1)})),
}


@pytest.mark.parametrize("spec", FAMILIES)
def test_blocks_whose_input_can_take_the_place_of_their_output_can_go(spec: str) -> None:
    count, free = FAMILIES[spec]
    model = network(spec)
    assert len(blocks(model, IMAGE)) == count
    assert can_go(model) == free
    output = without(model, IMAGE, free)(IMAGE)
    assert output.shape == (1, 10)
    assert output.isfinite().all()


def test_blocks_of_torchvision_are_found_too() -> None:
    model = network("torchvision:resnet18")
    assert can_go(model) == ["layer1.0", "layer1.1", "layer2.1", "layer3.1", "layer4.1"]
    # the stem isn't in a Sequential
    assert len(blocks(model, IMAGE)) == 8


def test_the_network_continues_with_what_the_block_got() -> None:
    model = network("resnet20")
    smaller = without(model, IMAGE, ["stage1.1", "stage3.2"])
    x = IMAGE
    for name in ("stem", "stage1.0", "stage1.2", "stage2", "stage3.0", "stage3.1", "head"):
        x = model.get_submodule(name)(x)
    assert torch.equal(smaller(IMAGE), x)
    assert not torch.allclose(model(IMAGE), x)


def test_later_layers_of_a_densenet_read_the_channels_that_are_left() -> None:
    model = network("densenet_bc40")
    smaller = without(model, IMAGE, ["block1.1", "block1.3", "block3.5"])
    # a channel that isn't there is one that no convolution reads; each layer adds 12 to what it gets
    with torch.inference_mode():
        for number in (1, 3):
            first = 24 + 12 * number
            for reader in (*(f"block1.{i}.bottleneck" for i in range(number + 1, 6)), "transition1"):
                model.get_submodule(reader)[2].weight[:, first : first + 12] = 0
        model.get_submodule("head")[2].weight[:, -12:] = 0
    torch.testing.assert_close(smaller(IMAGE), model(IMAGE))
    assert smaller.get_submodule("block1.2.bottleneck")[2].in_channels == 36
    assert smaller.get_submodule("transition1")[2].in_channels == 24 + 4 * 12
    assert smaller.get_submodule("head")[2].in_features == 60 + 5 * 12


def test_blocks_that_are_gone_are_none_any_more() -> None:
    model = network("densenet_bc40")
    smaller = without(model, IMAGE, ["block1.1"])
    left = [block for block in blocks(model, IMAGE) if block.name != "block1.1"]
    assert list(blocks(smaller, IMAGE)) == left


class Growing(nn.Module):
    """Puts `channels` more behind what it gets, or before it."""

    def __init__(self, inputs: int, channels: int, *, behind: bool = True) -> None:
        super().__init__()
        self.grow = nn.Conv2d(inputs, channels, 3, padding=1)
        self.behind = behind

    def forward(self, x: Tensor) -> Tensor:
        parts = [x, self.grow(x)]
        return torch.cat(parts if self.behind else parts[::-1], dim=1)


def head(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def test_a_layer_that_puts_its_channels_before_what_it_got_stays() -> None:
    layers = [Growing(4, 4), Growing(8, 4, behind=False), Growing(12, 4)]
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *layers, head(16)).eval()
    assert can_go(model) == ["1", "3"]


def test_a_layer_whose_channels_are_added_to_anothers_stays() -> None:
    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), Growing(4, 4))
            self.other = nn.Conv2d(1, 8, 3, padding=1)
            self.head = head(8)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layers(x) + self.other(x))

    assert can_go(Added().eval()) == []


def test_a_growing_block_that_changes_in_place_what_it_passes_on_stays() -> None:
    class Rectifying(Growing):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.relu_())

    first, relu = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True)
    assert can_go(nn.Sequential(first, Rectifying(4, 4), head(8)).eval()) == []
    # what comes behind it may change its output
    assert can_go(nn.Sequential(first, Growing(4, 4), relu, head(8)).eval()) == ["1"]


def test_a_block_that_is_called_twice_stays() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
            self.head = head(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layers[1](self.layers(x)))

    assert can_go(Twice().eval()) == []


def test_norms_and_the_head_are_no_blocks() -> None:
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)]
    dense = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 10))
    model = nn.Sequential(*layers, nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense).eval()
    assert [block.name for block in blocks(model, IMAGE)] == ["0", "3"]
