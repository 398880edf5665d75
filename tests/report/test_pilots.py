"""The table of pilots, and what is said of a race."""

from types import SimpleNamespace

from edgekd.report.blocks import Picture
from edgekd.report.pilots import pilot_rows, races, told
from edgekd.values import Accuracy
from edgekd.values.losses import HALF_AND_HALF, LABELS_ALONE
from edgekd.values.race import PilotRecord, PilotRound, RaceRecord, TrainedBy


def pilot(name, losses, *correct, why=""):
    rounds = tuple(
        PilotRound(steps=30, accuracy=Accuracy(correct=each, images=1000, dataset="digits", split="val"), loss=0.25)
        for each in correct
    )
    return PilotRecord(name=name, losses=losses, learning_rate=0.05, rounds=rounds, why=why)


def race(winner, labels, half):
    early, gone = pilot("early", HALF_AND_HALF, 900), pilot("gone", HALF_AND_HALF, why="diverged")
    pilots = (
        gone,
        early,
        pilot("labels at 0.05", LABELS_ALONE, 500, labels),
        pilot("half at 0.05", HALF_AND_HALF, 500, half),
    )
    return RaceRecord(pilots=pilots, winner=winner, seconds=2.0)


def test_the_last_round_comes_first_and_who_goes_on_is_marked():
    assert pilot_rows(race("half at 0.05", 870, 880)) == [
        ["half at 0.05", "60", "88.00% (n = 1,000)", "0.250", "goes on"],
        ["labels at 0.05", "60", "87.00% (n = 1,000)", "0.250", ""],
        ["early", "30", "90.00% (n = 1,000)", "0.250", ""],
        ["gone", "–", "–", "–", "diverged"],
    ]


def test_each_pilot_that_ran_is_drawn_from_its_first_round_to_its_last():
    (drawn,) = (block for block in told(race("half at 0.05", 870, 880)) if isinstance(block, Picture))
    assert drawn.svg.count("<circle") == 2 + 2 + 1  # one was left out after the first round, one never ended it
    assert "<title>half at 0.05: 50.00%, then 88.00%</title>" in drawn.svg
    assert drawn.svg.count('class="open-kept"') == 1  # the winner
    assert ["half at 0.05", "2", "30", "88.00%", "0.250"] in drawn.numbers.rows
    gone = RaceRecord(pilots=(pilot("gone", HALF_AND_HALF, why="diverged"),), winner=None, seconds=1.0)
    assert not any(isinstance(block, Picture) for block in told(gone))


def test_it_names_the_winner_beside_the_other_kind_and_says_where_distillation_brought_nothing():
    numbers = "half at 0.05: 88.00% of 1,000 validation images, loss 0.250"
    told = race("half at 0.05", 870, 880).told()
    assert told == f"{numbers}; labels at 0.05: 87.00% of 1,000 validation images, loss 0.250"
    told = race("labels at 0.05", 890, 880).told()
    assert told.startswith("labels at 0.05: 89.00%")
    assert numbers in told
    assert told.endswith("; distillation brought nothing here")


def test_a_student_that_is_the_original_had_no_race():
    found = race("half at 0.05", 870, 880)
    record = SimpleNamespace(
        trained_by=(
            TrainedBy(losses={"ce": {}}, learning_rate=0.1),
            TrainedBy(losses={"ce": {}}, learning_rate=0.1, race=found),
        )
    )
    student, teacher = SimpleNamespace(weights=1, training=record), SimpleNamespace(weights=2, training=None)
    assert races(SimpleNamespace(student=student, teacher=teacher)) == [found]
    assert races(SimpleNamespace(student=teacher, teacher=teacher)) == []
