"""Networks of other widths are timed layer by layer, beside the reference."""

import random

import pytest
from simulated import all_layers, each_layer

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.errors import PruningProcessError
from edgekd.gate import budget as budgets
from edgekd.pipeline.candidates import NetworkCandidates
from edgekd.pipeline.deploy import baseline
from edgekd.pipeline.deployment import deployment
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.prunable import Pruner
from edgekd.pipeline.traced import made_sooner
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.search._random import structures
from edgekd.search._table import learned
from edgekd.store import Store
from edgekd.values import Pruning, Recipe, Structure, Variant
from edgekd.zoo import networks

FP32 = "onnxruntime-fp32"


@pytest.fixture
def candidates(tmp_path, simulated, one_runtime):
    """A resnet8 with random weights on a device whose time is in proportion to the products."""
    settings = {"model": "resnet8", "data": "digits", "target": "x86-cpu", "budget": "half-latency"}
    recipe, target, data = Recipe(**settings), catalog.target(str(one_runtime)), load_dataset("digits")
    architecture = networks.architecture("resnet8", classes=10, shape=data.train.shape)
    network = networks.save(
        networks.untrained(architecture, 0), tmp_path / "weights.safetensors", architecture, origin="given"
    )
    goal = Goal(
        budgets.load("half-latency"), target, simulated(latency_ms=all_layers, nodes=each_layer), recipe.measure
    )
    run = Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())
    variants = tuple(variant for variant in target.variants if variant.name == FP32)
    how = deployment(recipe, target, data, variants=variants)
    pruner = Pruner(run, data, Pruning(criterion="bn_taylor"), target.channel_block)
    with run.resources:
        original = baseline(run, network, how)
        yield NetworkCandidates(network, pruner, goal, how, original)


def test_every_layer_is_found_in_the_trace_and_the_table_predicts_others(candidates):
    space = candidates.space
    networks = candidates.traced(structures(space, 14), FP32)
    assert len(networks) == 14
    assert networks[0].structure.is_whole
    assert networks[0].clock_us == 1.0  # ONNX Runtime's
    assert networks[0].latency == pytest.approx(1.0)
    names = {layer.name for layer in space.layers}
    assert all(set(network.layers) == names for network in networks)
    assert sum(networks[0].layers.values()) == pytest.approx(1.0, rel=0.1)
    table = learned(space, networks)
    assert table.worst_error < 0.03
    (other,) = candidates.traced((Structure(widths={space.groups[0].root: 8}),), FP32)
    assert table.latency(other.structure) == pytest.approx(other.latency, rel=0.03)


def test_losses_are_of_recalibrated_networks_and_what_cannot_be_pruned_has_none(candidates):
    root = candidates.space.groups[0].root
    whole, narrow, odd = candidates.losses(
        [Structure(), Structure(widths={root: 8}), Structure(removed=("stages.1.0",))]
    )
    assert whole == pytest.approx(2.3, abs=1.0)  # random weights guess among ten classes
    assert narrow != whole
    assert odd is None
    assert candidates.losses([Structure()]) == (whole,)
    drawn = random.Random(0)
    same = Structure(widths={root: drawn.choice([8])})
    assert candidates.losses([same]) == (narrow,)


def test_a_network_that_the_process_fails_at_is_left_out_and_the_run_says_so(candidates, monkeypatch):
    told, pruned = [], Pruner.pruned

    def fails(self, network, structure):
        if structure.is_whole:
            return pruned(self, network, structure)
        raise PruningProcessError("resnet8 can't be pruned in 600 s")

    monkeypatch.setattr(Pruner, "pruned", fails)
    monkeypatch.setattr(Silent, "warn", lambda self, text: told.append(text))
    (whole,) = candidates.traced(structures(candidates.space, 2), FP32)
    assert whole.structure.is_whole
    assert told == ["table: one network less to learn from: resnet8 can't be pruned in 600 s"]


def test_a_variant_that_a_library_quantises_is_timed_by_one_that_is_made_sooner():
    def variant(precision, **settings):
        return Variant(runtime="openvino", precision=precision, settings=settings)

    target = (variant("fp32"), variant("int8-u8s8", threads=2), variant("int8-u8s8"), variant("int8"))
    assert made_sooner(variant("int8"), target) == variant("int8-u8s8")
    assert made_sooner(variant("int8", threads=2), target) == variant("int8-u8s8", threads=2)
    assert made_sooner(variant("int8"), target[:1]) == variant("int8")
    assert made_sooner(variant("fp32"), target) == variant("fp32")
