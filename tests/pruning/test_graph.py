import pytest
import torch
from torch import Tensor, nn

from edgekd.pruning.graph import Graph
from edgekd.zoo.build import build

IMAGE = torch.randn(1, 1, 16, 16)


def graph_of(spec: str) -> Graph:
    return Graph(build(spec, classes=10, channels=1).eval(), IMAGE)


def test_layers_that_are_added_share_a_group() -> None:
    model = build("resnet8", classes=10, channels=1).eval()
    graph = Graph(model, IMAGE)
    layers = {layer: name for name, layer in model.named_modules()}
    sharing = [{layers[m.layer] for m in group.members if m.side == "out"} for group in graph.groups]
    last = next(names for names in sharing if "stage3.0.second.0" in names)
    assert last == {"stage3.0.second.0", "stage3.0.second.1", "stage3.0.shortcut.0", "stage3.0.shortcut.1"}


def test_depthwise_convolutions_follow_the_pointwise_ones_before_them() -> None:
    graph = graph_of("mobilenet_v1:width=0.25,blocks512=1")
    depthwise = [
        m.layer
        for group in graph.groups
        for m in group.members
        if isinstance(m.layer, nn.Conv2d) and m.layer.groups > 1
    ]
    assert len(depthwise) == len(set(depthwise)) == 9
    assert all(group.parts == 1 for group in graph.groups)


@pytest.mark.parametrize("spec", ["vgg6", "resnet8"])
def test_the_classes_are_in_no_group(spec: str) -> None:
    model = build(spec, classes=10, channels=1).eval()
    heads = [m for m in model.modules() if isinstance(m, nn.Linear)]
    outputs = [m.layer for group in Graph(model, IMAGE).groups for m in group.members if m.side == "out"]
    assert outputs
    assert not set(heads) & set(outputs)


class ConvolutionalHead(nn.Module):
    """As SqueezeNet ends: the classes are the channels of a convolution, behind two branches side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, padding=1)
        self.left = nn.Conv2d(32, 16, 1)
        self.right = nn.Conv2d(32, 24, 3, padding=1)
        self.head = nn.Conv2d(40, 24, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.cat([self.left(x), self.right(x)], dim=1)
        return torch.relu(self.head(x)).mean(dim=(2, 3)).flatten(1)


def test_classes_that_a_convolution_gives_are_in_no_group() -> None:
    graph = Graph(ConvolutionalHead().eval(), IMAGE)
    assert {group.root: group.width for group in graph.groups} == {"stem": 32, "left": 16, "right": 24}


def test_keep_takes_the_same_channels_out_of_all_layers_that_share_them() -> None:
    model = ConvolutionalHead().eval()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Graph(model, IMAGE).keep("right", [1, 3, 20])
    assert torch.equal(model.right.weight, before["right.weight"][[1, 3, 20]])
    assert torch.equal(model.right.bias, before["right.bias"][[1, 3, 20]])
    assert torch.equal(model.head.weight, before["head.weight"][:, [*range(16), 17, 19, 36]])
    assert torch.equal(model.left.weight, before["left.weight"])


def test_a_grouped_convolution_parts_the_channels_that_it_reads() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 32, 1), nn.Conv2d(32, 64, 3, groups=4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3)
    )
    assert {group.root: group.parts for group in Graph(model.eval(), IMAGE).groups} == {"0": 4, "1": 4}


def test_frozen_weights_can_be_traced() -> None:
    model = build("vgg6", classes=10, channels=1).eval().requires_grad_(False)
    assert len(Graph(model, IMAGE).groups) == 3


def test_the_network_is_traced_on_the_whole_batch() -> None:
    seen = []

    class Watching(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.shape)
            return super().forward(x)

    Graph(nn.Sequential(Watching(1, 16, 3), nn.Flatten(), nn.Linear(16 * 14 * 14, 3)).eval(), IMAGE)
    assert seen == [(1, 1, 16, 16)]
