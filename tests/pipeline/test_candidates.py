"""What a search finds out about a network, by the process that prunes it and a simulated device."""

from dataclasses import replace
from types import SimpleNamespace

import onnx
import pytest
from simulated import by_weights, exactly

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.deploy.check import Tolerance
from edgekd.deploy.quantise.layers import named
from edgekd.deploy.writers import onnxruntime as writer
from edgekd.errors import NoDeviceError, PruningProcessError
from edgekd.gate import budget as budgets
from edgekd.pipeline import candidates
from edgekd.pipeline.candidates import NetworkCandidates
from edgekd.pipeline.deploy import baseline
from edgekd.pipeline.deployment import deployment
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.graph import export_one
from edgekd.pipeline.prunable import Pruner
from edgekd.progress import Silent
from edgekd.pruning import stages
from edgekd.run import Run
from edgekd.store import Store
from edgekd.values import Proposal, Pruning, Recipe, Structure, Variant
from edgekd.zoo import networks

WITHOUT = Proposal(structure=Structure(removed=("stage5",)), what="1 of 5 blocks")
FP32, INT8, PARTIAL = "onnxruntime-fp32", "onnxruntime-int8", "onnxruntime-int8-partial"


@pytest.fixture
def vgg8(tmp_path, simulated, one_runtime):
    """A vgg8 with random weights, whose only block that can go holds 2.4 of its 3.9 million, on a device whose time is
    in proportion to the weights.
    """
    settings = {"model": "vgg8", "data": "digits", "target": "x86-cpu", "budget": "half-latency"}
    recipe, target, data = Recipe(**settings), catalog.target(str(one_runtime)), load_dataset("digits")
    architecture = networks.architecture("vgg8", classes=10, shape=data.train.shape)
    network = networks.save(
        networks.untrained(architecture, 0), tmp_path / "weights.safetensors", architecture, origin="given"
    )
    goal = Goal(budgets.load("half-latency"), target, simulated(int8=0.5), recipe.measure)
    run = Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())
    pruner = Pruner(run, data, Pruning(criterion="latency"), target.channel_block)
    with run.resources:
        yield NetworkCandidates(network, pruner, goal, deployment(recipe, target, data), margin=recipe.search.margin)


@pytest.mark.slow
def test_what_is_left_is_of_the_unpruned_network_and_the_block_that_saves_time_goes_first(vgg8, monkeypatch):
    left = vgg8.left(WITHOUT.structure, ["parameters", "macs", "transfer_bytes"])
    assert left["parameters"] == pytest.approx(0.39, abs=0.01)
    assert 0.3 < left["transfer_bytes"] < 0.5
    assert left["macs"] < 1
    found = vgg8.scores()
    assert found.blocks.keys() == {"stage5"}
    assert found.blocks["stage5"] < 0
    # and all of it is known to a later start
    vgg8.pruner.run.resources.close()
    monkeypatch.setattr(stages, "PruningProcesses", None)
    assert replace(vgg8).scores() == found


def test_what_a_block_saves_is_told_by_what_took_turns_with_the_whole_network(vgg8, simulated, monkeypatch):
    """Sessions and groups follow one another, and a shared machine is faster in some than in others."""
    device = simulated()

    def slower():
        speed = 1.0 + device.finished
        return lambda ms, seconds: exactly(ms * speed, seconds)

    device.timing = slower
    monkeypatch.setattr(candidates, "_AT_ONCE", 4)
    own = replace(vgg8, goal=replace(vgg8.goal, device=device))
    names = tuple(f"block{number}" for number in range(9))
    monkeypatch.setattr(NetworkCandidates, "space", SimpleNamespace(removable=names))
    whole, without = (vgg8._shortened(structure) for structure in (Structure(), WITHOUT.structure))
    monkeypatch.setattr(
        NetworkCandidates, "_shortened", lambda self, structure: without if structure.removed else whole
    )
    saved = own._saved_ms()
    assert saved.keys() == set(names)
    assert [*saved.values()] == pytest.approx([saved["block0"]] * 9)
    assert saved["block0"] > 0


def test_without_a_device_there_are_no_latencies_of_blocks(vgg8):
    own = replace(vgg8, goal=replace(vgg8.goal, device=None))
    with pytest.raises(NoDeviceError, match="no device") as e:
        own.scores()
    assert "position" in e.value.hint


