"""A trained student's artifacts are measured beside the reference and one is chosen, on a simulated device."""

from random import Random

import pytest

from edgekd import catalog, files
from edgekd.devices.agent import protocol
from edgekd.gate.budget import Budget
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.selection import measured_and_selected
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.values import Accuracy, Artifact, File, MeasuringProtocol, Variant
from edgekd.values.deployment import Parity
from edgekd.values.result import Checked, Deployed

MS = {"baseline-fp32": 1.0, "student-fp32": 0.4, "student-int8": 0.3}
SHORT = MeasuringProtocol(launches=5, seconds=0.3, block_seconds=0.03)


@pytest.fixture
def selected(tmp_path, simulated):
    """What is selected where artifacts of these names take so many milliseconds."""

    def select(reference, student, ms=MS, further=None, **more):
        limits = {"latency": {"max_ratio": 0.5}, "accuracy": {"max_drop_pp": 1.0}, **(further or {})}
        device = simulated(lambda path: ms[path.stem], **more) if ms else None
        goal = Goal(Budget.model_validate({"name": "b", **limits}), catalog.target("x86-cpu"), device, SHORT)
        run = Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())
        return measured_and_selected(run, goal, reference, student)

    return select


@pytest.fixture
def checked(tmp_path):
    def make(name, correct):
        path = tmp_path / f"{name}.onnx"
        path.write_text(name)
        artifact = Artifact(
            name=name,
            variant=Variant(runtime="onnxruntime", precision=name.partition("-")[2]),
            files=(File(path=path, sha256=files.sha256(path)),),
            disk_bytes=1,
            transfer_bytes=1,
        )
        accuracy = Accuracy(correct=correct, images=1000, dataset="digits", split="val")
        parity = Parity(images=1, max_difference=0, sqnr_db=100, top1_agreement=1)
        return Checked(artifact=artifact, exporter="dynamo", parity=parity, accuracy=accuracy)

    return make


def student(checked, fp32=950, int8=950):
    return Deployed(artifacts=(checked("student-fp32", fp32), checked("student-int8", int8)))


def test_the_fastest_that_keeps_the_accuracy_is_chosen_among_all_that_are_measured(selected, checked):
    found = selected(checked("baseline-fp32", 950), student(checked))
    assert [option.artifact.name for option in found.options] == list(MS)
    assert [m.artifact.name for m in found.measurements] == list(MS)
    assert (found.variant, found.chosen) == ("onnxruntime-int8", 2)
    assert found.usable == {"onnxruntime-fp32", "onnxruntime-int8"}
    assert (found.meets, found.latency) == (True, "pass")
    assert found.beyond == pytest.approx(0.3 / 0.5 - 1)


def test_one_that_loses_too_much_accuracy_is_neither_chosen_nor_usable(selected, checked):
    found = selected(checked("baseline-fp32", 950), student(checked, int8=930))
    assert (found.variant, found.usable) == ("onnxruntime-fp32", {"onnxruntime-fp32"})


def test_one_whose_nodes_fall_back_misses_a_limit_on_them(selected, checked):
    def nodes(path, ms):
        provider = "CPUExecutionProvider" if path.stem != "student-int8" else "another"
        return [protocol.Node("n", "Conv", provider, ms)]

    files = checked("baseline-fp32", 950), student(checked)
    assert selected(*files, further={"fallback": {"max_nodes": 0}}, nodes=nodes).variant == "onnxruntime-fp32"
    assert selected(*files, further={"fallback": {"max_nodes": 1}}, nodes=nodes).variant == "onnxruntime-int8"


def test_one_that_is_too_slow_says_by_how_much(selected, checked):
    slow = MS | {"student-fp32": 0.9, "student-int8": 0.6}
    found = selected(checked("baseline-fp32", 950), student(checked), slow)
    assert (found.variant, found.meets, found.latency) == ("onnxruntime-int8", False, "fail")
    assert found.beyond == pytest.approx(0.2)


def test_an_unpruned_students_reference_artifact_is_measured_once(selected, checked):
    reference = checked("baseline-fp32", 950)
    found = selected(reference, Deployed(artifacts=(reference,)))
    assert (len(found.measurements), found.chosen, found.variant) == (1, 0, "onnxruntime-fp32")


def test_what_is_too_close_to_tell_is_measured_longer(selected, checked):
    """Every launch differs: the interval of five of them holds the limit."""
    random = Random(0)

    def timing():
        factor = random.uniform(0.8, 1.2)
        return lambda ms, seconds: protocol.Timed((ms * factor,) * 15, energy_mj=None, canary_ms=1.0)

    only = Deployed(artifacts=(checked("student-fp32", 950),))
    found = selected(checked("baseline-fp32", 950), only, MS | {"student-fp32": 0.5}, timing=timing)
    assert len(found.measurements[0].launches) == 3 * SHORT.launches
    sure = selected(checked("baseline-fp32", 950), student(checked))
    assert len(sure.measurements[0].launches) == SHORT.launches


def test_without_a_device_nothing_is_measured_and_the_most_accurate_is_kept(selected, checked):
    found = selected(checked("baseline-fp32", 950), student(checked, fp32=949, int8=950), None)
    assert (found.variant, found.latency) == ("onnxruntime-int8", "not measured")
    assert not any(measurement.launches for measurement in found.measurements)
