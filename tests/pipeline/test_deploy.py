"""A network becomes an artifact for each variant, each proven to be the network by the runtime that runs it."""

import json
import os
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from edgekd import catalog
from edgekd.data.fixed_images import sample_images
from edgekd.data.load import load_dataset
from edgekd.deploy.check import Tolerance, compare, failure
from edgekd.deploy.outputs import NO_CLASS
from edgekd.deploy.writers import onnxruntime as writer
from edgekd.devices.agent import protocol
from edgekd.devices.reading import unread
from edgekd.errors import UnsupportedModelError
from edgekd.gate.budget import Budget
from edgekd.measuring.artifact import describe
from edgekd.pipeline import graph as exporting
from edgekd.pipeline import proof
from edgekd.pipeline.deploy import Contest, baseline, deploy
from edgekd.pipeline.deployment import deployment
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.graph import export, export_one
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.training.evaluate import outputs
from edgekd.values import DeviceFacts, DeviceRuntime, Export, Host, Recipe, Variant
from edgekd.values.deployment import Coverage
from edgekd.zoo import networks

X86 = catalog.target("x86-cpu")
FP32, INT8 = (Variant(runtime="onnxruntime", precision=precision) for precision in ("fp32", "int8"))
TARGET = X86.model_copy(update={"max_opset": {"onnxruntime": 17}, "variants": (FP32, INT8)})
TWO = FP32.model_copy(update={"settings": {"threads": 2}})

RECIPE = Recipe(model="resnet8", data="digits", target="x86-cpu", budget="b", quantize={"images": 16})


@pytest.fixture
def run(tmp_path):
    return Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())


@pytest.fixture(scope="module")
def data():
    return load_dataset("digits")


@pytest.fixture
def network(data, tmp_path):
    """Random weights, whose INT8 keeps little of them."""
    architecture = networks.architecture("resnet8", classes=10, shape=data.train.shape)
    return networks.save(
        networks.untrained(architecture, 0), tmp_path / "w.safetensors", architecture, origin="trained"
    )


def goal(device):
    limits = {"latency": {"max_ratio": 0.5}, "accuracy": {"max_drop_pp": 1.0}}
    return Goal(Budget.model_validate({"name": "b", **limits}), TARGET, device, RECIPE.measure)


@pytest.fixture
def how(data):
    return deployment(RECIPE, TARGET, data)


@pytest.fixture
def demanding(monkeypatch):
    """Makes the check of one precision fail, and that of the others pass."""

    def make(precision=None):
        nothing, all_of_it = ({"sqnr_db": db, "top1_agreement": part} for db, part in ((-300, 0), (300, 1)))
        precisions = {
            name: one.model_copy(update={"tolerance": Tolerance(**(all_of_it if name == precision else nothing))})
            for name, one in writer.precisions.items()
        }
        monkeypatch.setattr(writer, "precisions", precisions)

    return make


def test_each_variant_becomes_an_artifact_and_those_of_one_precision_share_a_file(run, network, how, demanding):
    demanding()
    found = deploy(run, "net", network, replace(how, variants=(INT8, FP32, TWO)))
    names = {checked.artifact.name: checked.artifact for checked in found.artifacts}
    assert list(names) == ["net-onnxruntime-int8", "net-onnxruntime-fp32", "net-onnxruntime-fp32-threads2"]
    int8, fp32, two = names.values()
    assert fp32.path == two.path != int8.path
    assert len({artifact.id for artifact in names.values()}) == 3
    for artifact in names.values():
        assert describe(artifact.path, name="", runtime="onnxruntime").files == artifact.files
    assert found.of(TWO).artifact == two
    assert found.of(Variant(runtime="onnxruntime", precision="fp32", settings={"threads": 3})) is None


def test_it_is_written_and_checked_once(run, network, how, demanding, monkeypatch):
    demanding()
    first = deploy(run, "net", network, how)
    monkeypatch.setattr(exporting, "export_onnx", None)
    monkeypatch.setattr(proof, "Runner", None)
    assert deploy(run, "net", network, how) == first


