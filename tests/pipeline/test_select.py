import pytest

from edgekd.gate.budget import Budget
from edgekd.pipeline.select import select
from edgekd.values import Accuracy, Artifact, File, Variant
from edgekd.values.result import Dropped, Ladder, Parity, Rung

PARITY = Parity(images=1, max_difference=0, sqnr_db=100, top1_agreement=1)


def rung(name, correct):
    artifact = Artifact(
        name=name,
        variant=Variant(runtime="onnxruntime", precision=name.rpartition("-")[2]),
        files=(File(path=f"{name}.onnx", sha256=name),),
        disk_bytes=10,
        transfer_bytes=9,
    )
    return Rung(
        artifact=artifact,
        exporter="dynamo",
        parity=PARITY,
        val=Accuracy(correct=correct, images=1000, dataset="d", split="val"),
    )


REFERENCE = rung("baseline-fp32", 950)
BUDGET = Budget.model_validate({"name": "b", "latency": {"max_ratio": 0.5}, "accuracy": {"max_drop_pp": 1.0}})


@pytest.fixture
def timed(measurement):
    """Measurements of these milliseconds, interleaved."""

    def make(*each):
        return [measurement((((ms,) * 20,) * 4,) * 5) for ms in each]

    return make


def student(fp32, int8, **more):
    return Ladder(rungs=(rung("student-fp32", fp32), rung("student-int8", int8)), **more)


def test_the_faster_of_two_that_keep_the_accuracy_is_chosen(timed):
    choice = select(BUDGET, REFERENCE, student(945, 944), timed(1.0, 0.45, 0.3))
    assert choice.artifact == "student-int8"
    assert "0.30 of the baseline's latency" in choice.why
    assert [d.name for d in choice.dropped] == ["student-fp32"]


def test_int8_that_is_slower_is_dropped_with_its_number(timed):
    choice = select(BUDGET, REFERENCE, student(945, 944), timed(1.0, 0.4, 0.8))
    assert choice.artifact == "student-fp32"
    assert "2.00 times the latency" in choice.dropped[0].why


def test_speed_does_not_buy_lost_accuracy(timed):
    choice = select(BUDGET, REFERENCE, student(945, 900), timed(1.0, 0.45, 0.1))
    assert choice.artifact == "student-fp32"
    assert "loses 5.00 points" in choice.dropped[0].why


def test_where_nothing_keeps_the_accuracy_the_rest_still_decides(timed):
    assert select(BUDGET, REFERENCE, student(800, 700), timed(1.0, 0.4, 0.2)).artifact == "student-int8"


def test_without_measurements_the_most_accurate_is_chosen_and_nothing_is_claimed(timed):
    choice = select(BUDGET, REFERENCE, student(944, 945), ())
    assert choice.artifact == "student-int8"
    assert "not measured" in choice.why


def test_without_measurements_equal_accuracies_are_called_equal():
    choice = select(BUDGET, REFERENCE, student(950, 950), ())
    assert choice.why == "not measured, validation accuracy +0.00 points"
    assert choice.dropped[0].why == "is as accurate on the validation images, and its latency wasn't measured"


def test_what_failed_its_check_stays_in_the_list(timed):
    gone = Dropped(name="student-int4", why="differs from the network")
    choice = select(BUDGET, REFERENCE, student(945, 944, dropped=(gone,)), timed(1.0, 0.4, 0.8))
    assert gone in choice.dropped
