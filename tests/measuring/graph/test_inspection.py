"""What `inspect` counts, beside independent counts: by hooks in PyTorch, by hand for what is built here."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
import pytest
import torch
import torchvision
from onnx import TensorProto, helper
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from torch import nn

from edgekd.deploy.export import export_onnx
from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.measuring.graph.inspection import inspect_file
from tests.measuring.graph.conftest import image, weights

SIDE = 64
node = helper.make_node


def settled(network):
    """The network with weights as if it was trained: nothing is zero, or the same as anything else."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(0.1 * torch.randn_like(tensor).abs() + 0.1)
    return network.eval()


def counted_by_hooks(network, shape):
    """Multiply-accumulates of each convolution and linear layer, by its output and its weight."""
    found = {}

    def hook(name):
        def count(layer, given, made):
            numel = given[0].numel() if isinstance(layer, nn.ConvTranspose2d) else made.numel()
            found[f"{name}.weight"] = numel * math.prod(layer.weight.shape[1:])

        return count

    layers = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)}
    hooks = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    with torch.inference_mode():
        network(torch.zeros(1, *shape))
    for each in hooks:
        each.remove()
    return found


def parameters_with_folded_norms(network):
    """Weights, and a bias for each layer that has one or has a batch normalisation behind it."""
    normalised = any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    total = 0
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            with_bias = layer.bias is not None or normalised
            total += layer.weight.numel() + (layer.bias.numel() if layer.bias is not None else 0)
            total += layer.out_channels if with_bias and layer.bias is None else 0
    return total


@pytest.mark.parametrize(
    ("make", "opset"),
    [
        (torchvision.models.mobilenet_v2, 17),
        (torchvision.models.mobilenet_v3_small, 18),
        (torchvision.models.resnet18, 17),
    ],
)
def test_layers_macs_and_parameters_are_those_of_the_network(tmp_path, make, opset):
    network = settled(make(weights=None, num_classes=10))
    export_onnx(network, torch.zeros(1, 3, SIDE, SIDE), tmp_path / "m.onnx", opset=opset)
    found, expected = inspect_file(tmp_path / "m.onnx"), counted_by_hooks(network, (3, SIDE, SIDE))
    # TorchScript names the weights of folded convolutions by numbers
    assert sorted(layer.macs for layer in found.layers) == sorted(expected.values())
    if opset == 18:
        assert {layer.name: layer.macs for layer in found.layers} == expected
    assert found.totals.macs == sum(expected.values())
    assert found.totals.parameters == sum(layer.parameters for layer in found.layers)
    assert found.totals.parameters == parameters_with_folded_norms(network)
    assert {layer.precision for layer in found.layers} == {"fp32"}
    assert (found.not_counted, found.shapes_failed, found.dynamic) == ((), None, False)
    assert found.totals.file_bytes == (tmp_path / "m.onnx").stat().st_size


DATA = Path(onnx.backend.test.__file__).parent / "data"


@pytest.mark.parametrize("name", ["resnet50", "vgg19", "densenet121"])
def test_macs_of_models_that_others_exported_are_those_of_torchvision(name):
    """Their weights are computed, by ConstantOfShape."""
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(weights=None).eval()
        expected = counted_by_hooks(network, (3, 224, 224))
    found = inspect_file(DATA / "light" / f"light_{name}.onnx")
    assert found.totals.macs == sum(expected.values())
    assert len(found.layers) == len(expected)


def test_every_model_in_the_onnx_package_is_counted():
    paths = list(DATA.rglob("*.onnx"))
    assert len(paths) > 50
    unknown = [path for path in paths if inspect_file(path).shapes_failed]
    assert unknown == []


