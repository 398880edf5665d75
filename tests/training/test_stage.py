"""A training as a stage: what it comes to is decided by its inputs, all of which are in its key."""

import re
from contextlib import contextmanager
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
import torch

from edgekd.data.fixed_images import sample_images
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store, key_of
from edgekd.training import stage
from edgekd.training.engine import train
from edgekd.training.evaluate import evaluate
from edgekd.training.int8 import rounded
from edgekd.training.objective import build_objective
from edgekd.training.schedule import Part
from edgekd.training.setup import Means, Setup
from edgekd.training.stage import Simulation, TrainingInputs, as_named, train_network, two_images
from edgekd.training.step import run_step
from edgekd.training.supervision import Supervision, Teacher
from edgekd.values import Recovery, Training
from edgekd.values.losses import LABELS_ALONE
from edgekd.values.rounding import Rounding
from edgekd.values.training import Execution
from edgekd.zoo import networks

SHAPE = (1, 16, 16)
PINNED = {
    "epochs": 1,
    "learning_rate": 0.1,
    "batch_size": 50,
    "precision": "fp32",
    "memory_format": "contiguous",
    "threads": 1,
}
LABELS = Training(**PINNED, compiled=False)
KD = Recovery(**PINNED, compiled=False, teacher_precision="fp32", losses={"kd": {"weight": 1.0}})

INT8 = Simulation(16, Rounding(additions="all"), learned=True)


@pytest.fixture
def run(tmp_path):
    return Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())


@pytest.fixture
def network(tmp_path):
    def make(seed=0):
        known = networks.architecture("resnet8", classes=10, shape=SHAPE)
        path = tmp_path / f"{seed}.safetensors"
        return networks.save(networks.untrained(known, seed), path, known, origin="random")

    return make


def weights(network):
    return flat(networks.load(network))


def flat(model):
    """All its numbers, in the order of their names: rounding a layer puts its weight behind its bias."""
    return torch.cat([value.flatten() for _, value in sorted(model.state_dict().items())])


def by_hand(inputs, folder):
    """What the engine makes of the inputs without a stage."""
    model = networks.load(inputs.network)
    objective = build_objective(LABELS_ALONE, model, None, two_images(SHAPE), seed=inputs.seed)
    setup = Setup(model, objective, inputs.data, inputs.settings, inputs.seed)
    train(setup, Execution(threads=1), Means(folder / "by-hand.pt", Silent()))
    return flat(model)


def test_it_is_the_engines_training_with_its_record(run, network, few_digits, tmp_path):
    inputs = TrainingInputs(network(), LABELS, few_digits, seed=3)
    trained = run.stage("recover", inputs, train_network)
    assert torch.equal(weights(trained), by_hand(inputs, tmp_path))
    assert (trained.origin, trained.training.epochs, trained.training.best_epoch) == ("trained", 1, 1)
    assert trained.accuracy.split == "val"
    assert trained.accuracy.dataset == "digits"
    ((epoch,),) = trained.training.history
    assert (epoch.validation, epoch.kept) == (trained.accuracy.top1, True)
    assert not list(trained.weights.path.parent.glob("*.pt"))


def test_what_other_stages_opened_is_closed_before_it_needs_the_memory(run, network, few_digits):
    log = []
    with run.resources:
        run.resources.get("child", lambda: closing(log))
        run.stage("recover", TrainingInputs(network(), LABELS, few_digits, seed=3), train_network)
        assert log == ["closed"]


@contextmanager
def closing(log):
    yield
    log.append("closed")


def test_images_that_are_called_otherwise_now_are_named_so(run, network, few_digits):
    inputs = TrainingInputs(network(), LABELS, few_digits, seed=3)
    trained = run.stage("recover", inputs, train_network)
    renamed = replace(few_digits, name="other")
    found = run.stage("recover", replace(inputs, data=renamed), train_network)
    assert found == trained
    assert as_named(found, renamed).accuracy.dataset == "other"


