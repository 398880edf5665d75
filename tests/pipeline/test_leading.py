"""Pruned candidates are written in few variants: each costs time in every candidate."""

import pytest

from edgekd.pipeline.leading import leading
from edgekd.values import Accuracy, Artifact, File, Variant
from edgekd.values.deployment import Parity
from edgekd.values.result import Checked, Deployed

REFERENCE = Variant(runtime="onnxruntime", precision="fp32")
RACED = {
    "onnxruntime-fp32": 1.0,
    "onnxruntime-int8": 0.8,
    "openvino-fp32": 1.1,
    "openvino-bf16": 0.6,
    "openvino-int8": 0.7,
    "openvino-int8+bf16": 0.5,
}


@pytest.fixture
def deployed():
    """An original network in variants of these names, which took part in a race with these ratios."""

    def make(*names, raced=RACED):
        artifacts = []
        for name in names:
            variant = Variant(**dict(zip(("runtime", "precision"), name.split("-", 1), strict=True)))
            file = File(path="m.onnx", sha256=name)
            artifact = Artifact(name=name, variant=variant, files=(file,), disk_bytes=1, transfer_bytes=1)
            parity = Parity(images=1, max_difference=0, sqnr_db=100, top1_agreement=1)
            accuracy = Accuracy(correct=1, images=1, dataset="d", split="val")
            artifacts.append(Checked(artifact=artifact, exporter="dynamo", parity=parity, accuracy=accuracy))
        return Deployed(artifacts=tuple(artifacts), raced=raced)

    return make


def names(variants):
    return [variant.name for variant in variants]


def test_of_each_runtime_the_fastest_in_floats_and_in_integers_lead(deployed):
    found = names(leading(deployed(*RACED), REFERENCE))
    assert found == ["onnxruntime-fp32", "onnxruntime-int8", "openvino-bf16", "openvino-int8+bf16"]


def test_the_reference_does_whether_it_is_the_fastest_or_not(deployed):
    faster = RACED | {"onnxruntime-fp32-blocked": 0.9}
    found = names(leading(deployed(*faster, raced=faster), REFERENCE))
    assert found[:2] == ["onnxruntime-fp32", "onnxruntime-int8"]
    assert "onnxruntime-fp32-blocked" in found


def test_one_whose_layers_were_chosen_by_times_leads_beside_that_with_all_in_integers(deployed):
    """A trained student's is left out where it isn't clearly faster, and then the other one counts."""
    found = names(leading(deployed(*RACED, "onnxruntime-int8-partial"), REFERENCE))
    assert "onnxruntime-int8-partial" in found
    assert "onnxruntime-int8" in found


def test_without_a_race_all_do(deployed):
    assert names(leading(deployed(*RACED, raced={}), REFERENCE)) == [*RACED]
