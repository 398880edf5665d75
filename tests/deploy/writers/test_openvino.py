import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgekd import catalog
from edgekd.deploy.check import compare, failure
from edgekd.deploy.export import export_onnx
from edgekd.deploy.variants import deployable, why_not
from edgekd.deploy.writers import openvino as writer
from edgekd.deploy.writers._base import Source
from edgekd.errors import UnsupportedModelError
from edgekd.runtimes import openvino as runtime
from edgekd.values import Variant

FP32, BF16 = (Variant(runtime="openvino", precision=precision) for precision in ("fp32", "bf16"))


def test_the_exported_file_serves_in_both_precisions(tmp_path):
    exported = tmp_path / "net.onnx"
    assert {writer.write(Source(exported), each, tmp_path / "own.onnx") for each in writer.precisions} == {exported}


def test_where_it_is_not_installed_its_variants_are_left_out_with_the_reason(monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module named 'openvino'", name="openvino")

    monkeypatch.setattr(runtime, "describe", missing)
    found = deployable(catalog.target("x86-cpu"))
    assert {variant.runtime for variant in found.variants} == {"onnxruntime"}
    assert {gone.name: gone.why for gone in found.left_out} == dict.fromkeys(
        (FP32.name, BF16.name), "openvino is not installed"
    )


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino isn't installed")
def test_each_precision_is_within_its_tolerance_and_bf16_is_coarser(tmp_path, runner_of):
    assert why_not(FP32) is None
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
    ).eval()  # fmt: skip
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "net.onnx", opset=17)
    images = np.random.default_rng(0).normal(size=(200, 1, 12, 12)).astype(np.float32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(images)).numpy()
    kept = {}
    whole = runner_of(tmp_path / "net.onnx", "openvino")
    for variant in (FP32, BF16):
        runner = replace(whole, artifact=whole.artifact.model_copy(update={"variant": variant}))
        try:
            parity = compare(expected, runner(images))
        except UnsupportedModelError as e:
            pytest.skip(f"this CPU has no {variant.precision}: {e.message}")
        assert failure(parity, writer.precisions[variant.precision].tolerance) is None
        kept[variant.precision] = parity.sqnr_db
    assert kept["fp32"] > 90
    assert writer.precisions["bf16"].tolerance.sqnr_db < kept["bf16"] < 60