def test_a_variant_that_cannot_be_written_is_dropped_with_its_reason_and_the_others_stay(run, network, how, demanding):
    demanding()
    nothing = replace(how.data, train=NotANumber(how.data.train), fingerprint="nan")
    found = deploy(run, "net", network, replace(how, data=nothing))
    assert [checked.artifact.variant for checked in found.artifacts] == [FP32]
    assert [gone.name for gone in found.dropped] == ["net-onnxruntime-int8"]
    assert "calibration image 1 has NaN or infinity" in found.dropped[0].why
    with pytest.raises(UnsupportedModelError, match=r"can't be deployed as onnxruntime-int8: .*has NaN or infinity"):
        export_one(run, "net", network, replace(how, data=nothing, reference=INT8))


class NotANumber:
    """Images of nothing but NaN."""

    def __init__(self, images):
        self.labels, self.shape, self._images = images.labels, images.shape, images

    def __len__(self):
        return len(self._images)

    def batches(self, size, view=None):
        for images, labels in self._images.batches(size, view):
            yield torch.full_like(images, torch.nan), labels


def test_what_fails_its_check_is_dropped_with_its_numbers(run, network, how, demanding):
    demanding("int8")
    found = deploy(run, "net", network, how)
    assert found.variants == {"onnxruntime-fp32"}
    assert [(gone.name, "SQNR" in gone.why) for gone in found.dropped] == [("net-onnxruntime-int8", True)]


def test_where_nothing_passes_there_is_nothing_to_continue_with(run, network, how, demanding):
    demanding("fp32")
    with pytest.raises(UnsupportedModelError, match="no export of net passed its check: net-onnxruntime-fp32: differs"):
        deploy(run, "net", network, replace(how, variants=(FP32,)))


@pytest.mark.parametrize("reference", [FP32, INT8])
def test_the_reference_is_the_targets_wherever_it_stands(run, network, how, demanding, reference):
    demanding()
    found = baseline(run, network, replace(how, variants=(INT8, FP32), reference=reference))
    assert found.reference.artifact.name == f"baseline-{reference.name}"
    assert found.reference.artifact.path.is_file()


def test_a_reference_that_fails_its_check_ends_the_run_though_another_variant_passes(run, network, how, demanding):
    demanding("fp32")
    says = r"baseline-onnxruntime-fp32, which all drops and ratios refer to, did not pass its check: differs"
    with pytest.raises(UnsupportedModelError, match=says) as e:
        baseline(run, network, how)
    assert e.value.exit_code == 2
    assert "[reference]" in e.value.hint


def test_the_reference_is_deployed_though_no_variant_is_it(data):
    target = TARGET.model_copy(update={"variants": (INT8,), "reference": TWO})
    assert deployment(RECIPE, target, data).variants == (TWO, INT8)


@pytest.mark.parametrize("by", ["caller", "graph"])
def test_every_artifact_says_how_it_is_fed_whatever_the_classes_are_called(run, network, how, by, runner_of):
    classes = (*map(str, range(8)), os.fsdecode(b"caf\xe9").encode(errors="backslashreplace").decode(), "日本 | `x`")
    feeding = how.feeding.model_copy(update={"normalised_by": by, "classes": classes})
    images = sample_images(how.data.val, 32)
    expected = outputs(networks.load(network), images)
    found = export(run, "net", network, replace(how, feeding=feeding))
    assert [artifact.variant for artifact in found.artifacts] == [FP32, INT8]
    for artifact in found.artifacts:
        told = {entry.key: entry.value for entry in onnx.load(artifact.path).metadata_props}
        assert json.loads(told["edgekd.classes"])[7:] == ["7", "caf\\udce9", "日本 | `x`"]
        parity = compare(expected, runner_of(artifact.path, "onnxruntime", feeding)(images))
        assert failure(parity, writer.precisions[artifact.precision].tolerance) is None


