"""The estimate of a command: what it is made of, when it is said, and how wrong it was."""

import pytest

from edgekd.pipeline.forecast import Forecast, Phase
from edgekd.progress import Silent, about

PHASES = (
    Phase("teacher", "2 epochs", ("teacher",), images=2000, trains="teacher"),
    Phase("reference", "every variant", ("deploy",)),
    Phase("plan", "how much is removed", ("plan",)),
    Phase("student", "1 epoch", ("repair", "recover"), images=1000, trains="recover"),
    Phase("choice", "measured", ("deploy", "measure"), measuring_s=50, like="reference"),
    Phase("verdict", "the test set", ("test",), measuring_s=20),
)


class Heard(Silent):
    def __init__(self):
        self.notes, self.left = [], []

    def note(self, text):
        self.notes.append(text)

    def forecast(self, seconds):
        self.left.append(seconds)


class Course:
    """A command whose time is told."""

    def __init__(self, phases=PHASES):
        self.now, self.heard = 0.0, Heard()
        self.forecast = Forecast(self.heard, lambda: self.now)
        self.forecast.plan(phases)

    def stage(self, name, seconds=0.0):
        self.forecast.stage(name, "…")
        self.now += seconds

    def train(self, images, rate, already=0):
        for done in range(already, images + 1, 100):
            self.forecast.advance(done, images)
            self.now += 100 / rate if done < images else 0

    @property
    def estimates(self):
        return [note for note in self.heard.notes if note.startswith(("estimate", "took"))]


@pytest.fixture
def course():
    return Course()


def test_a_plan_is_said_first_with_what_is_known_of_its_time(course):
    assert course.heard.notes[0] == "1. teacher: 2 epochs"
    assert course.heard.notes[5] == "6. verdict: the test set"
    known = "estimate: measuring takes about 70 s by its protocol; trainings are timed when they begin"
    assert course.estimates == [known]
    assert Course(PHASES[1:3]).estimates == ["estimate: nothing is measured"]


def test_nothing_is_estimated_before_a_training_was_timed(course):
    course.stage("teacher", 30)
    course.forecast.advance(0, 2000)
    assert course.forecast.left() is None
    assert not course.heard.left


def test_the_first_batches_tell_how_long_all_trainings_take(course):
    course.stage("teacher", 10)  # timing ways of execution isn't training
    course.train(300, rate=100)
    # 1,700 images of the teacher, 1,000 of the student, and 70 s of measuring
    assert course.heard.left[-1] == pytest.approx(17 + 10 + 70)
    assert course.estimates[1] == "estimate: about 2 min in all, 2 min left"


def test_what_was_done_once_takes_as_long_again_and_phases_that_end_correct_it(course):
    course.stage("teacher")
    course.train(2000, rate=100)
    course.stage("deploy", 40)
    course.stage("plan", 100)  # nobody knows before how long a search takes
    course.stage("recover")
    assert course.heard.left[-1] == pytest.approx(10 + (50 + 40) + 20)
    course.train(1000, rate=50)
    course.stage("deploy", 90)
    course.stage("measure")
    course.stage("test", 30)
    course.stage("verdict", 10)
    assert course.forecast.left() == pytest.approx(0.0)
    course.forecast.end()
    assert course.now == 20 + 40 + 100 + 20 + 90 + 40
    assert course.estimates[-1] == "took 5 min: the first estimate, after 2 s, was 2 min, 68% too short"


def test_a_resumed_training_counts_what_it_had_done(course):
    course.stage("teacher")
    course.train(2000, rate=100, already=1500)
    assert course.heard.left[0] == pytest.approx(3 + 10 + 70)


def test_a_teacher_that_was_found_leaves_the_estimate_to_the_student(course):
    for name in ("teacher", "deploy", "plan"):
        course.stage(name, 1)
    assert not course.heard.left
    course.stage("recover")
    course.train(1000, rate=200)
    assert course.heard.left[0] == pytest.approx(3 + 1 + 70)


def test_pilots_are_a_part_of_their_training(course):
    for name in ("teacher", "deploy", "plan", "recover"):
        course.stage(name)
    for _ in range(3):
        course.train(200, rate=100)
    assert course.heard.left[-1] == pytest.approx(4 + 70)


def test_a_student_that_is_planned_again_is_trained_again(course):
    course.stage("teacher")
    course.train(2000, rate=100)
    for name, seconds in (("deploy", 10), ("plan", 10)):
        course.stage(name, seconds)
    course.stage("recover")
    course.train(1000, rate=100)
    course.stage("deploy", 60)
    course.stage("plan")
    assert course.heard.left[-1] == pytest.approx(10 + 10 + 60 + 20)


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (150, "2 min"), (5400, "1 h 30 min")])
def test_durations_are_said_as_one_says_them(seconds, text):
    assert about(seconds) == text