class Padded(nn.Module):
    """Sizes of its padding and of its reshaping are computed in the file."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3, 2)

    def forward(self, x):
        x = nn.functional.pad(self.first(nn.functional.pad(x, (1, 2, 0, 3))), (2, 2))
        return self.second(x.reshape(1, 4, x.shape[2] * x.shape[3] // 13, 13))


def test_what_a_file_computes_of_constants_alone_is_known(tmp_path):
    network = settled(Padded())
    torch.onnx.export(network, (torch.zeros(1, 3, 9, 8),), tmp_path / "m.onnx", dynamo=False, opset_version=17)
    found, expected = inspect_file(tmp_path / "m.onnx"), counted_by_hooks(network, (3, 9, 8))
    assert {"Pad", "ConstantOfShape"} <= set(found.operators)
    assert {layer.name: layer.macs for layer in found.layers} == expected
    assert found.not_counted == ()
    assert found.totals.parameters == sum(p.numel() for p in network.parameters())


def test_constants_that_would_fill_the_memory_are_not_computed(saved):
    path = saved(
        [
            node("ConstantOfShape", ["shape"], ["much"]),
            node("ReduceSum", ["much"], ["one"], keepdims=0),
            node("Add", ["x", "one"], ["y"]),
        ],
        [image((4, 6))],
        {"shape": np.array([1 << 20, 1 << 20, 1 << 20])},
    )
    assert inspect_file(path).operators == {"Add": 1, "ConstantOfShape": 1, "ReduceSum": 1}


def test_groups_strides_dilation_and_transposed_convolutions(tmp_path):
    network = nn.Sequential(
        nn.Conv2d(4, 8, (3, 5), stride=2, padding=(1, 0), groups=2),
        nn.Conv2d(8, 8, 3, dilation=2, padding=2, groups=8, bias=False),
        nn.ConvTranspose2d(8, 6, 3, stride=2, output_padding=1, groups=2),
        nn.ConvTranspose2d(6, 4, 2),
        nn.Flatten(),
        nn.LazyLinear(7),
    )
    network(torch.zeros(1, 4, 12, 15))
    settled(network)
    export_onnx(network, torch.zeros(1, 4, 12, 15), tmp_path / "m.onnx")
    found = inspect_file(tmp_path / "m.onnx")
    assert {layer.name: layer.macs for layer in found.layers} == counted_by_hooks(network, (4, 12, 15))
    assert found.totals.parameters == sum(p.numel() for p in network.parameters())
    assert (found.layers[0].input, found.layers[0].output) == ((1, 4, 12, 15), (1, 8, 6, 6))


def test_the_products_of_attention_are_counted(tmp_path):
    """Four projections, and the products of queries with keys, and of those with values."""
    length, width, heads = 10, 16, 4

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inputs, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x):
            q, k, v = self.inputs(x).reshape(1, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4).unbind()
            weights = (q @ k.transpose(-1, -2)).softmax(-1)
            return self.output((weights @ v).transpose(1, 2).reshape(1, length, width))

    network = settled(Attention())
    export_onnx(network, torch.zeros(1, length, width), tmp_path / "a.onnx", opset=17)
    found = inspect_file(tmp_path / "a.onnx")
    assert found.totals.macs == 4 * length * width * width + 2 * length * length * width
    assert found.totals.parameters == sum(p.numel() for p in network.parameters())
    assert found.not_counted == ()
    assert len([layer for layer in found.layers if not layer.parameters]) == 2


class Feeds(CalibrationDataReader):
    def __init__(self, name, shape):
        random = np.random.default_rng(0)
        self.left = [{name: random.standard_normal(shape).astype("float32")} for _ in range(3)]

    def get_next(self):
        return self.left.pop() if self.left else None


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small network with a depthwise convolution as an fp32 file, and the MACs of its layers."""
    path = tmp_path_factory.mktemp("small") / "fp32.onnx"
    network = settled(
        nn.Sequential(
            *(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)),
        )
    )
    export_onnx(network, torch.zeros(1, 3, 16, 16), path)
    return path, counted_by_hooks(network, (3, 16, 16)), network


