"""A target with two runtimes: the same network in both, each artifact checked by its own."""

import importlib.util

import pytest

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.pipeline.deploy import deploy
from edgekd.pipeline.deployment import deployment
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.values import Recipe
from edgekd.zoo import networks


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino isn't installed")
def test_a_network_is_deployed_for_two_runtimes(tmp_path):
    data = load_dataset("digits")
    architecture = networks.architecture("resnet8", classes=10, shape=data.train.shape)
    network = networks.save(
        networks.untrained(architecture, 0), tmp_path / "w.safetensors", architecture, origin="trained"
    )
    run = Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())
    target = catalog.target("x86-cpu").model_copy(update={"max_opset": {"onnxruntime": 17}})
    recipe = Recipe(model="resnet8", data="digits", target="x86-cpu", budget="b", quantize={"images": 16})
    how = deployment(recipe, target, data)
    assert ("nncf" in how.made_with()) == (importlib.util.find_spec("nncf") is not None)
    found = deploy(run, "net", network, how)
    by_name = {checked.artifact.variant.name: checked for checked in found.artifacts}
    ours, theirs = by_name["onnxruntime-fp32"], by_name["openvino-fp32"]
    assert ours.artifact.path == theirs.artifact.path
    assert ours.artifact.id != theirs.artifact.id
    assert ours.parity != theirs.parity  # each was run by its own runtime
    assert min(ours.parity.sqnr_db, theirs.parity.sqnr_db) > 90
    if bf16 := by_name.get("openvino-bf16"):
        assert bf16.parity.sqnr_db < 70
    else:
        assert "openvino-bf16" not in [variant.name for variant in how.variants]
