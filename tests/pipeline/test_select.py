from random import Random

import pytest

from edgekd.gate.budget import Budget
from edgekd.gate.limits.size import Settings as Size
from edgekd.pipeline.select import keeps_accuracy, select
from edgekd.values import Accuracy, Artifact, File, Variant
from edgekd.values.deployment import Parity
from edgekd.values.result import Checked, Deployed, Dropped

PARITY = Parity(images=1, max_difference=0, sqnr_db=100, top1_agreement=1)


def checked(name, correct, disk_bytes=10, **settings):
    """An artifact, named after its network and variant, that gets so many of 1,000 images right."""
    _, runtime, precision = name.split("-")
    artifact = Artifact(
        name=name,
        variant=Variant(runtime=runtime, precision=precision, settings=settings),
        files=(File(path="model.onnx", sha256=name),),
        disk_bytes=disk_bytes,
        transfer_bytes=9,
    )
    validation = Accuracy(correct=correct, images=1000, dataset="d", split="val")
    return Checked(artifact=artifact, exporter="dynamo", parity=PARITY, accuracy=validation)


REFERENCE = checked("baseline-ort-fp32", 950)
BUDGET = Budget.model_validate({"name": "b", "latency": {"max_ratio": 0.5}, "accuracy": {"max_drop_pp": 1.0}})


@pytest.fixture
def noisy(measurement):
    """Measurements of these milliseconds, interleaved, in which every block is off by up to 10 %."""

    def make(*each):
        generators = [Random(number) for number, _ in enumerate(each)]
        blocks = [
            [[[ms * generator.uniform(0.9, 1.1)] * 20 for _ in range(20)] for _ in range(5)]
            for ms, generator in zip(each, generators, strict=True)
        ]
        return [measurement(launches) for launches in blocks]

    return make


@pytest.fixture
def timed(measurement):
    """Measurements of these milliseconds, interleaved."""

    def make(*each):
        return [measurement((((ms,) * 20,) * 4,) * 5) for ms in each]

    return make


def student(fp32, int8, other=None, **more):
    artifacts = [checked("student-ort-fp32", fp32), checked("student-ort-int8", int8)]
    artifacts += [checked("student-ov-fp32", other)] if other is not None else []
    return Deployed(artifacts=tuple(artifacts), **more)


def test_the_fastest_that_keeps_the_accuracy_is_chosen_whatever_its_runtime_and_precision(timed):
    choice = select(BUDGET, REFERENCE, student(945, 944, 945), timed(1.0, 0.45, 0.3, 0.2))
    assert (choice.artifact, choice.variant) == ("student-ov-fp32", Variant(runtime="ov", precision="fp32"))
    assert "0.20 of the reference's latency" in choice.why
    assert {gone.name: gone.why for gone in choice.dropped} == {
        "student-ort-int8": "is slower: 1.50 times the latency of the one kept",
        "student-ort-fp32": "is slower: 2.25 times the latency of the one kept",
    }
    assert select(BUDGET, REFERENCE, student(945, 944, 945), timed(1.0, 0.2, 0.3, 0.3)).artifact == "student-ort-fp32"


def test_what_the_budget_can_judge_is_chosen_before_what_it_can_not(timed):
    budget = BUDGET.model_copy(update={"size": Size(engine_bytes=1000)})
    reference, fp32, int8 = timed(1.0, 0.45, 0.3)
    built = [reference, fp32.model_copy(update={"engine_bytes": 999}), int8]
    choice = select(budget, REFERENCE, student(945, 945), built)
    assert choice.artifact == "student-ort-fp32"
    (gone,) = choice.dropped
    assert gone.why == "can't be judged by all limits of the budget, at 0.67 times the latency of the one kept"
    too_large = [reference, fp32.model_copy(update={"engine_bytes": 1001}), int8]
    assert select(budget, REFERENCE, student(945, 945), too_large).artifact == "student-ort-int8"


def test_speed_does_not_buy_lost_accuracy(timed):
    choice = select(BUDGET, REFERENCE, student(945, 900), timed(1.0, 0.45, 0.1))
    assert choice.artifact == "student-ort-fp32"
    assert choice.dropped[0].why == "loses 5.00 points of validation accuracy, 1 allowed"


