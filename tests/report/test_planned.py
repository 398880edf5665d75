"""The plan in a report: what was predicted beside what was measured, and the staircases."""

from edgekd.report.formats.markdown import written
from edgekd.report.planned import planned
from edgekd.values import Candidate, Cost, Interval, Plan, Proposal, Structure, VariantLatency
from edgekd.values.plan import LatencyTable, Staircase, Structured

COST = Cost(parameters=1000, nonzero=1000, macs=2000)
HALF = Proposal(structure=Structure(widths={"stem": 16}), what="half of the channels")
WHOLE = Proposal(structure=Structure(), what="nothing")


def candidate(proposal, *, predicted=None, fits=True, **ratios):
    latencies = tuple(
        VariantLatency(
            variant=variant, median_ms=ratio, ratio=Interval(estimate=ratio, low=ratio, high=ratio), fits=fits
        )
        for variant, ratio in ratios.items()
    )
    return Candidate(proposal=proposal, cost=COST, latencies=latencies, predicted=predicted)


def shown(*given):
    return "\n\n".join(written(planned(*given)))


def plan(**changes):
    by = LatencyTable(
        variant="int8",
        networks=30,
        typical_error=0.021,
        worst_error=0.064,
        unpruned=Structured(structure=Structure(), latency=0.8, loss=0.1),
        chosen=Structured(structure=HALF.structure, latency=0.4, loss=0.25),
        uniform=Structured(structure=Structure(widths={"stem": 8}), latency=0.38, loss=0.5),
        staircases=(
            Staircase(root="stem", width=32, chosen=16, latencies={16: 0.6, 32: 0.8}),
            Staircase(root="gone.conv", width=32, chosen=0, latencies={32: 0.8}),
        ),
    )
    found = Plan(
        proposal=HALF,
        feasible=True,
        candidates=(candidate(WHOLE, fp32=1.0, int8=0.8, fits=False), candidate(HALF, predicted=0.4, int8=0.42)),
        table=by,
        why="it was measured to meet the budget",
    )
    return found.model_copy(update=changes)


def test_what_was_predicted_stands_beside_what_was_measured_in_the_same_unit():
    text = shown(plan(), "local:")
    row = next(line for line in text.splitlines() if "← planned" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3:] == ["0.400", "–", "0.420 [0.420, 0.420]", "in int8"]
    assert "int8 ÷ reference, predicted" in text


def test_the_table_says_how_wrong_it_is_and_what_one_ratio_would_have_given():
    text = shown(plan(), "local:")
    assert "from the traces of 30 untrained networks" in text
    assert "wrong by 2.1% at the median, 6.4% at worst" in text
    assert "| the plan | 0.400 | 0.250 |" in text
    assert "| the same ratio of every layer | 0.380 | 0.500 |" in text


def test_each_group_has_its_staircase_with_the_chosen_width():
    text = shown(plan(), "local:")
    assert "| `stem` | 16 of 32 | **16: 0.600** · 32: 0.800 |" in text
    assert "| `gone.conv` | gone with its block | 32: 0.800 |" in text


def test_a_plan_without_a_table_has_neither():
    text = shown(plan(table=None), "local:")
    assert "predicted" not in text
    assert "| half of the channels ← planned | 1,000 | 2,000 | – | 0.420 [0.420, 0.420] | in int8 |" in text
    assert shown(plan(table=None, candidates=()), None).endswith("it was measured to meet the budget.")
