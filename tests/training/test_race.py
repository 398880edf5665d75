"""The race of pilots: who goes on, from where, with how many steps, and what is said of it."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from edgekd.data.fixed_images import sample_images
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.training import race as racing
from edgekd.training.evaluate import Judged, evaluate, judge
from edgekd.training.race import Rounds, race, rounds
from edgekd.training.schedule import Part
from edgekd.training.stage import TrainingInputs, train_network
from edgekd.training.step import run_step
from edgekd.training.supervision import Supervision, Teacher
from edgekd.values import Recovery
from edgekd.values.losses import HALF_AND_HALF, LABELS_ALONE
from edgekd.values.training import Execution
from edgekd.zoo import networks
from edgekd.zoo.recalibration import recalibrated

SHAPE = (1, 16, 16)
WAYS = {"precision": "fp32", "memory_format": "contiguous", "threads": 1, "teacher_precision": "fp32"}
SETTINGS = Recovery(epochs=2, batch_size=4, race=0.5, **WAYS)
STEPS = 2 * 50


@pytest.fixture(scope="module", autouse=True)
def short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(racing, "FEWEST_STEPS", 2)
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, few_digits):
    folder = tmp_path_factory.mktemp("networks")

    def network(seed):
        known = networks.architecture("resnet8", classes=10, shape=SHAPE)
        path = folder / f"{seed}.safetensors"
        return networks.save(networks.untrained(known, seed), path, known, origin="random")

    return TrainingInputs(network(0), SETTINGS, few_digits, 3, Supervision((Teacher(network(1)),)))


class Noted(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


class Noting(Run):
    """A run that notes the inputs of its stages."""

    def __init__(self, folder):
        super().__init__(Store(folder / "run"), Store(folder / "shared"), Noted())
        object.__setattr__(self, "asked", [])

    def stage(self, name, inputs, build, **more):
        self.asked.append((name, inputs))
        return super().stage(name, inputs, build, **more)

    @property
    def pilots(self):
        return [given.training for name, given in self.asked if name == "pilot"]


@pytest.fixture
def run(tmp_path):
    return lambda name="run": Noting(tmp_path / name)


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """A training that nothing disturbed: its run, what the race gave, and the network."""
    run = Noting(tmp_path_factory.mktemp("whole"))
    return run, *trained(run, inputs)


@contextmanager
def counted(stop_at=None):
    """The steps that are trained within the block; Ctrl-C is pressed in one of them."""
    steps = []

    def step(*given):
        steps.append(1)
        if len(steps) == stop_at:
            raise KeyboardInterrupt
        return run_step(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgekd.training.epoch.run_step", step)
        yield steps


def trained(run, inputs, rate=0.1):
    """The whole training: the race, then what goes on."""
    found = rounds(inputs.settings, inputs.data)
    raced = race(run, inputs, found, rate)
    return raced, run.stage("recover", raced.inputs, train_network)


def weights(network):
    return torch.cat([value.flatten() for value in networks.load(network).state_dict().values()])


def test_all_parts_together_have_the_steps_of_the_training(inputs, run):
    assert rounds(SETTINGS, inputs.data) == Rounds(first=4, second=8, rest=52)
    with counted() as steps:
        raced, _ = trained(run(), inputs)
    assert len(steps) == STEPS
    assert raced.by.race.steps + 52 == STEPS
    assert [len(pilot.rounds) for pilot in raced.by.race.pilots].count(2) == 3


@pytest.mark.parametrize("epochs", [2, 7, 30])
def test_every_step_is_some_parts(few_digits, epochs):
    found = rounds(SETTINGS.model_copy(update={"epochs": epochs}), few_digits)
    assert 6 * found.first + 3 * found.second + found.rest == 50 * epochs
    assert 0.4 * 50 * epochs <= found.rest <= 0.6 * 50 * epochs


def test_short_trainings_and_a_share_of_0_have_none(few_digits, monkeypatch):
    assert rounds(SETTINGS.model_copy(update={"race": 0.0}), few_digits) is None
    monkeypatch.setattr(racing, "FEWEST_STEPS", 5)
    assert rounds(SETTINGS, few_digits) is None


def test_the_winner_goes_on_from_where_it_is_on_new_views(inputs, whole):
    run, raced, after = whole
    first, second = run.pilots[:6], run.pilots[6:]
    assert [one.part for one in run.pilots] == [Part(4)] * 6 + [Part(8, views=1)] * 3
    assert all(one.network == inputs.network for one in first)
    assert all(one.network.weights != inputs.network.weights for one in second)
    assert raced.inputs.part == Part(52, views=2)
    assert raced.inputs.network.weights not in [one.network.weights for one in run.pilots]
    (winner,) = (pilot for pilot in raced.by.race.pilots if pilot.name == raced.by.race.winner)
    assert evaluate(networks.load(raced.inputs.network), inputs.data.val).correct == winner.rounds[1].accuracy.correct
    assert (winner.losses, 0.1) == (raced.by.losses, raced.by.learning_rate)
    settings = raced.inputs.settings
    assert (settings.losses, settings.learning_rate) == (raced.by.losses, raced.by.learning_rate)
    assert after.training.epochs == 2


def test_labels_alone_and_the_teacher_meet_in_the_second_round(whole):
    _, raced, _ = whole
    last = [pilot for pilot in raced.by.race.pilots if len(pilot.rounds) == 2]
    assert {pilot.has_teacher for pilot in last} == {True, False}
    tried = {(str(pilot.losses), pilot.mixup, pilot.learning_rate) for pilot in raced.by.race.pilots}
    mixed = ((LABELS_ALONE, 0.0), (HALF_AND_HALF, 0.0), (HALF_AND_HALF, 0.2))
    assert tried == {(str(losses), mixup, rate) for losses, mixup in mixed for rate in (0.025, 0.1)}


def test_only_the_pilot_with_mixup_mixes_images(whole):
    run, *_ = whole
    assert [one.data.augmentation.mixup for one in run.pilots[:6]] == [0.0] * 4 + [0.2] * 2
    assert len({one.data.fingerprint for one in run.pilots}) == 2


@pytest.mark.parametrize(("stop_at", "done"), [(None, 0), (5, 4), (36, 32), (99, 98)])
def test_stopped_anywhere_it_resumes_to_the_same_weights(inputs, run, whole, stop_at, done):
    """In the second pilot, in the second one of the second round, and in the second epoch of what goes on."""
    _, raced, expected = whole
    if stop_at:
        with pytest.raises(KeyboardInterrupt), counted(stop_at):
            trained(run(), inputs)
    with counted() as steps:
        again, found = trained(run(), inputs)
    assert len(steps) == STEPS - done
    assert torch.equal(weights(found), weights(expected))
    assert [pilot.rounds for pilot in again.by.race.pilots] == [pilot.rounds for pilot in raced.by.race.pilots]


def test_what_mixed_images_in_the_race_does_so_afterwards(inputs, run, monkeypatch):
    monkeypatch.setattr(racing, "_best", lambda pilots: max(pilots, key=lambda pilot: pilot.record.mixup))
    at = run()
    raced = race(at, inputs, rounds(SETTINGS, inputs.data), 0.1)
    assert (raced.by.mixup, raced.inputs.data.augmentation.mixup) == (0.2, 0.2)
    assert "with mixup" in raced.by.told()


def test_data_that_are_mixed_anyway_have_no_such_pilot(inputs):
    mixed = replace(inputs.data, augmentation=replace(inputs.data.augmentation, mixup=0.4))
    assert len(racing._recipes(mixed)) == 2


def test_a_pilot_that_diverges_only_loses(inputs, run, monkeypatch):
    monkeypatch.setattr(racing, "_RATES", (0.5, 1e30))
    at = run()
    raced = race(at, inputs, rounds(SETTINGS, inputs.data), 0.1)
    gone = [pilot for pilot in raced.by.race.pilots if pilot.why]
    assert [pilot.learning_rate for pilot in gone] == [1e29] * 3
    assert all("diverged" in pilot.why for pilot in gone)
    assert raced.by.learning_rate == 0.05
    assert any("is given up: training diverged" in note for note in at.progress.notes)


def test_where_all_diverge_the_defaults_go_on(inputs, run, monkeypatch):
    monkeypatch.setattr(racing, "_RATES", (1e29, 1e30))
    raced = race(run(), inputs, rounds(SETTINGS, inputs.data), 0.1)
    assert (raced.by.losses, raced.by.learning_rate, raced.by.race.winner) == (HALF_AND_HALF, 0.1, None)
    assert raced.inputs.network == inputs.network
    assert raced.by.race.told() == "all pilots diverged"
    assert raced.by.race.seconds > 0


def judged(right, loss):
    bits = "".join("1" if each else "0" for each in right)
    return Judged(correct=sum(right), images=len(right), loss=loss, right=f"{int(bits, 2):02x}")


def test_accuracy_decides_beyond_the_noise_and_the_loss_within_it():
    better, worse = judged([True] * 9 + [False], 0.9), judged([True] * 5 + [False] * 5, 0.1)
    assert better.beats(worse)
    assert not worse.beats(better)
    close = judged([True] * 8 + [False] * 2, 0.1)
    assert not better.beats(close)

    def pilot(name, found):
        record = racing.PilotRecord(name=name, losses=LABELS_ALONE, learning_rate=0.1)
        return racing._Pilot(record, None, racing.Piloted(judged=found))

    assert racing._best([pilot("worse", worse), pilot("better", better)]).record.name == "better"
    assert racing._best([pilot("better", better), pilot("close", close)]).record.name == "close"


def test_what_is_judged_is_the_score_with_its_images(digits, resnet8):
    found = judge(resnet8, digits.val, Execution())
    score = evaluate(resnet8, digits.val)
    assert (found.correct, found.images) == (score.correct, score.images)
    assert int(found.right, 16).bit_count() == score.correct
    images, labels = next(iter(digits.val.batches(len(digits.val))))
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(resnet8.eval()(images), labels)
    assert found.loss == pytest.approx(float(expected), rel=1e-4)


def test_pilots_are_judged_with_batch_norms_of_their_averaged_weights(inputs, whole):
    _, raced, _ = whole
    model = networks.load(raced.inputs.network)
    before = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    recalibrated(model, torch.from_numpy(sample_images(inputs.data.train, 512)))
    after = model.state_dict()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=1e-4, atol=1e-5)
