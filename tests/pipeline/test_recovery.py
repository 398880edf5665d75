"""INT8 that loses too much accuracy is recovered: by layers in floats, else by training with simulated INT8."""

from dataclasses import replace

import pytest
import torch

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.data.memory_images import MemoryImages
from edgekd.gate import budget as budgets
from edgekd.gate.budget import Budget
from edgekd.pipeline import recovery as recovering
from edgekd.pipeline.deploy import Baseline, baseline
from edgekd.pipeline.deployment import deployment
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.prunable import Pruner
from edgekd.pipeline.recovery import Recovery
from edgekd.pipeline.selection import measured_and_selected
from edgekd.pipeline.sparing import Sparing, Student, fewest
from edgekd.pipeline.student import Teaching, trained_in_int8
from edgekd.progress import Silent
from edgekd.recipe import settle
from edgekd.run import Run
from edgekd.steps._task import State
from edgekd.steps._training import train
from edgekd.store import Store
from edgekd.training.supervision import Supervision, Teacher
from edgekd.values import MeasuringProtocol, Quantisation, Recipe, Structure, Variant
from edgekd.values import Recovery as Settings
from edgekd.values.rounding import Rounding
from edgekd.zoo import networks

X86 = catalog.target("x86-cpu")
FP32 = Variant(runtime="onnxruntime", precision="fp32")
INT8 = Variant(runtime="onnxruntime", precision="int8", settings={"exact_integers": True})  # the same on every CPU
TARGET = X86.model_copy(update={"variants": (FP32, INT8)})
PINNED = {"batch_size": 64, "precision": "fp32", "memory_format": "contiguous", "threads": 1, "compiled": False}
SETTINGS = Settings(epochs=4, learning_rate=0.05, teacher_precision="fp32", **PINNED)
RECIPE = Recipe(
    model="resnet8", data="digits", target="x86-cpu", budget="half-latency", recover=SETTINGS, quantize={"images": 64}
)
HURT = {"stage3.0.second.0.weight", "stage3.0.shortcut.0.weight", "head.2.weight"}


@pytest.mark.parametrize("needed", [1, 2, 3, 7, 20, 53])
def test_the_fewest_layers_are_found_with_five_questions(needed):
    asked = []

    def fits(count):
        asked.append(count)
        return count >= needed

    found = fewest(53, fits)
    assert len(asked) <= 5
    assert len({*asked}) == len(asked)
    assert found is None or needed <= found <= max(needed + 1, 1.5 * needed)
    assert (found is None) == (needed == 53)
    assert fewest(3, lambda _: False) is None
    assert fewest(0, lambda _: True) is None


@pytest.fixture(scope="module")
def data():
    found = load_dataset("digits")
    assert isinstance(found.train, MemoryImages)
    return found


@pytest.fixture(scope="module")
def learned(data, tmp_path_factory):
    """A trained network."""
    folder = tmp_path_factory.mktemp("learned")
    run = Run(store=Store(folder / "run"), shared=Store(folder / "shared"), progress=Silent())
    architecture = networks.architecture("resnet8", classes=10, shape=data.train.shape)
    start = networks.save(networks.untrained(architecture, 0), folder / "w.safetensors", architecture, origin="random")
    teaching = teaching_of(run, data, start)
    settings = SETTINGS.model_copy(update={"losses": {"ce": {"weight": 1.0}}})
    return train(settings, State(start), teaching.task(start, Structure()), "distil").network


@pytest.fixture(scope="module")
def hurt(learned, tmp_path_factory):
    """The same, but its last features differ by a factor of thousands, which their shared range doesn't survive; the
    linear layer makes up for it, so that in floats nothing is lost.
    """
    model = networks.load(learned)
    with torch.no_grad():
        factors = torch.logspace(-4, 0, len(model.get_submodule("stage3.0.second.1").weight))
        for name in ("stage3.0.second.1", "stage3.0.shortcut.1"):
            for value in (model.get_submodule(name).weight, model.get_submodule(name).bias):
                value.mul_(factors)
        model.get_submodule("head.2").weight.div_(factors)
    path = tmp_path_factory.mktemp("hurt") / "w.safetensors"
    return networks.save(model, path, learned.architecture, origin="trained")


def teaching_of(run, data, network, recipe=RECIPE):
    pruner = Pruner(run, data, recipe.prune, 8)
    settled = settle(recipe, (len(data.train), *data.train.shape))
    return Teaching(settled, Supervision((Teacher(network),)), pruner, Rounding(additions="all"))


