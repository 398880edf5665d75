"""Structures of little loss as a whole, where what single choices cost says little."""

import pytest

from edgekd.search._choices import choices_of
from edgekd.search._curves import curves
from edgekd.search._improving import improved, narrower
from edgekd.search._random import structures
from edgekd.search._table import learned
from edgekd.values import Structure
from tests.search.tabled import WIDTHS, TabledBench, all_structures, strangled


def found_at(limit: float, **more):
    bench = TabledBench(limit=limit, loss=strangled)
    choices = choices_of(learned(bench.space, bench.traced(structures(bench.space, 12), "fp32")))
    losses = curves(choices, bench)
    alone = choices.best(losses, limit)
    return bench, choices, losses, alone, improved(choices, losses, limit, bench, most=150, **more)


def least(bench: TabledBench, limit: float) -> float:
    return min(strangled(each) for each in all_structures(bench.space) if bench.ratio(each) <= limit)


@pytest.mark.parametrize("limit", [0.2, 0.33, 0.5])
def test_the_best_of_all_structures_is_found(limit):
    bench, _, _, _, found = found_at(limit)
    assert found[0].loss == pytest.approx(least(bench, limit))
    assert bench.ratio(found[0].structure) <= limit


def test_sums_of_losses_alone_would_have_lost_far_more():
    bench, _, _, alone, _ = found_at(0.2)
    assert strangled(alone) > 1.3 * least(bench, 0.2)


def test_it_goes_on_from_a_better_structure_that_is_known():
    bench, choices, _, _, _ = found_at(0.33)
    start = Structure(widths={"stem": 16, "a": 32, "b": 32}, removed=("r",))
    misleading = {root: tuple(1 - width / own[-1] for width in own) for root, own in choices.widths.items()}
    misleading |= dict.fromkeys(choices.blocks, (0.0, 1.0))
    found = improved(choices, misleading, 0.33, bench, others=[start], most=150)
    assert found[0].loss < strangled(start)
    assert found[0].loss == pytest.approx(least(bench, 0.33))


def test_no_more_are_judged_than_may_be():
    bench, choices, losses, _, _ = found_at(0.33)
    before = bench.tried
    for most in (12, 1):
        found = improved(choices, losses, 0.33, bench, most=most)
        assert most / 3 <= len(found) <= most
        assert bench.tried - before == len(found)
        before = bench.tried


def test_the_next_smaller_one_is_narrower_in_every_group():
    bench, choices, losses, _, found = found_at(0.5)
    best = found[0].structure
    smaller = choices.best(narrower(choices, losses, best), 0.45)
    assert bench.ratio(smaller) <= 0.46
    assert set(smaller.removed) >= set(best.removed)
    assert all(smaller.widths.get(r, w) <= best.widths.get(r, w) for r, w in WIDTHS.items() if not r.startswith("r."))