def test_one_that_is_more_accurate_than_the_reference_loses_nothing(timed):
    assert keeps_accuracy(BUDGET, REFERENCE, checked("student-ort-int8", 999))
    assert not keeps_accuracy(BUDGET, REFERENCE, checked("student-ort-int8", 939))
    assert keeps_accuracy(BUDGET, REFERENCE, checked("student-ort-int8", 940))  # exactly what is allowed
    choice = select(BUDGET, REFERENCE, student(945, 999), timed(1.0, 0.45, 0.1))
    assert choice.artifact == "student-ort-int8"
    assert "validation accuracy +4.90 points" in choice.why


@pytest.mark.parametrize(
    ("limits", "chosen", "allowed"),
    [
        ({"min_top1": 0.93}, "student-ort-fp32", "2"),
        ({"min_top1": 0.93, "max_drop_pp": 1.0}, "student-ort-fp32", "1"),
        ({"min_top1": 0.69}, "student-ort-int8", None),
        # the reference is below it: nothing may be lost
        ({"min_top1": 0.97}, "student-ort-fp32", "0"),
    ],
)
def test_a_floor_of_accuracy_decides_as_a_drop_to_it_does(timed, limits, chosen, allowed):
    budget = Budget.model_validate({"name": "b", "latency": {"max_ratio": 0.5}, "accuracy": limits})
    found = student(950, 700)
    choice = select(budget, REFERENCE, found, timed(1.0, 0.45, 0.4))
    assert choice.artifact == chosen
    assert [keeps_accuracy(budget, REFERENCE, each) for each in found.artifacts] == [True, allowed is None]
    if allowed:
        (gone,) = choice.dropped
        assert gone.why == f"loses 25.00 points of validation accuracy, {allowed} allowed"


def test_one_that_is_right_on_the_floor_keeps_it():
    """As the verdict has it; in floats, 0.94 less 0.93 is below one point."""
    budget = Budget.model_validate({"name": "b", "accuracy": {"min_top1": 0.93}})
    found = [keeps_accuracy(budget, checked("baseline-ort-fp32", 940), each) for each in student(930, 929).artifacts]
    assert found == [True, False]


def test_accuracy_that_the_budget_does_not_limit_does_not_count(timed):
    free = Budget.model_validate({"name": "b", "latency": {"max_ratio": 0.5}})
    assert keeps_accuracy(free, REFERENCE, checked("student-ort-int8", 0))
    assert select(free, REFERENCE, student(945, 100), timed(1.0, 0.4, 0.3)).artifact == "student-ort-int8"


def test_one_that_meets_every_limit_goes_before_a_faster_one_that_misses_one(measurement):
    budget = Budget.model_validate({"name": "b", "latency": {"max_ratio": 0.5}, "load": {"limit_ms": 100}})
    blocks = {ms: (((ms,) * 20,) * 4,) * 5 for ms in (1.0, 0.4, 0.2)}
    found = [measurement(blocks[1.0]), measurement(blocks[0.4]), measurement(blocks[0.2], load_ms=900.0)]
    choice = select(budget, REFERENCE, student(945, 945), found)
    assert choice.artifact == "student-ort-fp32"
    assert choice.dropped[0].why == "misses the budget, at 0.50 times the latency of the one kept"


def test_where_nothing_keeps_the_accuracy_the_rest_still_decides(timed):
    assert select(BUDGET, REFERENCE, student(800, 700), timed(1.0, 0.4, 0.2)).artifact == "student-ort-int8"


def test_without_measurements_the_most_accurate_is_chosen_and_nothing_is_claimed():
    choice = select(BUDGET, REFERENCE, student(944, 945), ())
    assert choice.artifact == "student-ort-int8"
    assert choice.why == "not measured, validation accuracy -0.50 points"
    assert choice.dropped[0].why == "loses 0.10 points more of validation accuracy; nothing was measured"


