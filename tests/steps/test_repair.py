"""A pruned network is repaired where that lowers the loss on held-out training images, and what it brought is said."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from edgekd.data.load import load_dataset
from edgekd.progress import Silent
from edgekd.pruning.child.opening import open_network
from edgekd.pruning.child.protocol import Judging, Opening, PruneRequest
from edgekd.pruning.child.writing import write_pruned
from edgekd.run import Run
from edgekd.steps import _repaired as repaired
from edgekd.steps._read import read_steps
from edgekd.steps._sequence import run_steps
from edgekd.steps._task import Task
from edgekd.store import Store
from edgekd.training.stage import TrainingInputs, train_network
from edgekd.training.supervision import Supervision, Teacher
from edgekd.values import Recovery, Step, Structure, Training
from edgekd.values.network import Network
from edgekd.values.rounding import Rounding
from edgekd.zoo import networks

HALF = Structure(widths={"stage1.0.first.0": 8, "stage2.0.first.0": 16, "stage3.0.first.0": 32})
LESS = Structure(widths={"stage1.0.first.0": 4, "stage2.0.first.0": 8, "stage3.0.first.0": 16})
PINNED = {"precision": "fp32", "memory_format": "contiguous", "threads": 1, "compiled": False}


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def run(work):
    return Run(store=Store(work / "run"), shared=Store(work / "shared"), progress=Notes())


@pytest.fixture(scope="module")
def teacher(run, digits, work):
    """It has learnt the digits."""
    known = networks.architecture("resnet8", classes=10, shape=(1, 16, 16))
    random = networks.save(networks.untrained(known, 0), work / "random.safetensors", known, origin="random")
    settings = Training(epochs=5, batch_size=64, **PINNED)
    return run.stage("teacher", TrainingInputs(random, settings, digits, seed=0), train_network)


@pytest.fixture(scope="module")
def prune(work):
    """Prunes a network, by a criterion, to a structure."""

    def pruned(network, structure, criterion="l1"):
        folder = work / f"pruned-{len(list(work.iterdir()))}"
        folder.mkdir()
        sizes = {"classes": 10, "channels": 1, "height": 16, "width": 16}
        before = network.definition and network.definition.path
        opening = Opening(
            model="resnet8",
            **sizes,
            weights=network.weights.path,
            definition=before,
            channel_block=4,
            memory_bytes=4_000_000_000,
        )
        asked = PruneRequest(structure=structure, judging=Judging(criterion=criterion), folder=folder)
        found = write_pruned(open_network(opening), asked)
        return Network(
            architecture=network.architecture,
            definition=networks.file_of(found.definition),
            weights=networks.file_of(found.weights),
            sparse=structure.zeros > 0,
            cost=found.cost,
            origin="pruned",
        )

    return pruned


@pytest.fixture
def take(run, digits, teacher):
    """Takes steps from the teacher."""
    run.progress.notes.clear()

    def taken(*stated, pruned, begun=teacher, **changes):
        supervision = Supervision((Teacher(teacher),))
        recover = Recovery(epochs=1, batch_size=64, teacher_precision="fp32", **PINNED)
        task = Task(run, digits, supervision, recover, 0, 16, Rounding(), pruned, Training(epochs=1))
        return run_steps(read_steps([Step.model_validate(step) for step in stated]), begun, replace(task, **changes))

    taken.notes = run.progress.notes
    return taken


def test_repair_regains_most_of_what_pruning_cost_and_says_by_what(take, prune, teacher):
    state = take("prune", pruned=lambda network, share: prune(network, LESS))
    cut, norms, layers = state.brought
    assert [one.step for one in state.brought] == ["prune", "repair", "repair"]
    assert layers.kept
    assert layers.accuracy == state.network.accuracy
    lost = teacher.accuracy.correct - cut.accuracy.correct
    assert lost > 20
    assert teacher.accuracy.correct - layers.accuracy.correct < lost / 2
    assert layers.what == "layers fitted to the original's by least squares (629 images)"
    assert norms.note.startswith("cross-entropy on 630 held-out training images ")
    assert [note.split(":")[0:2] for note in take.notes] == [
        ["repair", " batch norms recalibrated (629 images)"],
        ["repair", " layers fitted to the original's by least squares (629 images)"],
    ]
    assert state.network.origin == "pruned"
    assert networks.load(state.network)(torch.zeros(1, 1, 16, 16)).isfinite().all()
    # what comes back in another run of the same is the same
    assert take("prune", pruned=lambda network, share: prune(network, LESS)).network == state.network


def test_what_was_pruned_before_is_fitted_to_what_it_was_before(take, prune, teacher):
    by_share = {0.5: HALF, 1.0: LESS}
    state = take({"do": "prune", "share": 0.5}, "prune", pruned=lambda network, share: prune(network, by_share[share]))
    assert [one.step for one in state.brought] == ["prune", "repair", "repair"] * 2
    assert state.brought[5].kept
    assert state.brought[5].accuracy.correct > state.brought[3].accuracy.correct
    assert networks.load(state.network).get_submodule("stage1.0.first.0").out_channels == 4


def test_a_repair_that_does_not_help_is_not_kept_and_that_is_said(take, prune, monkeypatch):
    def worse(model, *_):
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.weight)
        return ()

    monkeypatch.setattr(repaired, "recalibrated", worse)
    monkeypatch.setattr(repaired, "refitted", lambda *_: ("head.2",))
    structure = Structure(widths={"stage1.0.first.0": 12})
    state = take("prune", pruned=lambda network, share: prune(network, structure))
    assert [one.kept for one in state.brought] == [True, False, False]
    assert state.network.accuracy == state.brought[0].accuracy
    assert all(note.endswith("; not kept") for note in take.notes)
    assert "skipped, as their values aren't finite: head.2" in state.brought[2].note


def test_single_weights_that_were_pruned_stay_zero(take, prune):
    sparse = Structure(zeros=0.75)
    state = take("prune", pruned=lambda network, share: prune(network, sparse, "magnitude"))
    assert [one.what for one in state.brought[1:]] == ["batch norms recalibrated (629 images)"]
    assert state.network.sparse
    assert state.network.cost.nonzero < 0.4 * state.network.cost.parameters


def test_random_weights_and_what_is_not_to_be_repaired_are_left_alone(take, prune, teacher):
    random = teacher.model_copy(update={"origin": "random"})
    for step, begun in (("prune", random), ({"do": "prune", "repair": False}, teacher)):
        state = take(step, pruned=lambda network, share: prune(network, HALF), begun=begun)
        assert [one.step for one in state.brought] == ["prune"]


@pytest.mark.parametrize(("images", "says"), [(63, "repair: none, with 63 training images; it takes 64"), (64, "")])
def test_few_images_are_enough_or_it_is_said_how_many_are(take, prune, digits, images, says):
    train = replace(digits.train, pixels=digits.train.pixels[:images], labels=digits.train.labels[:images])
    few = replace(digits, train=train, fingerprint=f"{images}")
    state = take("prune", pruned=lambda network, share: prune(network, LESS), data=few)
    assert len(state.brought) == (1 if says else 3)
    assert not says or take.notes == [says]
    assert says or state.brought[2].what.endswith("(32 images)")


def test_classes_without_training_images_are_no_obstacle(take, prune, digits):
    some = digits.train.labels < 5
    train = replace(digits.train, pixels=digits.train.pixels[some], labels=digits.train.labels[some])
    half = replace(digits, train=train, fingerprint="half")
    state = take("prune", pruned=lambda network, share: prune(network, LESS), data=half)
    assert state.brought[2].kept
    assert state.brought[2].accuracy.correct > state.brought[0].accuracy.correct


def test_images_sorted_by_class_are_held_out_of_all_classes(teacher, digits):
    order = digits.train.labels.argsort()
    train = replace(digits.train, pixels=digits.train.pixels[order], labels=digits.train.labels[order])
    sorted_ = replace(digits, train=train, fingerprint="sorted")
    fitting, (held_out, labels) = repaired._images(networks.load(teacher), sorted_)
    assert len(fitting) + len(held_out) == len(train)
    assert labels.bincount().min() > 30


def test_the_learning_rate_follows_from_what_was_cut_whatever_the_repair_made_of_it(take, prune):
    rates = []
    for repair in (True, False):
        steps = {"do": "prune", "repair": repair}, {"do": "distil", "losses": {"ce": 1.0}}
        long = Training(epochs=100, learning_rate=0.1)
        state = take(*steps, pruned=lambda network, share: prune(network, LESS), teacher=long)
        assert (state.cut is None) is state.brought[-1].kept
        rates.append(state.record.trained_by[0].learning_rate)
    assert rates[0] == rates[1]
    assert 0.01 < rates[0] < 0.1
