"""What holds for every built-in model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from edgekd.deploy.check import compare
from edgekd.deploy.export import export_onnx
from edgekd.deploy.outputs import Runner
from edgekd.errors import EdgekdError
from edgekd.pruning.child.opening import open_network
from edgekd.pruning.child.protocol import Judging, Opening, PruneRequest
from edgekd.pruning.child.writing import write_pruned
from edgekd.pruning.explore import space_of
from edgekd.search._widths import widths_by_layer
from edgekd.values import Structure
from edgekd.zoo.architectures._inverted_residual import InvertedResidual, SqueezeExcitation
from edgekd.zoo.architectures.densenet import Layer
from edgekd.zoo.architectures.resnet import Block
from edgekd.zoo.build import build, models
from edgekd.zoo.cost import macs, parameters
from edgekd.zoo.definition import Definition, layers_of, load_pruned
from edgekd.zoo.weights import save_weights


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 32, 32), (1, 28, 28), (4, 9, 17)])
def test_classifies_images_of_any_size_and_channels(name: str, channels: int, height: int, width: int) -> None:
    model = build(name, classes=7, channels=channels)
    images = torch.randn(2, channels, height, width)
    # with statistics that nothing was counted for, what all images have in common grows from block to block
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    model.train()(images)
    outputs = model.eval()(images)
    assert outputs.shape == (2, 7)
    difference = (outputs[0] - outputs[1]).abs().max()
    assert difference > 0.01 * outputs.abs().max(), "two images give the same: nothing of them is left"


@pytest.mark.parametrize("name", models())
def test_untrained_activations_neither_vanish_nor_explode(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, classes=10, channels=1).eval()
    sizes: list[float] = []
    for layer in model.modules():
        if isinstance(layer, nn.ReLU | nn.ReLU6 | nn.Hardswish | nn.SiLU):
            layer.register_forward_hook(lambda layer, inputs, output: sizes.append(output.square().mean().item()))
    model(torch.randn(4, 1, 28, 28))
    # the border of zeros takes a part of the small maps, and each of EfficientNet's gates a half of what passes it
    assert min(sizes) > 1e-12
    # each sum with a shortcut doubles the square: 54 of them in resnet110
    sums = sum(isinstance(layer, Block | InvertedResidual) for layer in model.modules())
    assert max(sizes) < 2.0 ** (sums + 10)


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
        ("mobilenet_v1:blocks128=0,blocks256=0,blocks512=0", 1000, 2_801_064),
        ("resnet8", 100, 83_892),
        ("resnet32", 100, 472_756),
        ("densenet_bc40", 10, 176_122),
        ("densenet_bc100", 10, 769_162),
        ("densenet_bc100", 100, 800_032),
    ],
)
def test_has_the_published_number_of_parameters(spec: str, classes: int, count: int) -> None:
    assert parameters(build(spec, classes=classes, channels=3)) == count


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "mobilenet_v2:width=0.35"]
)
def test_has_as_many_parameters_as_torchvisions(name: str) -> None:
    base, _, width = name.partition(":width=")
    settings = {"width_mult": float(width)} if width else {}
    reference = torchvision.models.get_model(base, num_classes=10, **settings)
    assert parameters(build(name, classes=10, channels=3)) == parameters(reference)


@pytest.mark.parametrize(
    ("name", "unstrided"),
    [
        ("mobilenet_v2", ["features.0.0", "features.2.conv.1.0"]),
        ("mobilenet_v3_small", ["features.0.0", "features.1.block.0.0"]),
        ("mobilenet_v3_large", ["features.0.0", "features.2.block.1.0"]),
        ("efficientnet_b0", ["features.0.0"]),
    ],
)
def test_computes_what_torchvisions_does_without_the_first_strides(name: str, unstrided: list[str]) -> None:
    torch.manual_seed(0)
    model = build(name, classes=10, channels=3).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.7, 1.3)
    reference = torchvision.models.get_model(name, num_classes=10).eval()
    # the layers stand in the same order
    reference.load_state_dict(dict(zip(reference.state_dict(), model.state_dict().values(), strict=True)))
    for layer in reference.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 1e-5  # MobileNetV3's is 1e-3
    for path in unstrided:
        reference.get_submodule(path).stride = (1, 1)
    if name == "mobilenet_v3_small":
        # its shape stays where it doesn't halve the map
        reference.get_submodule("features.1").use_res_connect = True
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = reference(images)
        difference = (model(images) - expected).abs().max()
    assert difference < 1e-4 * expected.abs().max()
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.abs().max()


def test_resnet110_has_the_published_1_7_million_parameters() -> None:
    assert round(parameters(build("resnet110", classes=10, channels=3)) / 1e6, 1) == 1.7


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("mobilenet_v1", 2),
        ("mobilenet_v2", 4),
        ("mobilenet_v3_small", 4),
        ("mobilenet_v3_large", 4),
        ("efficientnet_b0", 2),
        ("densenet_bc40", 8),
        ("resnet110", 8),
    ],
)
def test_32_pixels_end_as_maps_of_the_size_that_the_module_says(spec: str, size: int) -> None:
    model = build(spec, classes=10, channels=3).eval()
    maps: list[Tensor] = []
    model.get_submodule("head").register_forward_pre_hook(lambda layer, inputs: maps.append(inputs[0]))
    model(torch.randn(1, 3, 32, 32))
    assert maps[0].shape[2:] == (size, size)


@pytest.mark.parametrize("value", ["efficientnet_b0:depth=0", "mobilenet_v3_small:width=9", "densenet_bc40:growth=0"])
def test_settings_out_of_range_are_refused(value: str) -> None:
    with pytest.raises(EdgekdError, match=value.partition(":")[2].partition("=")[0]):
        build(value, classes=10, channels=1)


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [
        ("vgg6", 3),
        ("vgg8", 5),
        ("vgg11", 8),
        ("vgg13", 10),
        *[(f"resnet{depth}", depth - 1 + 2) for depth in (8, 14, 20, 32, 44, 56, 110)],
        ("densenet_bc40", 39),
        ("densenet_bc100", 99),
    ],
)
def test_has_as_many_convolutions_as_its_name_says(name: str, convolutions: int) -> None:
    model = build(name, classes=10, channels=3)
    assert sum(isinstance(layer, nn.Conv2d) for layer in model.modules()) == convolutions


def test_widths_of_a_narrow_mobilenet_are_multiples_of_8() -> None:
    model = build("mobilenet_v1:width=0.3", classes=10, channels=1)
    widths = {layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)}
    assert min(widths) == 8
    assert all(width % 8 == 0 for width in widths)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0"])
def test_widths_of_a_narrow_network_are_multiples_of_8_but_for_the_squeezed(name: str) -> None:
    model = build(f"{name}:width=0.3", classes=10, channels=1)
    squeezed = {id(part.gate[1]) for part in model.modules() if isinstance(part, SqueezeExcitation)}
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and id(layer) not in squeezed]
    assert min(layer.out_channels for layer in convolutions) == 8
    assert all(layer.out_channels % 8 == 0 for layer in convolutions)


def test_efficientnet_of_twice_the_depth_has_twice_the_blocks() -> None:
    blocks = [
        sum(isinstance(part, InvertedResidual) for part in build(spec, classes=10, channels=1).modules())
        for spec in ("efficientnet_b0:width=0.25", "efficientnet_b0:width=0.25,depth=2")
    ]
    assert blocks == [16, 32]


def test_dense_layer_passes_its_input_on_unchanged() -> None:
    images = torch.randn(2, 6, 4, 4)
    outputs = Layer(6, 4).eval()(images)
    assert outputs.shape == (2, 10, 4, 4)
    assert torch.equal(outputs[:, :6], images)


def test_gate_scales_each_channel_by_one_number() -> None:
    part = SqueezeExcitation(6, 2, activation=nn.ReLU, gate=nn.Sigmoid)
    images = torch.randn(2, 6, 4, 4)
    gates = part(images) / images
    torch.testing.assert_close(gates, gates[:, :, :1, :1].expand_as(gates))
    assert ((gates > 0) & (gates < 1)).all()


# the smallest of each family
SMALL = [
    "mobilenet_v1:width=0.25,blocks512=0",
    "mobilenet_v2:width=0.25",
    "mobilenet_v3_small:width=0.5",
    "resnet8",
    "vgg6",
    "densenet_bc40",
    "efficientnet_b0:width=0.5,depth=0.3",
]


@pytest.mark.parametrize("spec", SMALL)
def test_is_rebuilt_from_its_structure_and_its_weights(spec: str, tmp_path: Path) -> None:
    model = build(spec, classes=10, channels=3).eval()
    save_weights(model, tmp_path / "weights.safetensors")
    structure = Definition(
        model=spec,
        classes=10,
        channels=3,
        height=32,
        width=32,
        kept={},
        layers=layers_of(model),
    )
    structure.write(tmp_path / "structure.json")
    rebuilt = load_pruned(Definition.read(tmp_path / "structure.json"), tmp_path / "weights.safetensors").eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(rebuilt(images), model(images))


@pytest.mark.usefixtures("operators_read_once")
@pytest.mark.slow
@pytest.mark.parametrize("spec", SMALL)
def test_exported_file_is_the_same_function(spec: str, tmp_path: Path, runner_of: Callable[..., Runner]) -> None:
    torch.manual_seed(0)
    model = build(spec, classes=10, channels=1).eval()
    assert export_onnx(model, torch.zeros(1, 1, 28, 28), tmp_path / "model.onnx") == "dynamo"
    images = torch.randn(8, 1, 28, 28)
    with torch.inference_mode():
        reference = model(images).numpy()
    parity = compare(reference, runner_of(tmp_path / "model.onnx", "onnxruntime")(images.numpy()))
    assert parity.sqnr_db > 90
    assert parity.top1_agreement == 1


@pytest.mark.slow
@pytest.mark.parametrize("spec", [*SMALL, "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0"])
def test_is_narrowed_by_30_percent(spec: str, tmp_path: Path) -> None:
    """As the child process does it, which itself refuses a student of another shape, that isn't finite, that isn't
    equal when rebuilt, or isn't proven.
    """
    original = build(spec, classes=10, channels=1).eval()
    save_weights(original, tmp_path / "teacher.safetensors")
    shape = {"classes": 10, "channels": 1, "height": 28, "width": 28}
    weights = tmp_path / "teacher.safetensors"
    opened = open_network(Opening(model=spec, **shape, weights=weights, channel_block=8, memory_bytes=4_000_000_000))
    space = space_of(opened.model, opened.example, channel_block=8, kinds=["channels"])
    structure = Structure(widths=widths_by_layer(space, 0.3))
    answer = write_pruned(
        opened, PruneRequest(structure=structure, judging=Judging(criterion="l1"), folder=tmp_path / "pruned")
    )
    pruned = load_pruned(Definition.read(answer.definition), answer.weights).eval()
    assert parameters(pruned) == answer.cost.parameters < 0.75 * parameters(original)
    assert answer.cost.macs < 0.75 * macs(original, (1, 28, 28))
    outputs = pruned(torch.randn(2, 1, 28, 28))
    assert outputs.shape == (2, 10)
    assert outputs.isfinite().all()
