"""Structures of little loss as a whole, where what single choices cost says little."""

import pytest

from edgekd.search._choices import choices_of
from edgekd.search._curves import curves
from edgekd.search._improving import improved
from edgekd.search._random import structures
from edgekd.search._table import learned
from edgekd.values import Structure
from tests.search.tabled import WIDTHS, TabledBench, all_structures


def strangled(structure: Structure) -> float:
    """Each layer loses by what is left of its inputs times what is left of its outputs: so a narrow group costs far
    more beside other narrow ones.
    """
    share = {root: (structure.widths.get(root, width) / width) for root, width in WIDTHS.items()}
    pairs = [("stem", "a"), ("a", "b")] + ([] if structure.removed else [("a", "r.one")])
    worth = {("stem", "a"): 1.0, ("a", "b"): 0.3, ("a", "r.one"): 0.05}
    return sum(worth[pair] / (share[pair[0]] * share[pair[1]]) ** 2 for pair in pairs) + 0.8 * len(structure.removed)


def found_at(limit: float, **more):
    bench = TabledBench(limit=limit, loss=strangled)
    choices = choices_of(learned(bench.space, bench.traced(structures(bench.space, 12), "fp32")))
    losses = curves(choices, bench)
    alone = choices.best(losses, limit)
    return bench, choices, alone, improved(choices, losses, limit, bench, **more)


def least(bench: TabledBench, limit: float) -> float:
    return min(strangled(each) for each in all_structures(bench.space) if bench.ratio(each) <= limit)


@pytest.mark.parametrize("limit", [0.2, 0.33, 0.5])
def test_the_best_of_all_structures_is_found(limit):
    bench, _, _, found = found_at(limit)
    assert found.judged[0].loss == pytest.approx(least(bench, limit))
    assert bench.ratio(found.judged[0].structure) <= limit


def test_sums_of_losses_alone_would_have_lost_far_more():
    bench, _, alone, _ = found_at(0.2)
    assert strangled(alone) > 1.3 * least(bench, 0.2)


def test_it_goes_on_from_a_better_structure_that_is_known():
    bench, choices, _, _ = found_at(0.33)
    start = Structure(widths={"stem": 16, "a": 32, "b": 32}, removed=("r",))
    misleading = {name: tuple(0.0 for _ in range(choices.count(name))) for name in (*choices.widths, *choices.blocks)}
    found = improved(choices, misleading, 0.33, bench, others=[start])
    assert found.judged[0].loss < strangled(start)
    assert found.judged[0].loss == pytest.approx(least(bench, 0.33))


def test_what_it_costs_near_the_best_says_what_goes_next():
    bench, choices, _, found = found_at(0.5)
    smaller = choices.best(found.near, 0.45)
    assert bench.ratio(smaller) <= 0.46
    assert strangled(smaller) <= 1.1 * least(bench, 0.45)
