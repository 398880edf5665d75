"""What a table predicts: its layers' widths are those of the pruned network, its errors those of other networks."""

import math

import pytest
import torch
from torch import nn

from edgekd.pruning.apply import apply
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.explore import space_of as explored
from edgekd.pruning.graph import inputs_of, outputs_of
from edgekd.search._random import structures
from edgekd.search._table import Table, learned
from edgekd.values import Structure
from edgekd.values.plan import TracedNetwork
from edgekd.zoo.build import build
from tests.search.tabled import TabledBench, space_of

SPECS = [
    "mobilenet_v1:width=0.25,blocks512=2",  # blocks whose input and output are other groups
    "mobilenet_v2:width=0.25",
    "resnet14",
    "vgg11",
    "densenet_bc40",  # blocks that add channels
    "efficientnet_b0:width=0.25,depth=0.3",
]


@pytest.mark.parametrize("spec", SPECS)
def test_widths_of_layers_are_those_of_the_pruned_network_without_blocks_too(spec):
    torch.manual_seed(0)
    model, example = build(spec, classes=10, channels=1).eval(), torch.randn(1, 1, 28, 28)
    space = explored(model, example, channel_block=8, kinds=["channels", "blocks"])
    table = Table(space, "fp32", {}, 0.0, 0.0, 0.0)
    criterion, options = criterion_of("l1", {})
    subject = Subject(model, example, torch.empty(0, 1, 28, 28), torch.empty(0, dtype=torch.int64), options)
    found = structures(space, 12)
    assert len(found) == 12
    assert any(each.removed for each in found)
    for structure in found:
        pruned = apply(subject, structure, criterion).model
        layers = {n: one for n, one in pruned.named_modules() if isinstance(one, (nn.Conv2d, nn.Linear))}
        left, widths = table.left(structure.removed), table.widths(structure)
        assert {each.name for each in left} == set(layers)
        for each in left:
            own = layers[each.name]
            assert space.widths_of(each, widths) == (inputs_of(own), outputs_of(own)), each.name


def test_layers_of_one_kind_are_those_that_take_equally_long():
    model = build("resnet14", classes=10, channels=1).eval()
    space = explored(model, torch.randn(1, 1, 28, 28), channel_block=8, kinds=["channels"])
    kinds = {each.name: each.kind for each in space.layers}
    inner = [name for name, kind in kinds.items() if kind == "Conv2d dense kernel 3x3 stride 1x1 dilation 1x1 to 14x14"]
    assert len(inner) == 3
    sizes = {each.positions for each in space.layers if each.name in inner}
    assert sizes == {196}
    assert not any(each.depthwise for each in space.layers)
    other = build("mobilenet_v1:width=0.25", classes=10, channels=1).eval()
    found = explored(other, torch.randn(1, 1, 28, 28), channel_block=8, kinds=["channels"]).layers
    assert {each.depthwise for each in found if "depthwise" in each.kind} == {True}


def test_errors_are_those_of_networks_that_were_held_back():
    bench = TabledBench(noise=0.03)
    networks = bench.traced(structures(bench.space, 30), "fp32")
    found = learned(bench.space, networks)
    assert len(found.errors) == 30
    assert 0 < found.typical_error < 0.06
    odd = [*networks[:4], networks[4].model_copy(update={"latency": 2 * networks[4].latency}), *networks[5:]]
    assert learned(bench.space, odd).worst_error == pytest.approx(0.5, abs=0.1)


def test_what_tracing_adds_to_each_layer_is_learned_from_whole_networks():
    bench = TabledBench(overhead=0.05)
    found = learned(bench.space, bench.traced(structures(bench.space, 30), "fp32"))
    for structure in structures(bench.space, 10, seed=1):
        assert found.latency(structure) == pytest.approx(bench.ratio(structure), rel=0.01)


def test_a_layer_that_is_not_traced_counts_by_what_it_gives():
    bench = TabledBench()

    def without_b(network: TracedNetwork) -> TracedNetwork:
        return network.model_copy(update={"layers": {n: ms for n, ms in network.layers.items() if n != "b"}})

    whole = bench.traced(structures(bench.space, 30), "fp32")
    found = learned(bench.space, [without_b(network) for network in whole])
    # those of its kind still say what it takes
    assert found.typical_error < 0.05


def test_the_first_random_structure_is_the_network_itself_and_all_differ():
    found = structures(space_of(), 40)
    assert found[0].is_whole
    assert len({each.model_dump_json() for each in found}) == len(found) == 40
    assert structures(space_of(), 40) == found
    widths = [each.widths.get("b", 96) for each in found]
    assert min(widths) == 8
    assert max(widths) == 96
    shares = sorted(
        sum(TabledBench().space.widths_of(one, each.widths)[1] for one in space_of().layers) for each in found
    )
    assert shares[0] < 0.4 * shares[-1]
    assert math.isclose(sum(bool(each.removed) for each in found) / 40, 0.1, abs_tol=0.1)


def test_a_space_of_few_structures_gives_all_of_them_once():
    one = space_of().model_copy(update={"blocks": (), "groups": space_of().groups[:1]})
    found = structures(one, 30)
    assert 1 < len(found) <= 4
    assert Structure() in found
