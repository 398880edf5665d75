"""The choices of real networks: exact where layers depend on few of them, corrected by whole networks where on many."""

import math
import random

import pytest
import torch

from edgekd.pruning.explore import space_of as explored
from edgekd.search import _choices
from edgekd.search._choices import choices_of
from edgekd.search._programme import TooEntangledError
from edgekd.search._table import Table
from edgekd.search._times import Times
from edgekd.values import Structure
from edgekd.zoo.build import build
from tests.search.tabled import TabledBench, all_structures, space_of


def table_of(spec, *, channels=1, block=8):
    model = build(spec, classes=10, channels=channels).eval()
    space = explored(model, torch.randn(1, channels, 28, 28), channel_block=block, kinds=["channels", "blocks"])
    kinds = {one.kind: Times(8, 1e-3, 1e-4, 1e-4, 2e-5 * one.positions**0.5) for one in space.layers}
    return Table(space, "fp32", kinds, 0.0, 1.0, 1e-8)


def random_losses(choices, seed=0):
    drawn = random.Random(seed)
    losses = {
        root: (*sorted((drawn.random() for _ in own[1:]), reverse=True), 0.0) for root, own in choices.widths.items()
    }
    return {**losses, **{block: (0.0, drawn.random()) for block in choices.blocks}}


def loss_of(losses, choices, structure):
    own = {root: losses[root][choices.widths[root].index(structure.widths[root])] for root in structure.widths}
    return sum(own.values()) + sum(losses[block][1] for block in structure.removed)


@pytest.mark.parametrize(
    "spec", ["resnet8", "mobilenet_v1:width=0.25,blocks512=2", "mobilenet_v3_small", "densenet_bc40"]
)
def test_the_structure_is_within_the_limit_and_better_than_random_ones(spec):
    table = table_of(spec)
    choices = choices_of(table)
    losses = random_losses(choices)
    limit = 0.5 * table.latency(Structure())
    found = choices.best(losses, limit)
    assert found is not None
    assert 0.8 * limit < table.latency(found) <= 1.006 * limit  # times are rounded
    drawn = random.Random(1)
    for _ in range(300):
        options = {root: drawn.randrange(len(own)) for root, own in choices.widths.items()}
        other = choices.structure({**options, **dict.fromkeys(choices.blocks, 0)})
        if table.latency(other) <= 0.99 * limit:
            assert loss_of(losses, choices, other) >= loss_of(losses, choices, found) - 1e-9


def test_a_block_between_two_groups_goes_only_where_both_have_one_width():
    table = table_of("mobilenet_v1:width=0.25")
    choices = choices_of(table)
    between = [block for block in choices.blocks if len(set(table.ends[block])) == 2]
    assert between
    losses = {**random_losses(choices), **dict.fromkeys(choices.blocks, (0.0, 0.0))}
    found = choices.best(losses, 0.3 * table.latency(Structure()))
    widths = table.widths(found)
    assert found.removed
    for block in found.removed:
        before, behind = table.ends[block]
        assert widths[before] == widths[behind]
    smallest = choices.smallest
    assert table.latency(smallest) < 0.1 * table.latency(Structure())
    assert choices.best(losses, 0.5 * table.latency(smallest)) is None


def test_a_structure_without_a_block_is_one_of_the_options_that_come_nearest_to_it():
    """Where the block's input takes the place of its output, both have one width."""
    table = table_of("mobilenet_v1:width=0.25")
    choices = choices_of(table)
    losses = {**random_losses(choices), **dict.fromkeys(choices.blocks, (0.0, 0.3))}
    found = choices.best(losses, 0.1 * table.latency(Structure()))
    now = choices.options(found)
    assert len(found.removed) > 1
    taken = [group for group in table.space.groups if group.root.startswith(tuple(f"{b}." for b in found.removed))]
    assert any(table.widths(found)[group.root] < group.width for group in taken)
    assert choices.structure(now) == found
    alone = {name: [0.0 if i == now[name] else math.inf for i in range(len(own))] for name, own in losses.items()}
    assert choices.best(alone, table.latency(found) * 1.01) == found


def test_linear_times_come_close_to_exact_ones(monkeypatch):
    bench = TabledBench()
    kinds = {
        "first": Times(16, 0.01, 0, 0, 0.08),
        "dense": Times(16, 0.01, 0, 0, 0.02),
        "linear": Times(16, 0.01, 0, 0, 0),
    }
    choices = choices_of(Table(bench.space, "fp32", kinds, 0.0, 1.0, 0.0))
    losses = random_losses(choices)
    limit = 0.5 * choices.table.latency(Structure())
    exact = choices.best(losses, limit)
    least = min(
        loss_of(losses, choices, each) for each in all_structures(space_of()) if choices.table.latency(each) <= limit
    )
    assert loss_of(losses, choices, exact) == pytest.approx(least, abs=0.02)

    def entangled(*_):
        raise TooEntangledError

    monkeypatch.setattr(_choices.Choices, "_terms", property(entangled))
    found = choices_of(choices.table).best(losses, limit)
    assert choices.table.latency(found) <= limit
    assert loss_of(losses, choices, found) <= 1.5 * least


def test_widths_that_save_no_time_are_left_out():
    table = table_of("vgg8", block=8)
    coarse = {kind: Times(32, 1e-3, 1e-4, 1e-4, 1e-4) for kind in table.kinds}
    choices = choices_of(Table(table.space, "fp32", coarse, 0.0, 1.0, 0.0))
    assert all(width % 32 == 0 for own in choices.widths.values() for width in own)
    assert all(len(own) <= 12 for own in choices.widths.values())