def test_all_its_inputs_are_in_the_key(network, few_digits):
    inputs = TrainingInputs(network(), KD, few_digits, seed=3, supervision=Supervision((Teacher(network(1)),)))
    changed = {
        "network": network(2),
        "settings": KD.model_copy(update={"losses": {"dkd": {}}}),
        "data": replace(few_digits, fingerprint="other"),
        "seed": 4,
        "supervision": Supervision((Teacher(network(1)), Teacher(network(2), 2.0))),
        "int8": INT8,
        "frozen": 7,
        "ranks": 2,
        "part": Part(3),
    }
    assert set(changed) == {field.name for field in fields(TrainingInputs)}
    keys = [str(key_of(replace(inputs, **{name: value}))) for name, value in changed.items()]
    assert len({str(key_of(inputs)), *keys}) == 1 + len(changed)


def test_the_key_of_a_finished_training_stays_what_it_was(network, few_digits):
    """A field that is renamed, added or left out would have every teacher that is stored trained again."""
    trained = network()
    settings = {**PINNED, "momentum": 0.9, "weight_decay": 5e-4, "warmup": 0.15, "convolutions": "auto"}
    expected = {
        "network": [trained.architecture.identity, None, trained.weights.sha256, False, {}],
        "settings": {**settings, "compiled": False},
        "data": few_digits.key(),
        "seed": 3,
        "supervision": None,
        "int8": None,
        "frozen": 0,
        "ranks": 1,
        "part": {"steps": 4, "views": 1},
    }
    assert key_of(TrainingInputs(trained, LABELS, few_digits, seed=3, part=Part(4, views=1))) == expected


def test_the_weights_of_the_teachers_decide_what_is_learned(run, network, few_digits):
    def learned(*weight):
        teachers = tuple(Teacher(network(seed), each) for seed, each in zip((1, 2), weight, strict=True))
        inputs = TrainingInputs(network(), KD, few_digits, seed=3, supervision=Supervision(teachers))
        return weights(run.stage("recover", inputs, train_network))

    assert not torch.equal(learned(9.0, 1.0), learned(1.0, 9.0))


def test_a_training_that_rounds_sees_what_int8_does(run, network, few_digits, tmp_path):
    inputs = TrainingInputs(network(), LABELS, few_digits, seed=3, int8=INT8)
    trained = run.stage("recover", inputs, train_network)
    model = networks.load(inputs.network)
    images = torch.from_numpy(sample_images(few_digits.train, 16))
    with rounded(model, images, INT8.rounding, learned=True) as simulated:
        objective = build_objective(LABELS_ALONE, model, None, two_images(SHAPE), seed=3)
        setup = Setup(model, objective, few_digits, LABELS, seed=3)
        train(setup, Execution(threads=1), Means(tmp_path / "by-hand.pt", Silent()))
        ranges = simulated.ranges()
    assert torch.equal(weights(trained), flat(model))
    assert trained.ranges == ranges
    assert not torch.equal(weights(trained), by_hand(inputs, tmp_path))


def test_single_weights_that_were_pruned_stay_zero(run, network, few_digits, tmp_path):
    model = networks.untrained(network().architecture, 0)
    with torch.no_grad():
        for weight in (p for p in model.parameters() if p.ndim > 1):
            weight.masked_fill_(torch.rand_like(weight) < 0.5, 0)
    path = tmp_path / "sparse.safetensors"
    sparse = networks.save(model, path, network().architecture, origin="pruned", sparse=True)
    trained = run.stage("recover", TrainingInputs(sparse, LABELS, few_digits, seed=3), train_network)
    assert trained.sparse
    found = networks.load(trained).state_dict()
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            assert torch.equal(found[name] == 0, weight == 0)
            assert not torch.equal(found[name], weight)


FROZEN = """
from torch import nn

def make(classes, channels):
    head = nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, classes)
    net = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU(), *head)
    net[0].requires_grad_(False)
    return net
"""


def test_what_the_factory_froze_trains_unless_it_is_to_stay(run, few_digits, tmp_path, monkeypatch):
    (tmp_path / "frozen_net.py").write_text(FROZEN)
    monkeypatch.syspath_prepend(tmp_path)
    known = networks.architecture("frozen_net:make", classes=10, shape=SHAPE)
    first = networks.save(networks.untrained(known, 0), tmp_path / "first.safetensors", known, origin="random")
    before = networks.load(first)[0].weight
    for frozen in (0, 80):
        inputs = TrainingInputs(first, LABELS, few_digits, seed=3, frozen=frozen)
        after = networks.load(run.stage("recover", inputs, train_network))[0].weight
        assert torch.equal(after, before) == (frozen > 0)