def test_without_measurements_equal_accuracies_are_called_equal():
    choice = select(BUDGET, REFERENCE, student(950, 950), ())
    assert choice.why == "not measured, validation accuracy +0.00 points"
    assert choice.dropped[0].why == "is as accurate on the validation images, and its latency was not measured"


def test_an_artifact_without_its_measurement_is_refused(timed):
    with pytest.raises(ValueError, match="shorter"):
        select(BUDGET, REFERENCE, student(945, 944), timed(1.0, 0.4))


def test_what_failed_its_check_stays_in_the_list(timed):
    gone = Dropped(name="student-ort-int4", why="differs from the network")
    choice = select(BUDGET, REFERENCE, student(945, 944, dropped=(gone,)), timed(1.0, 0.4, 0.8))
    assert gone in choice.dropped


OPEN = Budget.model_validate({"name": "b", "latency": {"max_ratio": 0.9}, "accuracy": {"max_drop_pp": 1.0}})
FP32, INT8, OTHER = "student-onnxruntime-fp32", "student-onnxruntime-int8", "student-openvino-fp32"
ORT_REFERENCE = checked("baseline-onnxruntime-fp32", 950)


def chosen(measurements, *artifacts):
    choice = select(OPEN, ORT_REFERENCE, Deployed(artifacts=artifacts), measurements)
    return choice.artifact, choice.why, {gone.name: gone.why for gone in choice.dropped}


def test_of_two_that_are_as_fast_within_noise_the_smaller_file_is_kept(noisy):
    """Whichever of them the samples favour."""
    for times in ((1.0, 0.5, 0.505), (1.0, 0.505, 0.5)):
        name, why, dropped = chosen(noisy(*times), checked(FP32, 950, 1000), checked(INT8, 950, 300))
        assert name == INT8
        assert "is as fast within noise, at " in dropped[FP32]
        assert dropped[FP32].endswith(" and is larger: 1,000 bytes instead of 300")
        assert ("as fast within noise as student-onnxruntime-fp32" in why) == (times[1] < times[2])


def test_a_smaller_file_that_is_slower_beyond_noise_is_not_kept(timed):
    both = checked(FP32, 950, 1000), checked(INT8, 950, 300)
    assert chosen(timed(1.0, 0.500, 0.505), *both)[0] == FP32


def test_a_smaller_file_that_is_probably_slower_is_not_kept_for_the_noise_of_the_device(measurement):
    """In two of five launches it is faster; the median is 5 % more."""
    reference, fp32 = (measurement((((ms,) * 20,) * 4,) * 5) for ms in (1.0, 0.5))
    int8 = measurement([((ms,) * 20,) * 4 for ms in (0.45, 0.45, 0.525, 0.55, 0.55)])
    name, _, dropped = chosen([reference, fp32, int8], checked(FP32, 950, 1000), checked(INT8, 950, 300))
    assert (name, dropped[INT8]) == (FP32, "is slower: 1.05 times the latency of the one kept")


def test_of_two_as_fast_and_as_large_the_simpler_is_kept(timed):
    """The fewer settings; then the precision closer to the network; then the runtime of the reference."""
    plain, two = checked(FP32, 950, 1000), checked(f"{FP32}", 950, 1000, threads=2)
    assert chosen(timed(1.0, 0.5, 0.5), two, plain)[2] == {
        FP32: "is as fast within noise, at 1.00 times the latency of the one kept, and has more settings"
    }
    name, _, dropped = chosen(timed(1.0, 0.5, 0.5), checked(INT8, 950, 1000), checked(OTHER, 950, 1001))
    assert (name, dropped[INT8].partition(", and ")[2]) == (OTHER, "computes in int8 instead of fp32")
    name, _, dropped = chosen(timed(1.0, 0.5, 0.5), checked(OTHER, 950, 1000), plain)
    assert (name, dropped[OTHER].partition(", and ")[2]) == (FP32, "needs openvino as well")


def test_speed_within_noise_does_not_buy_lost_accuracy(timed):
    assert chosen(timed(1.0, 0.5, 0.5), checked(FP32, 950, 1000), checked(INT8, 900, 300))[0] == FP32