def test_artifacts_are_checked_by_what_the_device_gives(run, network, how, simulated):
    """Not by what this machine gives: a device whose runtime gives something else drops them."""
    device = simulated(outputs=lambda path: lambda batch: np.ones((len(batch), 10), np.float32))
    with pytest.raises(UnsupportedModelError, match="passed its check: net-onnxruntime-fp32: differs from the network"):
        deploy(run, "net", network, replace(how, variants=(FP32,)), Contest(goal(device)))
    # another device is another check of the same files
    contest = Contest(goal(simulated(machine="sound")))
    assert deploy(run, "net", network, replace(how, variants=(FP32,)), contest).artifacts


def test_what_is_hopelessly_slow_is_neither_checked_nor_kept(run, network, how, demanding, simulated):
    """The original network's reference never is; a student's file in that variant may be."""
    demanding()
    original = baseline(run, network, how, goal(simulated(int8=2.2)))
    assert original.deployed.variants == {"onnxruntime-fp32"}
    (gone,) = original.deployed.dropped
    assert gone.name == "baseline-onnxruntime-int8"
    assert gone.why == "left out after a quick race: 2.2 times the latency of onnxruntime-fp32, the fastest"
    fast = goal(simulated(int8=0.3, machine="fast in INT8"))
    assert baseline(run, network, how, fast).deployed.variants == {"onnxruntime-fp32", "onnxruntime-int8"}
    student = deploy(run, "student", network, how, Contest(fast, original.reference))
    assert student.variants == {"onnxruntime-int8"}


def test_what_was_left_out_for_one_that_fails_its_check_is_checked_after_all(run, network, how, demanding, simulated):
    reference = deploy(run, "reference", network, replace(how, variants=(FP32,))).artifacts[0]
    for failing, faster, kept in (("int8", 0.3, FP32), ("fp32", 3.0, INT8)):
        demanding(failing)
        contest = Contest(goal(simulated(int8=faster, machine=failing)), reference)
        found = deploy(run, "net", network, how, contest)
        assert found.variants == {kept.name}
        assert "SQNR" in found.dropped[0].why


def test_what_was_left_out_for_one_that_loses_too_much_accuracy_is_checked_after_all(
    run, network, how, demanding, simulated
):
    """Beginning with the reference variant: where that one loses it too, nothing else is worth a check."""
    (reference,) = deploy(run, "reference", network, replace(how, variants=(FP32,))).artifacts
    demanding()
    three = replace(how, variants=(FP32, INT8, TWO))
    for losing, kept in ((("int8",), {FP32.name, INT8.name, TWO.name}), (("int8", "fp32"), {FP32.name, INT8.name})):

        def answers(runner, images, losing=losing):
            lost = runner.artifact.precision in losing
            labels = images.labels.numpy()
            return (labels + 1) % 10 if lost else labels, labels

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(proof, "answers", answers)
            contest = Contest(goal(simulated(int8=0.3, machine="-".join(losing))), reference)
            assert deploy(run, "net", network, three, contest).variants == kept


def test_a_file_that_gives_nan_for_one_validation_image_fails_its_check(run, network, how, demanding, monkeypatch):
    """Its parity is checked on fewer images, on which it gives none."""
    demanding()

    def answers(runner, images):
        given, labels = images.labels.numpy().copy(), images.labels.numpy()
        given[-1] = NO_CLASS if runner.artifact.precision == "int8" else given[-1]
        return given, labels

    monkeypatch.setattr(proof, "answers", answers)
    found = deploy(run, "net", network, how)
    (gone,) = found.dropped
    assert (gone.name, gone.why) == ("net-onnxruntime-int8", "gives NaN or infinity for 1 of 179 images")
    assert found.inexact == ()