def test_interrupted_between_its_last_step_and_its_result_it_is_not_trained_again(
    run, network, few_digits, monkeypatch
):
    inputs, steps = TrainingInputs(network(), LABELS, few_digits, seed=3), []
    monkeypatch.setattr("edgekd.training.epoch.run_step", lambda *given: steps.append(1) or run_step(*given))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "saved_from", pressing_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run.stage("recover", inputs, train_network)
    assert len(steps) == 4
    trained = run.stage("recover", inputs, train_network)
    assert len(steps) == 4
    assert not list(trained.weights.path.parent.glob("*.pt"))


def pressing_ctrl_c(*given, **more):
    raise KeyboardInterrupt


BF16 = LABELS.model_copy(update={"precision": "bf16", "convolutions": "native"})


@pytest.mark.parametrize("int8", [None, INT8])
def test_its_accuracy_is_that_of_fp32_and_of_rounding_alone_where_int8_is_simulated(
    run, network, few_digits, monkeypatch, int8
):
    def worse(model, images, *, execution):
        score = evaluate(model, images, execution=execution)
        return score.model_copy(update={"correct": 0}) if execution.precision == "bf16" else score

    monkeypatch.setattr("edgekd.training.epoch.evaluate", worse)  # as far as an accuracy can differ
    inputs = TrainingInputs(network(), BF16.model_copy(update={"epochs": 3}), few_digits, seed=3, int8=int8)
    trained = run.stage("recover", inputs, train_network)
    assert trained.training.execution.precision == "bf16"
    assert {epoch.validation for epoch in trained.training.history[0]} == {0.0}
    expected = 0 if int8 else evaluate(networks.load(trained), few_digits.val).correct
    assert trained.accuracy.correct == expected
    assert int8 or expected > 0


@pytest.fixture
def tracked(run, tmp_path, monkeypatch, listener):
    """A run whose trackers fail where they are told to, what is told of it, and what they were asked."""
    asked = []

    def start(fails):
        def ask(what):
            asked.append(what)
            if what in fails:
                raise ConnectionError("the server\nhas gone")

        tracker = SimpleNamespace(epoch=lambda number, values: ask(f"epoch {number}"), close=lambda: ask("close"))
        module = SimpleNamespace(begin=lambda *given: tracker)
        monkeypatch.setattr(stage, "catalog", SimpleNamespace(load=lambda kind, name: module))
        told = listener()
        return replace(run, tracker="mine", progress=told), told, asked

    return start


@pytest.mark.parametrize(
    ("fails", "asks"),
    [
        ({"epoch 2"}, ["epoch 1", "epoch 2"]),
        ({"close"}, ["epoch 1", "epoch 2", "epoch 3", "close"]),
    ],
)
def test_a_tracker_that_fails_is_told_of_once_and_asked_no_more(tracked, network, few_digits, fails, asks):
    run, told, asked = tracked(fails)
    inputs = TrainingInputs(network(), LABELS.model_copy(update={"epochs": 3}), few_digits, seed=3)
    assert run.stage("recover", inputs, train_network).training.epochs == 3
    assert asked == asks
    (said,) = (note for note in told.notes if "track" in note)
    assert said == "--track mine: ConnectionError: the server: the rest of this training isn't tracked"


def test_only_what_was_timed_is_called_the_fastest(run, network, few_digits, listener):
    stated = {
        "contiguous": r"training in fp32, contiguous",
        "auto": r"training in fp32, \w+: the fastest timed here",
    }
    for memory_format, says in stated.items():
        told, settings = listener(), LABELS.model_copy(update={"memory_format": memory_format})
        inputs = TrainingInputs(network(), settings, few_digits, seed=3)
        replace(run, progress=told).stage("recover", inputs, train_network)
        assert [note for note in told.notes if re.fullmatch(says, note)]