@pytest.mark.slow
def test_a_candidate_is_measured_in_the_variants_that_the_original_passed_in(vgg8, monkeypatch):
    """INT8 would take half of fp32's time; where the original's failed its check, nothing counts on it."""
    nothing = {"tolerance": Tolerance(sqnr_db=-300, top1_agreement=0)}
    lenient = {name: precision.model_copy(update=nothing) for name, precision in writer.precisions.items()}
    monkeypatch.setattr(writer, "precisions", lenient)
    both = baseline(vgg8.pruner.run, vgg8.network, vgg8.how)
    alone = replace(both, deployed=both.deployed.model_copy(update={"artifacts": (both.reference,)}))
    counted, dropped = (replace(vgg8, baseline=each).measure(WITHOUT) for each in (both, alone))
    assert [each.variant for each in counted.latencies] == [FP32, INT8]
    assert INT8 in counted.fits({FP32, INT8})
    assert [each.variant for each in dropped.latencies] == [FP32]


@pytest.mark.slow
@pytest.mark.parametrize(("times", "counts"), [(0.9, True), (1.01, False), (1.3, False)])
def test_a_choice_of_layers_counts_only_where_it_is_faster_than_all_in_integers(vgg8, simulated, times, counts):
    """A trained student's file with some layers in integers is left out where it isn't; the original's is there."""
    floats = export_one(vgg8.pruner.run, "floats", vgg8.network, vgg8.how)
    layers = {"onnxruntime": tuple(named(onnx.load(floats.path).graph))[:1]}
    original = baseline(vgg8.pruner.run, vgg8.network, replace(vgg8.how, layers=layers))
    original = replace(original, deployed=original.deployed.model_copy(update={"layers": layers}))
    assert {INT8, PARTIAL} <= original.deployed.variants
    device = simulated(lambda path: by_weights(path, int8=0.5 * (times if "partial" in path.name else 1.0)))
    own = replace(vgg8, goal=replace(vgg8.goal, device=device), baseline=original)
    assert own.measure(WITHOUT).fits({INT8, PARTIAL}) == ((INT8, PARTIAL) if counts else (INT8,))
    assert own.integers == {INT8, PARTIAL}
    unpruned = own.measure(Proposal(structure=Structure(), what="nothing"))
    assert [each.variant for each in unpruned.latencies] == [FP32, INT8, PARTIAL]


@pytest.mark.slow
def test_where_variants_dropped_out_the_ones_that_are_left_lead(vgg8):
    """A candidate that was measured in others alone says nothing about them."""
    original = baseline(vgg8.pruner.run, vgg8.network, vgg8.how)
    raced = {FP32: 1.0, INT8: 0.5}
    original = replace(original, deployed=original.deployed.model_copy(update={"raced": raced}))
    both = replace(vgg8, baseline=original)
    left = both.counting({FP32})
    assert [each.variant for each in left.measure(WITHOUT).latencies] == [FP32]
    found = both.measure(WITHOUT)
    assert [each.variant for each in found.latencies] == [FP32, INT8]
    assert left.has_all(found)
    alone = found.model_copy(update={"latencies": found.latencies[1:]})
    assert not left.has_all(alone)


def test_blocks_stay_where_the_process_that_tells_them_ended_and_the_run_says_so(vgg8, monkeypatch):
    told, own = [], replace(vgg8, pruner=replace(vgg8.pruner, settings=Pruning(criterion="l1")))
    whole = own.space

    def space(self, network, *kinds):
        if "blocks" in kinds:
            raise PruningProcessError("vgg8 can't be pruned in 600 s")
        return whole

    monkeypatch.setattr(Pruner, "space", space)
    monkeypatch.setattr(Silent, "warn", lambda self, text: told.append(text))
    assert replace(own).space == whole
    assert told == ["plan: no block is left out, since which can be isn't known: vgg8 can't be pruned in 600 s"]


@pytest.mark.slow
def test_a_candidate_computes_the_layers_in_integers_that_were_chosen_for_the_original(vgg8, monkeypatch):
    exported, asked = candidates.export, []

    def export(run, name, network, how):
        asked.append(how)
        return exported(run, name, network, how)

    monkeypatch.setattr(candidates, "export", export)
    original = baseline(vgg8.pruner.run, vgg8.network, vgg8.how)
    layers = {"onnxruntime": tuple(named(onnx.load(original.reference.artifact.path).graph))[:1]}
    variant = Variant(runtime="onnxruntime", precision="int8-partial")
    artifact = original.reference.artifact.model_copy(update={"variant": variant})
    artifacts = (original.reference, original.reference.model_copy(update={"artifact": artifact}))
    deployed = original.deployed.model_copy(update={"artifacts": artifacts, "layers": layers})
    found = replace(vgg8, baseline=replace(original, deployed=deployed)).measure(WITHOUT)
    assert [how.layers for how in asked] == [layers]
    assert [each.variant for each in found.latencies] == [FP32, PARTIAL]
