import pytest

from edgekd.report import origin
from edgekd.values import Accuracy, Feeding, Interval, Lineage, Manifest, Port, Preprocessing
from edgekd.values.deployment import Parity
from edgekd.values.inspection import Beside, Inspection, Totals
from edgekd.values.lineage import DataOrigin, NetworkOrigin, Quantised
from edgekd.values.manifest import MeasuredLatency, Proof

NETWORK = NetworkOrigin(model="resnet8", structure="a" * 64, weights="b" * 64)
WHOLE = Lineage(
    edgekd="1.2",
    exporter="dynamo",
    network=NETWORK,
    teacher=NETWORK.model_copy(update={"weights": "c" * 64}),
    data=DataOrigin(name="digits", fingerprint="d" * 64, train=1000, validation=100, test=200),
    quantised=Quantised(images=480, method="min-max", learned=True, ranges="e" * 64, layers=("x", "y")),
)
HOW = Preprocessing(height=8, width=8, colour="rgb", mean=(0.5,) * 3, std=(0.5,) * 3)
FEEDING = Feeding(preprocessing=HOW, classes=tuple(f"c{number}" for number in range(12)))


@pytest.fixture
def lines():
    """What is said of an inspected file."""

    def say(**changes):
        nothing = dict.fromkeys(("nodes", "parameters", "macs", "int8_macs", "file_bytes", "external_bytes"), 0)
        fields = {"file": "m.onnx", "sha256": "0" * 64, "format": "onnx", "ir_version": 8, "producer": "", "opsets": {}}
        more = {
            "inputs": (),
            "outputs": (),
            "dynamic": False,
            "layers": (),
            "operators": {},
            "totals": Totals(**nothing),
        }
        return list(origin.lines(Inspection(**{**fields, **more, **changes})))

    return say


def test_a_file_of_others_states_nothing(lines):
    assert lines() == ["lineage: not stated"]
    assert lines(metadata={"author": "me"})[1] == "further metadata: author"
    assert lines(unreadable=("edgekd.lineage",))[1].startswith("metadata: edgekd.lineage can't be read")


def test_lineage_is_said_from_the_network_to_the_ranges(lines):
    assert lines(lineage=WHOLE, feeding=FEEDING) == [
        "classes: 12: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, …",
        "size: resized to 8×8 pixels (height × width), bilinear; the aspect isn't kept",
        "normalisation: (pixel / 255 - [0.5, 0.5, 0.5]) / [0.5, 0.5, 0.5]",
        "made by: edgekd 1.2, exporter dynamo",
        "network: resnet8, structure aaaaaaaaaaaa, weights bbbbbbbbbbbb",
        "teacher: resnet8, structure aaaaaaaaaaaa, weights cccccccccccc",
        "data: digits: 1,000 training, 100 validation, 200 test images, fingerprint dddddddddddd",
        "quantised: 480 images, min-max, some ranges learned in training, ranges eeeeeeeeeeee, 2 layers in INT8",
    ]


def test_what_the_manifest_proves_and_measured_is_said(lines):
    port = Port(name="x", dtype="float32", shape=(1,), layout="N")
    manifest = Manifest(
        **dict(FEEDING),
        file="m.onnx",
        sha256="0" * 64,
        precision="int8",
        runtime="onnxruntime",
        settings={"threads": 2},
        input=port,
        output=port,
        recipe_sha256="f" * 64,
        proof=Proof(
            parity=Parity(images=256, max_difference=0.1, sqnr_db=35.4, top1_agreement=0.994),
            validation=Accuracy(correct=99, images=100, dataset="digits", split="val"),
            test=Accuracy(correct=195, images=200, dataset="digits", split="test"),
        ),
        measured=MeasuredLatency(
            device="some CPU, 2 cores",
            arch="x86_64",
            os="linux",
            runtime="onnxruntime 1.20",
            provider="CPUExecutionProvider",
            settings={},
            median_ms=0.0461,
            samples=5000,
            reference="baseline",
            when="2026-11-29T12:00:00Z",
            ratio=Interval(estimate=0.445, low=0.44, high=0.45),
        ),
    )
    classes, *_, which, proof, measured, recipe = lines(manifests=(Beside(file="m.json", manifest=manifest),))
    assert classes.startswith("classes: 12: c0")  # a file without metadata is known by its manifest
    assert which == "manifest m.json: of this file; onnxruntime int8, threads 2"
    accuracies = "99.00% of 100 validation images, 97.50% of 200 test images"
    assert proof == f"  proof: 35 dB and 99.4% of the answers as the network's; {accuracies}"
    where = "some CPU, 2 cores (linux x86_64), onnxruntime 1.20 CPUExecutionProvider, 2026-11-29T12:00:00Z"
    assert measured == f"  measured: median 0.0461 ms of 5,000 samples on {where}; 0.445 [0.440, 0.450] of baseline"
    assert recipe == "  recipe: SHA-256 ffffffffffff, contained in the manifest"


def test_a_manifest_that_does_not_hold_is_named(lines):
    said = lines(manifests=(Beside(file="m.json", problem="it is of a file with another SHA-256"),))
    assert said[1] == "manifest m.json: not used: it is of a file with another SHA-256"
