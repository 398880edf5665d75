"""The step-by-step search, on a simulated device whose staircase is known."""

from types import SimpleNamespace

import pytest

from edgekd.search import netadapt
from edgekd.search._base import Question
from edgekd.search.netadapt import Options
from edgekd.values import SearchSettings, Structure
from tests.search.tabled import WIDTHS, TabledBench, best_loss, true_loss
from tests.search.test_choices import table_of


def asked(variants=("fp32",), *, has_device=True, seen=(), step=0.04, **settings):
    return Question(
        granularity="channels",
        settings=SearchSettings.model_validate(settings),
        options=Options(step=step),
        has_device=has_device,
        variants=frozenset(variants),
        seen=seen,
    )


def narrowed(bench, now, root, limit):
    """The widest that is fast enough, by the device's true times."""
    own = now.widths.get(root, WIDTHS[root])
    tried = (Structure(widths={**now.widths, root: w}, removed=now.removed) for w in range(own - 8, 0, -8))
    return next((one for one in tried if bench.ratio(one) <= limit), None)


def greedy(bench, limit, step=0.04):
    """NetAdapt with the device's true times."""
    now = Structure()
    while bench.ratio(now) > limit:
        goal = max((1 - step) * bench.ratio(now), limit)
        roots = [root for root in WIDTHS if not (now.removed and root.startswith("r."))]
        found = [one for root in roots if (one := narrowed(bench, now, root, goal))]
        if not now.removed:
            without = Structure(widths={r: w for r, w in now.widths.items() if not r.startswith("r.")}, removed=("r",))
            found += [without] if bench.ratio(without) <= goal else []
        now = min(found, key=bench.loss)
    return now


@pytest.mark.parametrize("limit", [0.8, 0.5, 0.33])
def test_each_step_narrows_what_loses_least(limit):
    bench = TabledBench(limit=limit)
    plan = netadapt.find(asked(), bench)
    assert plan.feasible
    assert plan.variants == ("fp32",)
    assert bench.ratio(plan.structure) <= limit
    expected = greedy(TabledBench(limit=limit), limit)
    assert true_loss(plan.structure) == pytest.approx(true_loss(expected), abs=0.3)
    assert true_loss(plan.structure) >= best_loss(bench, limit) - 1e-9
    assert plan.table.chosen.loss == pytest.approx(true_loss(plan.structure))


def test_a_block_goes_where_that_loses_less_than_narrowing():
    worthless = TabledBench(limit=0.6, loss=lambda s: true_loss(s) - 3 * len(s.removed))
    plan = netadapt.find(asked(), worthless)
    assert plan.structure.removed == ("r",)
    assert "r.one" not in plan.structure.widths
    dear = TabledBench(limit=0.6, loss=lambda s: true_loss(s) + 100 * len(s.removed))
    assert netadapt.find(asked(), dear).structure.removed == ()


def test_a_structure_that_cannot_be_pruned_is_never_taken():
    def loss(structure):
        return None if structure.removed or structure.widths.get("r.one", 64) < 64 else true_loss(structure)

    plan = netadapt.find(asked(), TabledBench(limit=0.5, loss=loss))
    assert plan.feasible
    assert not plan.structure.removed
    assert "r.one" not in plan.structure.widths


def test_where_whole_networks_take_longer_than_predicted_it_goes_on():
    bench = TabledBench(limit=0.5, slower=1.3)
    plan = netadapt.find(asked(), bench)
    assert plan.feasible
    assert bench.ratio(plan.structure) <= 0.5
    assert 2 <= len(bench.measured) <= 6


def test_a_step_that_nothing_can_save_is_halved():
    plan = netadapt.find(asked(step=0.6), TabledBench(limit=0.3))
    assert plan.feasible


def test_a_larger_step_tries_fewer_structures():
    small, large = TabledBench(limit=0.4), TabledBench(limit=0.4)
    netadapt.find(asked(), small)
    netadapt.find(asked(step=0.15), large)
    assert large.tried < small.tried


def test_what_nothing_meets_is_searched_by_whole_networks_and_said():
    plan = netadapt.find(asked(), TabledBench(limit=0.01))
    assert plan.feasible is False
    assert "step by step nothing meets the budget" in plan.why


def test_without_a_table_one_ratio_is_searched():
    plan = netadapt.find(asked(), TabledBench(limit=0.5, traced_layers=False))
    assert plan.feasible
    assert "doesn't report the times of its layers; so one ratio was searched" in plan.why
    assert netadapt.find(asked(has_device=False), TabledBench()).feasible is None


def test_the_next_smaller_structure_is_faster_and_nothing_is_measured_twice():
    bench = TabledBench(limit=0.5)
    plan = netadapt.find(asked(), bench)
    assert bench.ms(plan.further.structure) < bench.ms(plan.structure)
    assert len({each.model_dump_json() for each in bench.measured}) == len(bench.measured)
    bench.measured.clear()
    assert netadapt.find(asked(seen=plan.candidates), bench).structure == plan.structure
    assert bench.measured == []


def test_without_a_block_between_two_groups_both_are_as_wide_as_the_narrower():
    table = table_of("mobilenet_v1:width=0.25")
    block, (before, behind) = next(
        (name, two) for name, two in table.ends.items() if two and two[0] != two[1] and name in table.space.removable
    )

    def losses(structures):
        """The group behind is narrowed first, then the block goes."""
        return [float(one.widths.get(behind, 99) == 99) - 5 * (one.removed == (block,)) for one in structures]

    steps = netadapt._Steps(table, (block,), SimpleNamespace(losses=losses), 0.01)
    whole = steps.taken[0].latency
    alone = Structure(widths={behind: table.widths(Structure())[behind] // 2})
    without = steps._without(alone, block)
    assert without.removed == (block,)
    assert without.widths == {before: alone.widths[behind]}
    widths = table.widths(without)
    assert widths[before] == widths[behind] == alone.widths[behind]
    assert steps.within(0.9 * whole).structure.removed == (block,)