@pytest.mark.parametrize("form", list(QuantFormat))
@pytest.mark.parametrize("kind", [QuantType.QUInt8, QuantType.QInt8])
def test_quantised_files_have_the_layers_of_the_network_in_int8(small, tmp_path, form, kind):
    fp32, expected, network = small
    out = tmp_path / "int8.onnx"
    quantize_static(
        fp32, out, Feeds("input", (1, 3, 16, 16)), quant_format=form, activation_type=kind, per_channel=True
    )
    found = inspect_file(out)
    assert {layer.name: layer.macs for layer in found.layers} == expected
    stored = "uint8" if kind is QuantType.QUInt8 else "int8"
    assert {(one.precision, one.weights, one.activations) for one in found.layers} == {("int8", "int8", stored)}
    assert found.totals.int8_macs == found.totals.macs == sum(expected.values())
    assert found.totals.int8_coverage == 1
    assert found.totals.parameters == sum(p.numel() for p in network.parameters())


def test_nncfs_names_of_weights_lead_to_the_networks(saved):
    path = saved(
        [
            node("DequantizeLinear", ["q_output_stage1.0.weight_1", "s", "z"], ["dq"]),
            node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            node("MatMul", ["d", "dq"], ["y"]),
        ],
        [image((2, 6))],
        {"q_output_stage1.0.weight_1": np.ones((6, 5), np.int8), "s": np.float32(1), "z": np.int8(0)},
    )
    assert inspect_file(path).layers[0].name == "stage1.0.weight"


def test_a_layer_that_stayed_in_float_is_not_in_int8(small, tmp_path):
    fp32, expected, _ = small
    (left,) = [n.name for n in onnx.load(fp32).graph.node if n.op_type == "Conv" and "2.weight" in n.input[1]]
    out = tmp_path / "int8.onnx"
    quantize_static(fp32, out, Feeds("input", (1, 3, 16, 16)), nodes_to_exclude=[left])
    found = inspect_file(out)
    assert {layer.name: layer.precision for layer in found.layers} == {
        "0.weight": "int8",
        "2.weight": "fp32",
        "6.weight": "int8",
    }
    assert found.totals.int8_macs == expected["0.weight"] + expected["6.weight"]


def test_a_quantised_weight_alone_does_not_make_a_layer_int8(saved):
    path = saved(
        [node("DequantizeLinear", ["w", "s", "z"], ["d"], axis=0), node("Conv", ["x", "d"], ["y"])],
        [image()],
        {"w": np.ones((4, 3, 3, 3), np.int8), "s": np.ones(4, np.float32), "z": np.zeros(4, np.int8)},
    )
    (layer,) = inspect_file(path).layers
    assert (layer.precision, layer.weights, layer.activations) == ("fp32", "int8", "fp32")
    assert (layer.parameters, inspect_file(path).totals.int8_macs) == (4 * 27, 0)


def test_pairs_around_a_float_weight_quantise_it(saved):
    """As TensorRT 8 takes them, with a change of layout between."""
    path = saved(
        [
            node("QuantizeLinear", ["w_float", "s", "z"], ["q"]),
            node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            node("Transpose", ["d"], ["t"], perm=[1, 0]),
            node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
            node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
            node("Gemm", ["xd", "t"], ["y"]),
        ],
        [image((2, 6))],
        {"w_float": weights(5, 6), "s": np.float32(1), "z": np.int8(0)},
    )
    (layer,) = inspect_file(path).layers
    assert (layer.name, layer.precision, layer.weights, layer.parameters) == ("w", "int8", "int8", 30)
    assert layer.macs == 2 * 6 * 5


def test_dynamically_quantised_products_are_int8(saved, tmp_path):
    fp32 = saved([node("MatMul", ["x", "w"], ["y"])], [image((4, 6))], {"w": weights(6, 5)}, name="fp32")
    quantize_dynamic(fp32, tmp_path / "int8.onnx")
    found = inspect_file(tmp_path / "int8.onnx")
    (layer,) = found.layers
    assert (layer.op, layer.name, layer.macs, layer.parameters) == ("MatMulInteger", "w", 4 * 6 * 5, 30)
    assert (layer.precision, layer.weights, layer.activations) == ("int8", "int8", "uint8")
    assert found.totals.parameters == 30


