"""A rewritten graph is the same function, and ONNX Runtime computes it without plain convolutions."""

import resource
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgekd.deploy.export import export_onnx
from edgekd.deploy.rewrite.blocked import blocked, with_pooling, write_blocked
from edgekd.errors import StorageError


class Squeeze(nn.Module):
    """Squeeze-and-excitation with a width of the squeeze."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


def network(*middle, width=24):
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)]
    return nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), *middle, nn.Conv2d(width, 16, 1), nn.ReLU(), *head)


def grouped(width, groups):
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=groups), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


def exported(model, folder):
    export_onnx(model.eval(), torch.zeros(1, 3, 24, 24), folder / "net.onnx")
    return folder / "net.onnx"


def run(model, image, folder):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"input": image})[0]
    return outputs, Counter((node.domain, node.op_type) for node in onnx.load(folder / "optimised.onnx").graph.node)


@pytest.mark.parametrize(
    "model",
    [
        network(grouped(24, 3)),
        network(grouped(32, 4), width=32),
        network(Residual(grouped(24, 3)), Squeeze(24, 6)),
        network(nn.Conv2d(21, 21, 3, padding=1, groups=21), nn.ReLU(), Squeeze(21, 5), width=21),
        network(nn.Conv2d(32, 16, 1), nn.Conv2d(16, 32, 1), Squeeze(32, 8), width=32),
        network(nn.MaxPool2d(2), grouped(40, 5), nn.Hardswish(), width=40),
    ],
    ids=["odd number of groups", "even number of groups", "residual", "odd widths", "squeeze", "pooled"],
)
def test_the_outputs_stay_and_no_plain_convolution_is_left(model, tmp_path):
    path = exported(model, tmp_path)
    image = np.random.default_rng(0).normal(size=(1, 3, 24, 24)).astype(np.float32)
    result = blocked(path)
    onnx.checker.check_model(result, full_check=True)
    before, _ = run(onnx.load(path), image, tmp_path)
    after, kinds = run(result, image, tmp_path)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-6)
    with torch.inference_mode():
        np.testing.assert_allclose(after, model(torch.from_numpy(image)).numpy(), rtol=1e-4, atol=1e-5)
    blocks = {kind for (domain, kind), _ in kinds.items() if domain == "com.microsoft.nchwc"}
    if "Conv" not in blocks:
        pytest.skip("ONNX Runtime has no blocked kernels on this CPU")
    plain = [key for key in kinds if key[1] in {"Conv", "FusedConv"} and key[0] != "com.microsoft.nchwc"]
    assert plain == []
    assert kinds["com.microsoft.nchwc", "ReorderInput"] <= 1


def test_groups_are_joined_to_one_block_and_their_number_made_even(tmp_path):
    result = blocked(exported(network(grouped(24, 3)), tmp_path))
    weights = {tensor.name: tuple(tensor.dims) for tensor in result.graph.initializer}
    assert weights["2.0.weight"] == (32, 16, 3, 3)
    (group,) = [a.i for node in result.graph.node for a in node.attribute if a.name == "group" and a.i > 1]
    assert group == 2
    assert weights["0.weight"][0] == weights["3.weight"][1] == 32


@pytest.mark.parametrize(
    "model",
    [
        network(nn.Conv2d(24, 24, 3, padding=1), nn.ReLU()),
        network(nn.Conv2d(24, 24, 3, padding=1, groups=12), nn.ReLU()),  # joining eight groups costs more than it saves
        network(nn.Conv2d(32, 32, 3, padding=1, groups=2), nn.ReLU(), width=32),
    ],
    ids=["plain", "very narrow groups", "groups of a block"],
)
def test_what_is_blocked_already_or_cannot_be_stays(model, tmp_path):
    assert blocked(exported(model, tmp_path)) is None


def test_channels_that_something_else_reads_keep_their_number(tmp_path):
    class Shuffled(nn.Module):
        def forward(self, x):
            return x.view(1, 3, 8, *x.shape[2:]).transpose(1, 2).reshape(x.shape)

    model = network(grouped(24, 3), Shuffled(), Squeeze(24, 8))
    path = exported(model, tmp_path)
    result = blocked(path)
    weights = {tensor.name: tuple(tensor.dims) for tensor in result.graph.initializer}
    assert weights["2.0.weight"] == (24, 8, 3, 3)
    image = np.random.default_rng(0).normal(size=(1, 3, 24, 24)).astype(np.float32)
    np.testing.assert_allclose(run(result, image, tmp_path)[0], run(onnx.load(path), image, tmp_path)[0], rtol=1e-4)


def test_a_weight_that_two_layers_share_is_left_alone(tmp_path):
    path = exported(network(grouped(24, 3), grouped(24, 3)), tmp_path)
    model = onnx.load(path)
    second = [node for node in model.graph.node if node.op_type == "Conv"][2]
    second.input[1] = "2.0.weight"
    onnx.save(model, path)
    assert blocked(path) is None


def test_a_mean_over_other_axes_is_no_pooling(tmp_path):
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((1, 2), keepdim=True).flatten(1)

    model = onnx.load(exported(Mean(), tmp_path))
    assert with_pooling(model) is model


def test_a_full_disk_leaves_no_half_written_file(tmp_path):
    """A limit on the size of files stands in for it."""
    path = exported(network(grouped(24, 3)), tmp_path)
    (tmp_path / "own").mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(StorageError, match="too large"):
            write_blocked(path, tmp_path / "own" / "b.onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [*(tmp_path / "own").iterdir()] == []
