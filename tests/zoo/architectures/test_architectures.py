"""What holds for every built-in model."""

import pytest
import torch
from torch import nn

from edgekd.zoo.build import build, models
from edgekd.zoo.cost import parameters


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 32, 32), (1, 28, 28), (4, 9, 17)])
def test_classifies_images_of_any_size_and_channels(name: str, channels: int, height: int, width: int) -> None:
    model = build(name, classes=7, channels=channels).eval()
    outputs = model(torch.randn(2, channels, height, width))
    assert outputs.shape == (2, 7)
    difference = (outputs[0] - outputs[1]).abs().max()
    assert difference > 0.01 * outputs.abs().max(), "two images give the same: nothing of them is left"


@pytest.mark.parametrize("name", models())
def test_untrained_activations_neither_vanish_nor_explode(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, classes=10, channels=1).eval()
    sizes: list[float] = []
    for layer in model.modules():
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda layer, inputs, output: sizes.append(output.square().mean().item()))
    model(torch.randn(4, 1, 28, 28))
    # the border of zeros takes a part of the small maps, and each of resnet56's 27 sums doubles the square
    assert min(sizes) > 1e-6
    assert max(sizes) < 2**30


@pytest.mark.parametrize("name", models())
def test_first_layer_keeps_the_size_of_small_images(name: str) -> None:
    first = next(layer for layer in build(name, classes=10, channels=2).modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == 2
    assert first(torch.randn(1, 2, 28, 28)).shape[2:] == (28, 28)


@pytest.mark.parametrize(
    ("spec", "classes", "count"),
    [
        ("mobilenet_v1", 10, 3_217_226),
        ("mobilenet_v1", 1000, 4_231_976),
        ("mobilenet_v1:width=0.75", 10, 1_824_250),
        ("mobilenet_v1:blocks512=1", 10, 2_142_026),
        ("resnet8", 100, 83_892),
        ("resnet32", 100, 472_756),
    ],
)
def test_has_the_published_number_of_parameters(spec: str, classes: int, count: int) -> None:
    assert parameters(build(spec, classes=classes, channels=3)) == count


@pytest.mark.parametrize(
    ("name", "convolutions"), [("vgg6", 3), ("vgg8", 5), ("vgg11", 8), ("vgg13", 10), ("resnet20", 19 + 2)]
)
def test_has_as_many_convolutions_as_its_name_says(name: str, convolutions: int) -> None:
    model = build(name, classes=10, channels=3)
    assert sum(isinstance(layer, nn.Conv2d) for layer in model.modules()) == convolutions


def test_widths_of_a_narrow_mobilenet_are_multiples_of_8() -> None:
    model = build("mobilenet_v1:width=0.3", classes=10, channels=1)
    widths = {layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)}
    assert min(widths) == 8
    assert all(width % 8 == 0 for width in widths)