@pytest.mark.parametrize("level", ["ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
def test_what_onnxruntime_makes_of_a_file_is_counted_the_same(small, tmp_path, level):
    fp32, expected, _ = small
    int8 = tmp_path / "int8.onnx"
    quantize_static(fp32, int8, Feeds("input", (1, 3, 16, 16)), per_channel=True)
    for path in (fp32, int8):
        options = SessionOptions()
        options.graph_optimization_level = getattr(GraphOptimizationLevel, level)
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        options.log_severity_level = 3
        # its blocked layout of channels is this CPU's own
        off = ["NchwcTransformer"]
        InferenceSession(str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=off)
        found = inspect_file(tmp_path / "optimised.onnx")
        assert sorted(layer.macs for layer in found.layers) == sorted(expected.values()), found.operators
        assert found.not_counted == ()
        assert found.totals.int8_coverage == (1 if path == int8 else 0)


def test_operators_of_onnxruntime_are_counted_by_hand(saved):
    path = saved(
        [
            node("FusedConv", ["x", "w", "b"], ["c"], domain="com.microsoft", activation="Relu", strides=[2, 2]),
            node("Flatten", ["c"], ["f"]),
            node("MatMulNBits", ["f", "p", "s"], ["n"], domain="com.microsoft", K=36, N=7, bits=4, block_size=16),
            node("DynamicQuantizeMatMul", ["n", "v", "vs"], ["y"], domain="com.microsoft"),
        ],
        [image()],
        {
            "w": weights(4, 3, 3, 3),
            "b": weights(4),
            "p": np.zeros((7, 3, 8), np.uint8),
            "s": weights(21),
            "v": np.zeros((7, 2), np.int8),
            "vs": weights(2),
        },
    )
    found = inspect_file(path)
    assert [(layer.macs, layer.parameters, layer.precision) for layer in found.layers] == [
        (9 * 4 * 27, 4 * 27 + 4, "fp32"),
        (36 * 7, 36 * 7, "fp32"),
        (None, 14, "int8"),
    ]
    assert [layer.weights for layer in found.layers] == ["fp32", "int4", "int8"]
    assert found.totals.parameters == 112 + 252 + 14


def test_a_float_layer_behind_an_integer_one_of_onnxruntime_is_float(saved):
    path = saved(
        [
            node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            node("MatMulIntegerToFloat", ["q", "w", "s", "ws", "z"], ["f"], domain="com.microsoft"),
            node("MatMul", ["f", "v"], ["y"]),
        ],
        [image((4, 6))],
        {"w": np.ones((6, 5), np.int8), "ws": weights(5), "v": weights(5, 3)},
    )
    found = inspect_file(path)
    assert [layer.precision for layer in found.layers] == ["int8", "fp32"]
    assert [layer.macs for layer in found.layers] == [4 * 6 * 5, 4 * 5 * 3]
    assert found.totals.parameters == 45


def test_what_multiplies_and_is_not_counted_is_said(saved):
    path = saved(
        [
            node("Einsum", ["x", "w"], ["e"], equation="ij,jk->ik"),
            node("Attention", ["e", "w"], ["a"], domain="com.microsoft", num_heads=1),
            node("Secret", ["a"], ["o"], domain="own"),
            node("MatMul", ["o", "w"], ["y"]),
        ],
        [image((4, 6))],
        {"w": weights(6, 6)},
    )
    found = inspect_file(path)
    assert [(gone.op, gone.nodes) for gone in found.not_counted] == [
        ("Einsum", 1),
        ("MatMul", 1),
        ("com.microsoft:Attention", 1),
        ("own:Secret", 1),
    ]
    assert "shapes" in found.not_counted[1].why
    assert (found.totals.macs, found.totals.parameters) == (0, 36)
    assert found.layers[0].macs is None


def body(name, op):
    made = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)
    return helper.make_graph([node(op, ["x", "w"], [f"{name}_out"], f"{name}_node")], name, [], [made])


def test_layers_in_bodies_are_listed_and_kept_out_of_the_sum(saved):
    path = saved(
        [
            node("If", ["c"], ["i"], "choose", then_branch=body("a", "MatMul"), else_branch=body("b", "MatMul")),
            node("MatMul", ["i", "w"], ["y"], "after"),
        ],
        [image((4, 6)), image((), "c", TensorProto.BOOL)],
        {"w": weights(6, 6)},
    )
    found = inspect_file(path)
    assert sorted((layer.node, layer.within, layer.macs) for layer in found.layers) == [
        ("a_node", "choose", 144),
        ("after", None, 144),
        ("b_node", "choose", 144),
    ]
    assert (found.totals.macs, found.totals.parameters, found.totals.nodes) == (144, 36, 4)
    assert found.operators == {"MatMul": 3, "If": 1}
    assert [(gone.op, gone.nodes) for gone in found.not_counted] == [("MatMul", 2)]


def test_functions_count_as_what_they_do(saved):
    function = helper.make_function(
        "own", "Twice", ["a", "b"], ["c"], [node("MatMul", ["a", "b"], ["m"]), node("MatMul", ["m", "b"], ["c"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    path = saved(
        [node("Twice", ["x", "w"], ["y"], domain="own")], [image((4, 6))], {"w": weights(6, 6)}, functions=[function]
    )
    found = inspect_file(path)
    assert (found.operators, found.totals.macs, found.totals.parameters) == ({"MatMul": 2}, 288, 36)


def test_an_open_first_axis_counts_as_one_and_others_stay_open(saved):
    given = [image(["N", 3, 8, 8]), image(["N", "length", 6], "t")]
    path = saved(
        [node("Conv", ["x", "w"], ["y"]), node("MatMul", ["t", "v"], ["z"])],
        given,
        {"w": weights(4, 3, 3, 3), "v": weights(6, 5)},
        outputs=("y", "z"),
    )
    found = inspect_file(path)
    assert found.dynamic
    assert [tensor.shape for tensor in found.inputs] == [("N", 3, 8, 8), ("N", "length", 6)]
    assert found.counted_for == {"x": (1, 3, 8, 8), "t": (1, "length", 6)}
    assert [(layer.output, layer.macs) for layer in found.layers] == [
        ((1, 4, 6, 6), 36 * 4 * 27),
        ((1, "length", 5), None),
    ]
    assert [gone.op for gone in found.not_counted] == ["MatMul"]


@pytest.mark.parametrize("written", [0, -1])
def test_an_open_axis_that_a_converter_wrote_as_no_size_is_open(saved, written):
    path = saved([node("Conv", ["x", "w"], ["y"])], [image((1, 3, 8, 8))], {"w": weights(4, 3, 3, 3)})
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.shape.dim.extend([onnx.TensorShapeProto.Dimension() for _ in range(4)])
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = written
    onnx.save(model, path)
    found = inspect_file(path)
    assert found.dynamic
    assert [tensor.shape for tensor in found.inputs] == [(None, 3, 8, 8)]
    assert [layer.macs for layer in found.layers] == [36 * 4 * 27]


def test_shared_weights_count_once(saved):
    path = saved(
        [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["a", "w"], ["y"])], [image((4, 6))], {"w": weights(6, 6)}
    )
    assert (inspect_file(path).totals.parameters, inspect_file(path).totals.macs) == (36, 288)


def test_limits_scales_and_shapes_are_no_parameters(saved):
    path = saved(
        [
            node("Clip", ["x", "low", "high"], ["c"]),
            node("Resize", ["c", "", "times"], ["r"]),
            node("Reshape", ["r", "shape"], ["s"]),
            node("Mul", ["s", "gain"], ["y"]),
        ],
        [image((1, 3, 4, 4))],
        {
            "low": np.float32(0),
            "high": np.float32(6),
            "times": np.array([1, 1, 2, 2], np.float32),
            "shape": np.array([1, 3, -1]),
            "gain": weights(3, 1),
        },
    )
    assert inspect_file(path).totals.parameters == 3


@pytest.mark.parametrize(("kind", "precision"), [(TensorProto.FLOAT16, "fp16"), (TensorProto.DOUBLE, "fp64")])
def test_the_precision_is_that_of_the_values(saved, kind, precision):
    values = weights(6, 5).astype(helper.tensor_dtype_to_np_dtype(kind))
    path = saved(
        [node("Cast", ["x"], ["h"], to=kind), node("MatMul", ["h", "w"], ["m"]), node("Cast", ["m"], ["y"], to=1)],
        [image((4, 6))],
        {"w": values},
    )
    (layer,) = inspect_file(path).layers
    assert (layer.precision, layer.weights) == (precision, precision)


def test_external_data_is_sized_but_not_read(saved, tmp_path):
    """Three gigabytes that take no room on the disk; one part is missing, and one is outside."""
    path = saved([node("MatMul", ["x", "w"], ["y"])], [image((1, 32768))], {"w": np.zeros(1, np.float32)})
    proto = onnx.load(path)
    (tensor,) = proto.graph.initializer
    tensor.ClearField("raw_data")
    tensor.dims[:] = [32768, 24576]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.data")
    for place in ("gone.data", "../secret", "/etc/passwd", "x" * 5000, "nul\0"):
        other = proto.graph.initializer.add()
        other.CopyFrom(tensor)
        other.name, other.external_data[0].value = place, place
    onnx.save(proto, path)
    with (tmp_path / "w.data").open("wb") as file:
        file.truncate(3 << 30)
    found = inspect_file(path)
    assert found.totals.external_bytes == 3 << 30
    assert found.totals.macs == found.totals.parameters == 32768 * 24576
    sizes = {each.path: each.bytes for each in found.external}
    assert [sizes.pop(name) for name in ("w.data", "gone.data", "../secret", "/etc/passwd")] == [
        3 << 30,
        None,
        None,
        None,
    ]
    assert list(sizes.values()) == [None, None]


def test_a_file_over_two_gigabytes_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "big.onnx").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(UnsupportedModelError, match="larger than 2 GB") as caught:
        inspect_file(tmp_path / "big.onnx")
    assert "external data" in caught.value.hint


def test_names_are_shown_as_text(saved):
    path = saved([node("MatMul", ["x", "w\x1b[2J\n"], ["y"], "[red]n")], [image((4, 6))], {"w\x1b[2J\n": weights(6, 5)})
    (layer,) = inspect_file(path).layers
    assert (layer.name, layer.node) == ("w\\x1b[2J\\n", "[red]n")


def test_what_cannot_be_shaped_is_still_counted(saved):
    """Two values of one name: ONNX's inference may refuse it, or take either."""
    path = saved(
        [node("MatMul", ["x", "w"], ["y"]), node("Conv", ["x", "w"], ["y"]), node("MatMul", ["y"], ["y"])],
        [image((4, 6))],
        {"w": weights(6, 5)},
    )
    assert inspect_file(path).operators == {"MatMul": 2, "Conv": 1}


@pytest.mark.parametrize("content", [b"", b"hello", b"{}", b"\x00" * 100, b"7767517\n3 3\nInput data 0 1 data\n"])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(UnsupportedModelError, match="isn't an ONNX model"):
        inspect_file(tmp_path / "m.onnx")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(StorageError, match="is a folder"):
        inspect_file(tmp_path)


def test_a_damaged_file_is_refused_or_counted(small, tmp_path):
    fp32, _, _ = small
    content, random = fp32.read_bytes(), np.random.default_rng(0)
    refused = 0
    for trial in range(150):
        damaged = bytearray(content[: random.integers(1, len(content))] if trial % 3 == 0 else content)
        for place in random.integers(0, len(damaged), random.integers(0, 6)):
            damaged[place] = random.integers(0, 256)
        (tmp_path / "damaged.onnx").write_bytes(damaged)
        try:
            inspect_file(tmp_path / "damaged.onnx").model_dump_json()
        except EdgekdError:
            refused += 1
    assert 0 < refused < 150