@pytest.fixture
def recovery_of(data, tmp_path):
    """A recovery, without a device if none is given, and the network's artifacts before it."""

    def make(network, recipe=RECIPE, device=None):
        run = Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())
        how = deployment(recipe, TARGET, data, variants=(FP32, INT8))
        goal = Goal(budgets.load("half-latency"), TARGET, device, MeasuringProtocol(launches=2))
        original: Baseline = baseline(run, network, how, goal)
        recovery = Recovery(teaching_of(run, data, network, recipe), Sparing(run, goal, how), original.reference)
        selection = measured_and_selected(run, goal, original.reference, original.deployed)
        return recovery, Student("baseline", network, original.deployed, selection)

    return make


def test_the_layers_that_int8_costs_most_stay_in_floats_until_the_accuracy_is_kept(recovery_of, hurt):
    recovery, before = recovery_of(hurt)
    assert before.selection.usable == {"onnxruntime-fp32"}
    after = recovery.recovered(before)
    (record,) = after.recovered
    assert (record.name, record.way, record.kept) == (INT8.name, "layers in floats", True)
    assert record.float_layers
    assert {*record.float_layers} <= HURT
    assert after.selection.usable == {"onnxruntime-fp32", INT8.name}
    assert after.deployed.of(INT8).accuracy == record.after
    assert record.after.top1 > record.before.top1 if record.before else INT8 in before.deployed.inexact
    assert INT8 not in after.deployed.inexact
    assert not any(gone.name == f"baseline-{INT8.name}" for gone in after.deployed.dropped)
    assert recovery.recovered(before) == after
    assert f"{INT8.name}: validation accuracy" in record.told()


def test_without_the_setting_nothing_is_recovered(recovery_of, hurt):
    recovery, before = recovery_of(hurt, RECIPE.model_copy(update={"quantize": Quantisation(images=64, recover=False)}))
    assert recovery.recovered(before) is before


def test_where_layers_in_floats_are_not_enough_the_network_is_trained_in_int8(recovery_of, learned, monkeypatch):
    """The training is real, and so are its files; what is enough is decided here."""

    def keeps(budget, reference, checked):
        return checked.artifact.precision == "fp32" or checked.artifact.name.startswith("baseline-qat-")

    recovery, before = recovery_of(learned)
    monkeypatch.setattr(recovering, "keeps_accuracy", keeps)
    monkeypatch.setattr(Sparing, "spared", lambda *_: (("head.2.weight",), ()))
    after = recovery.recovered(before)
    spared, trained = after.recovered
    assert (spared.way, spared.kept, spared.after) == ("layers in floats", False, None)
    assert (trained.way, trained.kept, trained.epochs) == ("training", True, 1)
    network = after.others[INT8.name]
    assert network.ranges
    assert network.training.epochs == 1
    assert network.weights != before.network.weights
    assert after.deployed.of(INT8).artifact.lineage.network.weights == network.weights.sha256
    chosen = replace(
        after, selection=replace(after.selection, choice=after.selection.choice.model_copy(update={"variant": INT8}))
    )
    assert chosen.chosen == network
    assert replace(chosen, others={}).chosen == before.network


def test_a_training_in_int8_is_at_a_tenth_of_a_rate_that_did_not_diverge(recovery_of, learned):
    recovery, _ = recovery_of(learned)
    lowered = learned.training.model_copy(update={"learning_rate": 0.002})
    for record, rate in ((learned.training, 0.005), (lowered, 0.0002)):
        trained = trained_in_int8(recovery.teaching, learned.model_copy(update={"training": record})).training
        assert trained.trained_by[-1].learning_rate == pytest.approx(rate)
        assert trained.seconds > record.seconds


def test_a_network_that_loses_too_much_in_floats_is_not_recovered_in_int8(recovery_of, learned, monkeypatch):
    recovery, before = recovery_of(learned)
    said = []
    monkeypatch.setattr(Silent, "note", lambda self, text: said.append(text))
    monkeypatch.setattr(recovering, "keeps_accuracy", lambda *_: False)
    assert recovery.recovered(before) is before
    (why,) = said
    assert "in floats the network already loses more" in why
    assert "--epochs" in why