def test_int8_that_does_not_compute_in_integers_on_the_device_fails_its_check(run, network, how, demanding, simulated):
    demanding()

    def nodes(path, ms):
        return [protocol.Node(f"{n}", "Conv", "CPUExecutionProvider", ms) for n in range(19)] + in_integers

    in_integers = [protocol.Node("n", "QLinearConv", "CPUExecutionProvider", 1.0)]
    found = deploy(run, "net", network, how, Contest(goal(simulated(nodes=nodes))))
    assert found.dropped[0].name == "net-onnxruntime-int8"
    says = "1 of its 20 convolutions and matrix products compute in integers on the device, though it is int8"
    assert found.dropped[0].why == says
    in_integers *= 3
    found = deploy(run, "net", network, how, Contest(goal(simulated(nodes=nodes, machine="better"))))
    assert [(one.artifact.variant, one.coverage) for one in found.artifacts] == [
        (FP32, None),
        (INT8, Coverage(integers=3, layers=22)),
    ]


def test_a_network_that_gives_nan_itself_is_distinguished_from_a_bad_export(run, data, how, tmp_path):
    architecture = networks.architecture("resnet8", classes=10, shape=data.train.shape)
    model = networks.untrained(architecture, 0)
    model.get_submodule("stem.1").running_var.fill_(1e-30)  # every weight is finite
    with torch.no_grad():
        model.get_submodule("stem.0").weight.mul_(1e38)
    broken = networks.save(model, tmp_path / "broken.safetensors", architecture, origin="trained")
    with pytest.raises(UnsupportedModelError, match="the net gives NaN or infinity on real images, before any export"):
        deploy(run, "net", broken, how)


def test_another_calibration_makes_another_file(run, network, how):
    few, more = (export(run, "net", network, replace(how, calibration_images=n)).of(INT8) for n in (4, 64))
    assert few.id != more.id


@pytest.mark.parametrize("in_graph", [False, True])
def test_the_ranges_of_a_quantisation_aware_training_are_those_of_the_file(run, network, data, in_graph):
    how = deployment(RECIPE.model_copy(update={"export": Export(include_preprocessing=in_graph)}), TARGET, data)
    learned = network.model_copy(update={"ranges": {"stage1.0.second.0.weight": (0.0, 2.55)}})
    scales = {}
    for each in (network, learned):
        graph = onnx.load(export(run, "net", each, replace(how, variants=(INT8,))).of(INT8).path).graph
        scales[each.ranges != {}] = [
            onnx.numpy_helper.to_array(t).item() for t in graph.initializer if t.name.endswith("_scale") and not t.dims
        ]
    changed = [pair for pair in zip(scales[False], scales[True], strict=True) if len({*pair}) > 1]
    assert [after for _, after in changed] == [np.float32(0.01)]


def test_learned_ranges_of_layers_that_the_graph_does_not_have_are_said(run, network, how, monkeypatch):
    notes = []
    monkeypatch.setattr(Silent, "note", lambda _, text: notes.append(text))
    learned = network.model_copy(update={"ranges": {"other.weight": (0.0, 1.0)}})
    export(run, "net", learned, replace(how, variants=(INT8,)))
    assert notes == ["net: 1 learned ranges are of no layer in the graph, such as other.weight"]


def test_files_are_made_for_the_version_that_the_device_has(run, network, data):
    """In another opset than for the version before, and in files of their own."""
    host = Host(machine="m", arch="x86_64", os="linux", cpu="c", cores=1, python="3.8.10")
    target = X86.model_copy(update={"variants": (FP32, INT8)})
    found = {}
    for version in ("1.8.1", "1.12.1", "1.8.1"):
        runtime = DeviceRuntime(version=version, provider="CPUExecutionProvider")
        how = deployment(RECIPE, target, data, DeviceFacts(host=host, runtimes={"onnxruntime": runtime}))
        found[version] = export(run, "net", network, how).artifacts
        assert all(unread(artifact, version) is None for artifact in found[version])
    needed = {version: {(a.needs.opset, a.needs.ir_version) for a in made} for version, made in found.items()}
    assert needed == {"1.8.1": {(14, 7)}, "1.12.1": {(17, 8)}}
    assert [artifact.precision for artifact in found["1.8.1"]] == ["fp32", "int8"]
    assert not {a.id for a in found["1.8.1"]} & {a.id for a in found["1.12.1"]}
