import pytest

from edgekd.errors import EdgekdError
from edgekd.search import uniform
from edgekd.search._base import WHOLE
from edgekd.search._levels import Levels, Options
from edgekd.values import Keep

BOTH = ("fp32", "int8")


def levels(bench):
    return Levels("channels", bench.space, Options(), bench.scores).all()


@pytest.mark.parametrize("limit", [0.9, 0.52, 0.3, 0.12])
def test_the_least_pruned_that_fits_is_found_in_a_handful_of_measurements(limit, bench, question):
    network = bench(limit=limit)
    plan = uniform.find(question(), network)
    assert plan.feasible
    fitting = [level for level in levels(network) if network.share(level.structure) <= limit]
    assert plan.proposal == fitting[0]
    assert len(network.asked) == len(set(network.asked)) <= 7
    assert plan.why.startswith("it is the least pruned that was measured to meet the budget; without ")


def test_nothing_is_pruned_where_the_unpruned_network_fits(bench, question):
    network = bench(latency=lambda left: {"fp32": 0.4})
    plan = uniform.find(question(), network)
    assert (plan.proposal, plan.feasible, len(network.asked)) == (WHOLE, True, 1)
    assert plan.why == "the unpruned network meets the budget in fp32"


def test_where_the_first_level_fits_the_unpruned_network_is_what_does_not(bench, question):
    network = bench(limit=0.99)
    plan = uniform.find(question(), network)
    assert plan.proposal == levels(network)[1]
    assert plan.why.endswith("; unpruned it doesn't")


def test_a_fit_in_between_is_found_where_the_most_pruned_is_slower(bench, question):
    # a staircase that turns up again: slower than the budget below 40 % of the channels
    network = bench(latency=lambda left: {"fp32": left if left >= 0.4 else 0.6})
    plan = uniform.find(question(), network)
    assert plan.feasible
    assert network.share(plan.structure) == 0.5


def test_where_nothing_fits_the_fastest_is_kept_and_named_the_larger_of_equals(bench, question):
    network = bench(latency=lambda left: {"fp32": max(0.53, left) + (0.005 if left == 0.4 else 0)}, limit=0.47)
    plan = uniform.find(question(), network)
    assert plan.feasible is False
    assert network.share(plan.structure) == 0.4  # 0.535 there and 0.53 at the most pruned: the same on a shared machine
    assert "0.54" in plan.why or "0.53" in plan.why
    assert plan.further is None


def test_a_network_that_cannot_be_narrowed_is_planned_as_it_is(bench, question):
    plan = uniform.find(question(), bench(widths={"only": 8}))
    assert (plan.proposal, plan.feasible) == (WHOLE, False)


def test_one_step_further_is_the_next_level(bench, question):
    network = bench(limit=0.52)
    plan = uniform.find(question(), network)
    all_of_them = levels(network)
    assert plan.further == all_of_them[all_of_them.index(plan.proposal) + 1]
    for limit in (0.9, 0.8, 0.7, 0.6):
        found = uniform.find(question(), bench(limit=limit))
        assert found.further == all_of_them[all_of_them.index(found.proposal) + 1]
    last_but_one = uniform.find(question(), bench(limit=network.share(all_of_them[-2].structure)))
    assert (last_but_one.proposal, last_but_one.further) == (all_of_them[-2], all_of_them[-1])
    most = uniform.find(question(), bench(limit=network.share(all_of_them[-1].structure)))
    assert (most.proposal, most.further) == (all_of_them[-1], None)


@pytest.mark.parametrize("most", [1.0, 0.72, 0.5, 0.12])
@pytest.mark.parametrize("what", ["parameters", "macs", "transfer_bytes"])
def test_what_may_be_left_decides_without_measuring(most, what, bench, question):
    network = bench()
    plan = uniform.find(question(has_device=False, keep=Keep.model_validate({what: most})), network)
    fitting = [level for level in levels(network) if network.share(level.structure) <= most]
    assert plan.proposal == fitting[0]
    assert len(network.asked) <= 7
    assert (plan.feasible, plan.candidates) == (None, ())
    assert plan.why == f"it is the least pruned that leaves at most {most:.0%} of its {what.replace('_', ' ')}"


def test_more_than_can_go_is_an_error(bench, question):
    says = r"without 90 % of every layer's channels, the most that can be pruned, it still has more than 5% of its macs"
    with pytest.raises(EdgekdError, match=says):
        uniform.find(question(keep=Keep(macs=0.05)), bench())


def test_without_a_device_and_limits_nothing_is_pruned_or_asked(bench, question):
    network = bench()
    plan = uniform.find(question(has_device=False), network)
    assert (plan.proposal, plan.feasible, network.asked) == (WHOLE, None, [])
    assert "--ratio" in plan.why


def test_the_plan_says_in_which_variants_it_fits(bench, question):
    network = bench(latency=lambda left: {"fp32": left, "int8": 0.4 * left})
    plan = uniform.find(question(variants=BOTH), network)
    assert (plan.proposal, plan.variants) == (WHOLE, ("int8",))
    assert plan.why == "the unpruned network meets the budget in int8"


def test_a_variant_that_does_not_count_is_not_planned_with(bench, question):
    network = bench(latency=lambda left: {"fp32": left, "int8": 0.4 * left})
    plan = uniform.find(question(), network)
    assert (network.share(plan.structure), plan.variants, plan.feasible) == (0.5, ("fp32",), True)


def test_planned_again_it_begins_with_what_was_measured(bench, question):
    network = bench(latency=lambda left: {"fp32": left, "int8": 0.7 * left})
    first = uniform.find(question(variants=BOTH), network)
    assert (network.share(first.structure), first.variants) == (0.7, ("int8",))
    measured = len(network.asked)
    again = uniform.find(question(seen=first.candidates), network)
    assert (network.share(again.structure), again.variants) == (0.5, ("fp32",))
    assert len(network.asked) - measured <= 4
    assert len(network.asked) == len(set(network.asked))
    assert set(network.asked) == {c.proposal.structure.model_dump_json() for c in again.candidates}


def test_planned_again_where_nothing_is_left_that_fits_it_reports_it(bench, question):
    network = bench(latency=lambda left: {"fp32": 0.9, "int8": 0.7 * left})
    first = uniform.find(question(variants=BOTH), network)
    again = uniform.find(question(seen=first.candidates), network)
    assert again.feasible is False
    assert again.variants == ()
    assert "no candidate meets the budget" in again.why


def test_single_weights_are_not_planned_by_a_latency_that_they_do_not_change(question):
    with pytest.raises(EdgekdError, match="doesn't make a network faster"):
        uniform.check(question("weights"))
    uniform.check(question("weights", keep=Keep(parameters=0.2)))


def test_trials_are_the_least_and_the_most_pruned(bench, question):
    network = bench()
    least, most = uniform.trials(question(), network.space)
    assert (least, most) == (levels(network)[1], levels(network)[-1])
    assert uniform.trials(question(), bench(widths={"only": 8}).space) == ()
    (one,) = uniform.trials(question(), bench(widths={"only": 16}).space)
    assert one.structure.widths == {"only": 8}
    of_two = uniform.trials(question(), bench(widths={"only": 24}).space)
    assert [each.structure.widths for each in of_two] == [{"only": 16}, {"only": 8}]