def test_a_file_of_one_layer_in_integers_has_none_to_leave_in_floats(recovery_of, learned, monkeypatch):
    recovery, before = recovery_of(learned)
    monkeypatch.setattr(recovering, "keeps_accuracy", lambda budget, reference, one: one.artifact.precision == "fp32")
    monkeypatch.setattr(Sparing, "spared", lambda *_: ((), ()))
    monkeypatch.setattr(Recovery, "_trained", lambda self, student, rounding, variants: student)
    assert recovery.recovered(before).recovered == ()


@pytest.mark.parametrize("case", [(0.8, True), (0.6, False)])
def test_what_is_slower_even_in_integers_than_a_file_with_layers_in_floats_is_not_trained(
    recovery_of, learned, simulated, monkeypatch, case
):
    """INT8 takes 0.7 of the time; another file, with layers in floats, takes what the case says."""
    other, trains = case
    recovery, before = recovery_of(learned, device=simulated(int8=0.7))
    asked = []

    def selected(self, student):
        """As if another variant were chosen that keeps the accuracy."""
        choice = student.selection.choice.model_copy(update={"variant": FP32})
        return replace(student, selection=replace(student.selection, choice=choice))

    real = Recovery._standing
    monkeypatch.setattr(Recovery, "_standing", lambda self, of, v: (1, 0, other) if v == FP32 else real(self, of, v))
    monkeypatch.setattr(Recovery, "_selected", selected)
    monkeypatch.setattr(recovering, "keeps_accuracy", lambda budget, reference, one: one.artifact.precision == "fp32")
    monkeypatch.setattr(Sparing, "spared", lambda *_: (("head.2.weight",), ()))
    monkeypatch.setattr(Recovery, "_trained", lambda self, student, _, variants: asked.append(variants) or student)
    recovery.recovered(before)
    assert asked == ([[INT8]] if trains else [])


@pytest.mark.parametrize("case", [(1.05, True), (1.2, False)])
def test_what_is_inexact_is_recovered_only_where_it_raced_about_as_fast(recovery_of, learned, monkeypatch, case):
    raced, asks = case
    recovery, before = recovery_of(learned)
    deployed = before.deployed.model_copy(
        update={
            "artifacts": tuple(one for one in before.deployed.artifacts if one.artifact.variant == FP32),
            "inexact": (INT8,),
            "raced": {FP32.name: 1.0, INT8.name: raced},
        }
    )
    choice = before.selection.choice.model_copy(update={"variant": FP32})
    asked = []
    monkeypatch.setattr(Sparing, "spared", lambda _, student, variants, keeps: asked.append(variants) or ((), ()))
    monkeypatch.setattr(Recovery, "_trained", lambda self, student, rounding, variants: student)
    after = recovery.recovered(replace(before, deployed=deployed, selection=replace(before.selection, choice=choice)))
    assert asked == ([[INT8]] if asks else [])
    assert after.deployed.raced == deployed.raced


@pytest.mark.parametrize("case", [(0.6, 10**9, True), (1.2, 10**9, False), (1.2, 150_000, True)])
def test_on_a_device_only_what_would_be_better_than_what_keeps_the_accuracy_is_recovered(
    recovery_of, learned, simulated, monkeypatch, case
):
    """Its latency in INT8, the bytes that are allowed, and whether it is recovered."""
    int8, most, asks = case

    def keeps(budget, reference, checked):
        return checked.artifact.precision == "fp32"

    asked = []
    recovery, before = recovery_of(learned, device=simulated(int8=int8))
    limited = Budget.model_validate({"name": "b", "latency": {"max_ratio": 4}, "size": {"disk_bytes": most}})
    recovery = replace(recovery, sparing=replace(recovery.sparing, goal=replace(recovery.sparing.goal, budget=limited)))
    assert before.deployed.of(INT8).artifact.disk_bytes < 150_000 < before.deployed.of(FP32).artifact.disk_bytes
    monkeypatch.setattr(recovering, "keeps_accuracy", keeps)
    monkeypatch.setattr(Sparing, "spared", lambda _, student, variants, fits: asked.append(variants) or ((), ()))
    monkeypatch.setattr(Recovery, "_trained", lambda self, student, rounding, variants: student)
    chosen = before.selection.choice.model_copy(update={"variant": FP32})
    before = replace(before, selection=replace(before.selection, choice=chosen))
    recovery.recovered(before)
    assert asked == ([[INT8]] if asks else [])
