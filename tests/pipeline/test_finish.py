"""A trained student's artifacts are measured beside the reference and one is chosen, on a simulated device."""

from random import Random

import pytest

from edgekd import catalog, files
from edgekd.data.load import load_dataset
from edgekd.devices.agent import protocol
from edgekd.gate.budget import Budget
from edgekd.pipeline.finish import finish
from edgekd.pipeline.job import Job
from edgekd.progress import Silent
from edgekd.store import Store
from edgekd.values import Accuracy, Artifact, File, MeasuringProtocol, Recipe, Variant
from edgekd.values.result import Checked, Deployed, Parity

MS = {"baseline-fp32": 1.0, "student-fp32": 0.4, "student-int8": 0.3}
SHORT = MeasuringProtocol(launches=5, seconds=0.3, block_seconds=0.03)


@pytest.fixture
def job(tmp_path, simulated):
    def make(ms=MS, **more):
        limits = {"latency": {"max_ratio": 0.5}, "accuracy": {"max_drop_pp": 1.0}}
        return Job(
            recipe=Recipe(model="resnet8", data="digits", target="x86-cpu", budget="b", measure=SHORT),
            target=catalog.target("x86-cpu"),
            budget=Budget.model_validate({"name": "b", **limits}),
            data=load_dataset("digits"),
            device=simulated(lambda path: ms[path.stem], **more) if ms else None,
            run=Store(tmp_path / "run"),
            shared=Store(tmp_path / "shared"),
            progress=Silent(),
        )

    return make


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


def test_the_fastest_that_keeps_the_accuracy_is_chosen_among_all_that_are_measured(job, checked):
    found = finish(job(), checked("baseline-fp32", 950), student(checked))
    assert [option.artifact.name for option in found.options] == list(MS)
    assert [m.artifact.name for m in found.measurements] == list(MS)
    assert (found.variant, found.chosen) == ("onnxruntime-int8", 2)
    assert found.usable == {"onnxruntime-fp32", "onnxruntime-int8"}
    assert (found.meets, found.latency) == (True, "pass")
    assert found.beyond == pytest.approx(0.3 / 0.5 - 1)


def test_one_that_loses_too_much_accuracy_is_neither_chosen_nor_usable(job, checked):
    found = finish(job(), checked("baseline-fp32", 950), student(checked, int8=930))
    assert (found.variant, found.usable) == ("onnxruntime-fp32", {"onnxruntime-fp32"})


def test_one_that_is_too_slow_says_by_how_much(job, checked):
    found = finish(
        job(MS | {"student-fp32": 0.9, "student-int8": 0.6}), checked("baseline-fp32", 950), student(checked)
    )
    assert (found.variant, found.meets, found.latency) == ("onnxruntime-int8", False, "fail")
    assert found.beyond == pytest.approx(0.2)


def test_an_unpruned_students_reference_artifact_is_measured_once(job, checked):
    reference = checked("baseline-fp32", 950)
    found = finish(job(), reference, Deployed(artifacts=(reference,)))
    assert (len(found.measurements), found.chosen, found.variant) == (1, 0, "onnxruntime-fp32")


def test_what_is_too_close_to_tell_is_measured_longer(job, checked):
    """Every launch differs: the interval of five of them holds the limit."""
    random = Random(0)

    def timing():
        factor = random.uniform(0.8, 1.2)
        return lambda ms, seconds: protocol.Timed((ms * factor,) * 15, energy_mj=None, canary_ms=1.0)

    close = job(MS | {"student-fp32": 0.5}, timing=timing)
    found = finish(close, checked("baseline-fp32", 950), Deployed(artifacts=(checked("student-fp32", 950),)))
    assert len(found.measurements[0].launches) == 3 * SHORT.launches
    sure = finish(job(), checked("baseline-fp32", 950), student(checked))
    assert len(sure.measurements[0].launches) == SHORT.launches


def test_without_a_device_nothing_is_measured_and_the_most_accurate_is_kept(job, checked):
    found = finish(job(ms=None), checked("baseline-fp32", 950), student(checked, fp32=949, int8=950))
    assert (found.variant, found.latency) == ("onnxruntime-int8", "not measured")
    assert not any(measurement.launches for measurement in found.measurements)
