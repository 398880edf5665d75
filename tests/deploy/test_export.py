import onnx
import pytest
import torch
from torch import nn

from edgekd.deploy.check import EXACT, compare, failure
from edgekd.deploy.export import OPSET, export_onnx
from edgekd.errors import StorageError, UnsupportedModelError


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    ).eval()


@pytest.mark.parametrize(("opset", "exporter"), [(OPSET, "dynamo"), (17, "torchscript")])
def test_the_exported_file_is_the_same_function(tmp_path, opset, exporter, runner_of):
    model = network()
    assert export_onnx(model, torch.zeros(1, 1, 8, 8), tmp_path / "m.onnx", opset=opset) == exporter
    proto = onnx.load(tmp_path / "m.onnx")
    assert [o.version for o in proto.opset_import if o.domain == ""] == [opset]
    assert [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim] == [1, 1, 8, 8]
    images = torch.randn(20, 1, 8, 8)
    with torch.inference_mode():
        reference = model(images).numpy()
    parity = compare(reference, runner_of(tmp_path / "m.onnx", "onnxruntime")(images.numpy()))
    assert failure(parity, EXACT) is None
    assert parity.sqnr_db > 90
    assert parity.max_difference < 1e-4


@pytest.mark.parametrize("opset", [OPSET, 17])
def test_a_network_in_training_mode_is_exported_for_inference(tmp_path, opset, runner_of):
    model = nn.Sequential(network(), nn.Dropout(0.5))
    export_onnx(model.train(), torch.zeros(1, 1, 8, 8), tmp_path / "m.onnx", opset=opset)
    images = torch.randn(20, 1, 8, 8)
    with torch.inference_mode():
        reference = model.eval()(images).numpy()
    assert failure(compare(reference, runner_of(tmp_path / "m.onnx", "onnxruntime")(images.numpy())), EXACT) is None


@pytest.mark.parametrize("opset", [OPSET, 17])
def test_weights_keep_the_names_of_the_network_where_batch_normalisations_are_folded(tmp_path, opset):
    torch.manual_seed(0)
    layers = [[nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.ReLU()] for _ in range(3)]
    model = nn.Sequential(*(module for part in layers for module in part), nn.Flatten(), nn.Linear(128, 4)).eval()
    export_onnx(model, torch.zeros(1, 2, 8, 8), tmp_path / "m.onnx", opset=opset)
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert not any(node.op_type == "BatchNormalization" for node in graph.node)
    layers = [node.input[1] for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert layers == ["0.weight", "3.weight", "6.weight", "10.weight"]


def test_the_file_names_no_folder_of_the_machine_that_made_it(tmp_path):
    export_onnx(network(), torch.zeros(1, 1, 8, 8), tmp_path / "m.onnx")
    assert b"site-packages" not in (tmp_path / "m.onnx").read_bytes()
    assert b".py" not in (tmp_path / "m.onnx").read_bytes()


class OnlyTorchscript(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x  # torch.export refuses to branch on data, tracing takes one branch


def test_what_dynamo_refuses_falls_back(tmp_path):
    assert export_onnx(OnlyTorchscript(), torch.ones(1, 1, 2, 2), tmp_path / "m.onnx") == "torchscript"


class Unexportable(nn.Module):
    def forward(self, x):
        raise RuntimeError("no such thing in ONNX")


def test_what_neither_exporter_takes_is_a_clear_error(tmp_path):
    with pytest.raises(UnsupportedModelError) as e:
        export_onnx(Unexportable(), torch.ones(1, 1, 2, 2), tmp_path / "m.onnx")
    assert "dynamo" in e.value.message
    assert "torchscript" in e.value.message
    assert not (tmp_path / "m.onnx").exists()


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        export_onnx(network(), torch.zeros(1, 1, 8, 8), tmp_path / "none" / "m.onnx")


@pytest.mark.parametrize(("opset", "ir_version"), [(13, 7), (17, 8), (18, 8), (19, 9)])
def test_the_ir_version_is_no_higher_than_the_opset_needs(tmp_path, opset, ir_version):
    export_onnx(nn.Conv2d(1, 2, 3), torch.zeros(1, 1, 8, 8), tmp_path / "m.onnx", opset=opset)
    assert onnx.load(tmp_path / "m.onnx").ir_version == ir_version
