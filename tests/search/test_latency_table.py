"""The search by a table, on a simulated device whose staircase is known."""

import re
from dataclasses import replace

import pytest

from edgekd.errors import EdgekdError, PruningProcessError
from edgekd.search import latency_table
from edgekd.search._base import WHOLE, Question
from edgekd.search._choices import choices_of
from edgekd.search._curves import curves
from edgekd.search._improving import Judged
from edgekd.search._levels import Levels
from edgekd.search._levels import Options as LevelOptions
from edgekd.search._random import structures
from edgekd.search._table import learned
from edgekd.search._tabled import Tabled
from edgekd.search.latency_table import Options
from edgekd.values import Interval, SearchSettings, Structure
from edgekd.values.plan import TracedNetwork
from tests.search.tabled import TabledBench, all_structures, best_loss, space_of, strangled, true_loss, true_ms


def asked(variants=("fp32",), *, granularity="channels", has_device=True, networks=12, **settings):
    return Question(
        granularity=granularity,
        settings=SearchSettings.model_validate(settings),
        options=Options(networks=networks),
        has_device=has_device,
        variants=frozenset(variants),
    )


@pytest.mark.parametrize("limit", [0.8, 0.5, 0.33, 0.2])
def test_the_structure_of_the_least_loss_is_found_among_all_that_fit(limit):
    bench = TabledBench(limit=limit)
    plan = latency_table.find(asked(), bench)
    assert plan.feasible
    assert bench.ratio(plan.structure) <= limit
    # candidates are to be measurably within the limit, so a little of the time may be left
    assert true_loss(plan.structure) <= best_loss(bench, 0.97 * limit) + 1e-9
    assert plan.variants == ("fp32",)


def test_noise_of_traces_costs_little():
    limit = 0.4
    bench = TabledBench(limit=limit, noise=0.05)
    plan = latency_table.find(asked(), bench)
    assert plan.feasible
    assert true_loss(plan.structure) <= best_loss(bench, 0.9 * limit) + 1e-9
    assert 0 < plan.table.typical_error < 0.1


def test_a_few_whole_candidates_are_measured_and_no_structure_twice():
    bench = TabledBench(limit=0.4)
    latency_table.find(asked(), bench)
    assert 2 <= len(bench.measured) <= 9
    assert len({each.model_dump_json() for each in bench.measured}) == len(bench.measured)


def test_a_block_goes_where_it_is_worth_less_than_its_time():
    worthless = TabledBench(limit=0.6, loss=lambda s: true_loss(s) - 2.99 * len(s.removed))
    assert latency_table.find(asked(), worthless).structure.removed == ("r",)
    dear = TabledBench(limit=0.6, loss=lambda s: true_loss(s) + 100 * len(s.removed))
    assert latency_table.find(asked(), dear).structure.removed == ()


def test_losses_that_do_not_add_up_are_seen_in_whole_structures():
    """Narrowing a and b together ruins the network, though each alone does little."""

    def loss(structure):
        both = structure.widths.get("a", 64) < 64 and structure.widths.get("b", 96) < 96
        return true_loss(structure) + (1000 if both else 0)

    plan = latency_table.find(asked(), TabledBench(limit=0.55, loss=loss))
    assert plan.feasible
    assert loss(plan.structure) < 1000


def test_one_ratio_for_all_layers_is_the_plan_where_it_loses_least():
    """Whatever sums of single losses say."""
    levels = [each.structure for each in Levels("channels", space_of(), LevelOptions(), lambda: None).all()]

    def loss(structure):
        several = len(structure.widths) + len(structure.removed) > 1
        return 50.0 if several and structure not in levels else true_loss(structure)

    plan = latency_table.find(asked(), TabledBench(limit=0.3, loss=loss))
    assert plan.feasible
    assert plan.structure in levels
    assert plan.table.chosen.loss == plan.table.uniform.loss


def test_a_layer_that_strangles_the_network_costs_so_whatever_half_of_its_channels_costs():
    def loss(structure):
        return true_loss(structure) + (40 if structure.widths.get("b", 96) <= 24 else 0)

    bench = TabledBench(loss=loss)
    choices = choices_of(learned(bench.space, bench.traced(structures(bench.space, 12), "fp32")))
    by_width = dict(zip(choices.widths["b"], curves(choices, bench)["b"], strict=True))
    assert by_width[16] > 40
    assert by_width[48] < 5
    assert by_width[96] == 0


def test_where_whole_networks_take_longer_than_predicted_the_time_is_corrected():
    bench = TabledBench(limit=0.5, slower=1.3)
    plan = latency_table.find(asked(), bench)
    assert plan.feasible
    assert bench.ratio(plan.structure) <= 0.5
    assert true_loss(plan.structure) <= best_loss(bench, 0.9 * 0.5) + 1e-9


def test_the_unpruned_network_is_kept_where_it_fits():
    plan = latency_table.find(asked(), TabledBench(limit=1.1))
    assert (plan.proposal, plan.feasible) == (WHOLE, True)
    # if it turns out to be a little too slow after all
    levels = Levels("channels", space_of(), LevelOptions(), lambda: None).all()
    assert plan.further == levels[1]


def test_an_unpruned_network_that_fits_may_be_one_that_cannot_be_pruned():
    class Fixed(TabledBench):
        @property
        def space(self):
            raise PruningProcessError("it can't be pruned", "Give --ratio 0.")

        @space.setter
        def space(self, _):
            pass

        def measure(self, proposal):
            return TabledBench(limit=1.1).measure(proposal)

    plan = latency_table.find(asked(), Fixed(limit=1.1))
    assert (plan.proposal, plan.feasible, plan.further) == (WHOLE, True, None)


@pytest.mark.parametrize("method", ["losses", "traced", "measure"])
def test_where_structures_cant_be_tried_one_ratio_is_searched(monkeypatch, method):
    """As where the process that prunes runs out of memory; or where a structure turns out to be no network."""

    def fails(self, structures, *more, **settings):
        raise PruningProcessError("it can't be pruned in 4 GB", "Raise memory_bytes.")

    real = TabledBench.measure

    def measured(self, proposal):
        return real(self, proposal) if "of every layer's" in proposal.what or proposal == WHOLE else fails(self, ())

    monkeypatch.setattr(TabledBench, method, measured if method == "measure" else fails)
    plan = latency_table.find(asked(), TabledBench(limit=0.5))
    assert plan.feasible
    assert plan.why.startswith("it can't be pruned in 4 GB; so one ratio was searched for all layers: ")


def test_where_nothing_fits_the_least_that_was_predicted_and_measured_is_said():
    bench = TabledBench(limit=0.03)
    plan = latency_table.find(asked(), bench)
    assert plan.feasible is False
    assert plan.why.startswith(
        "by a table nothing meets the budget: in fp32 the smallest structure was predicted to take 0.1"
    )
    assert "no candidate meets the budget; the fastest measured has 0." in plan.why
    smallest = min(bench.ratio(each) for each in bench.measured)
    assert smallest == pytest.approx(min(bench.ratio(each) for each in all_structures(bench.space)))
    assert bench.ratio(plan.structure) == smallest


def test_a_limit_of_something_else_is_found_by_one_ratio():
    """Such as a size: which widths it takes no latency tells."""

    class Sized(TabledBench):
        def measure(self, proposal):
            found = super().measure(proposal)
            small = all(width <= 16 for width in proposal.structure.widths.values()) and proposal.structure.widths
            (own,) = found.latencies
            return found.model_copy(update={"latencies": (own.model_copy(update={"fits": bool(small)}),)})

    plan = latency_table.find(asked(), Sized(limit=0.9))
    assert plan.feasible
    assert max(plan.structure.widths.values()) <= 16


def test_a_budget_without_a_latency_is_searched_by_whole_networks():
    class Unlimited(TabledBench):
        def measure(self, proposal):
            found = super().measure(proposal)
            (own,) = found.latencies
            return found.model_copy(update={"latencies": (own.model_copy(update={"of_limit": None}),)})

    bench = Unlimited(limit=0.5)
    plan = latency_table.find(asked(), bench)
    assert plan.feasible
    assert "the budget doesn't limit the latency" in plan.why
    assert plan.table is None


def test_without_a_loss_nothing_is_compared_by_it():
    plan = latency_table.find(asked(), TabledBench(limit=0.5, loss=lambda structure: None))
    assert "loss on training images isn't finite" in plan.why
    assert plan.feasible
    assert plan.table is None


def test_where_those_of_less_loss_do_not_measurably_fit_the_report_says_so():
    class Slow(TabledBench):
        """What is found after single choices were tried, 13 structures, takes far longer than predicted."""

        def ratio(self, structure):
            return super().ratio(structure) * (1 if self.tried <= 13 or structure.is_whole else 5)

    def loss(structure):
        return true_loss(structure) + (2.0 if {"r.one", "b"} <= structure.widths.keys() else 0)

    plan = latency_table.find(asked(), Slow(limit=0.5, loss=loss))
    assert plan.feasible
    assert "it has the least loss of those that measurably fit" in plan.why
    assert len(plan.candidates) > 2


def test_a_structure_that_measurably_fits_is_not_left_for_one_of_more_loss():
    class Slower(TabledBench):
        def ratio(self, structure):
            return super().ratio(structure) * (1 if self.tried <= 13 or structure.is_whole else 1.1)

    bench = Slower(limit=0.25, loss=strangled)
    plan = latency_table.find(asked(), bench)
    fitting = [one for one in plan.candidates if one.latencies[0].fits]
    assert any(not one.latencies[0].fits and not one.proposal.structure.is_whole for one in plan.candidates)
    assert strangled(plan.structure) == min(strangled(one.proposal.structure) for one in fitting)
    assert "it has the least loss of those that measurably fit" in plan.why


def test_where_one_is_too_slow_the_next_is_predicted_to_be_faster_by_as_much():
    bench = TabledBench(limit=0.33)
    search, table = Tabled(asked(), bench), learned(bench.space, bench.traced(structures(bench.space, 12), "fp32"))
    stems = [Structure(widths={"stem": 16, "a": a, "r.one": 16, "b": b}) for a, b in ((48, 96), (48, 80), (32, 64))]
    assert [bench.ratio(one) <= 0.33 for one in stems] == [False, False, True]
    best = [Judged(one, loss) for loss, one in enumerate(stems)]
    assert table.latency(stems[1]) > 0.33 * table.latency(stems[0]) / bench.ratio(stems[0])
    assert latency_table._chosen(search, table, best, []).proposal.structure == stems[2]
    assert bench.measured == [stems[0], stems[2]]


def test_an_inexact_table_says_its_error_and_one_ratio_is_searched():
    bench = TabledBench(limit=0.5, noise=0.6)
    plan = latency_table.find(asked(), bench)
    assert "too inexact: it is wrong by" in plan.why
    assert "one ratio was searched for all layers" in plan.why
    assert plan.feasible
    assert plan.table is None


def test_layers_that_a_clock_of_microseconds_can_not_tell_apart_are_not_timed_in_other_networks():
    bench = TabledBench(limit=0.5, reference_ms=0.01)
    plan = latency_table.find(asked(), bench)
    assert re.search(r"the layers of fp32 take [0-4]\.\d µs at the median, too short for a clock of 1 µs", plan.why)
    assert plan.feasible
    assert bench.timed == 1
    assert latency_table.find(asked(), TabledBench(limit=0.5, reference_ms=0.01, clock_us=0.0)).table


def test_a_runtime_that_times_no_layers_is_searched_by_whole_networks():
    plan = latency_table.find(asked(), TabledBench(limit=0.5, traced_layers=False))
    assert "fp32 doesn't report the times of its layers" in plan.why
    assert plan.feasible


def test_the_report_has_staircases_predictions_and_what_one_ratio_gives():
    bench = TabledBench(limit=0.4)
    plan = latency_table.find(asked(), bench)
    found = plan.table
    assert {each.root: each.width for each in found.staircases} == {"stem": 32, "a": 64, "r.one": 64, "b": 96}
    stairs = next(each for each in found.staircases if each.root == "b")
    assert set(stairs.latencies) == {16, 32, 48, 64, 80, 96}  # widths in between save no time
    assert list(stairs.latencies.values()) == sorted(stairs.latencies.values())
    assert found.uniform.latency <= found.chosen.latency
    assert found.chosen.loss <= found.uniform.loss
    assert found.unpruned.loss == pytest.approx(0.1)
    pruned = [each for each in plan.candidates if not each.proposal.structure.is_whole]
    for each in pruned:
        assert each.predicted == pytest.approx(bench.ratio(each.proposal.structure), rel=0.02)


def test_the_next_smaller_structure_is_faster():
    bench = TabledBench(limit=0.5)
    plan = latency_table.find(asked(), bench)
    assert bench.ms(plan.further.structure) < bench.ms(plan.structure)


def test_what_was_measured_before_is_not_measured_again():
    bench = TabledBench(limit=0.5)
    first = latency_table.find(asked(), bench)
    bench.measured.clear()
    again = latency_table.find(replace(asked(), seen=first.candidates), bench)
    assert bench.measured == []
    assert again.structure == first.structure


def test_the_variant_counts_in_which_least_has_to_go():
    class Both(TabledBench):
        """INT8 takes half of the time of floats."""

        def measure(self, proposal):
            found = super().measure(proposal)
            half = found.latencies[1].model_copy(
                update={"fits": found.latencies[1].of_limit / 2 <= 1, "of_limit": found.latencies[1].of_limit / 2}
            )
            return found.model_copy(update={"latencies": (found.latencies[0], half)})

    bench = Both(limit=0.4, names=("fp32", "int8"))
    plan = latency_table.find(asked(("fp32", "int8")), bench)
    assert (plan.table.variant, plan.variants) == ("int8", ("int8",))
    assert 0.6 < bench.ratio(plan.structure) <= 0.8
    alone = latency_table.find(asked(("fp32",)), Both(limit=0.4, names=("fp32", "int8")))
    assert alone.table.variant == "fp32"
    assert bench.ratio(alone.structure) <= 0.4


def test_a_plan_for_what_is_left_goes_on_from_candidates_that_were_measured():
    """The first proposal for floats alone was measured before, and is too slow: the next one is aimed lower."""
    bench = TabledBench(limit=0.5, slower=1.3)
    first = latency_table.find(asked(), bench)
    bench.measured.clear()
    again = latency_table.find(replace(asked(), seen=first.candidates), bench)
    assert again.table is not None
    assert again.structure == first.structure
    assert bench.measured == []


def test_a_sibling_that_is_timed_in_its_place_leaves_the_variant_its_name():
    class Sibling(TabledBench):
        def traced(self, structures, variant):
            return super().traced(structures, {"int8": "int8-u8s8"}.get(variant, variant))

    plan = latency_table.find(asked(("int8",)), Sibling(limit=0.4, names=("int8",), integers=("int8", "int8-u8s8")))
    assert plan.table.variant == "int8"


def test_predictions_are_those_of_the_plan_s_table():
    """Whichever table a candidate was proposed by."""
    bench = TabledBench(limit=0.5)
    table = learned(bench.space, bench.traced(structures(bench.space, 12), "fp32"))
    search, stem = Tabled(asked(), bench), Structure(widths={"stem": 16})
    chosen = search.measure(stem, replace(table, of_layers=2 * table.of_layers))
    plan = search.plan(choices_of(table), chosen, None, further=None, why="so")
    assert [one.predicted for one in plan.candidates] == [table.latency(stem)]


def test_the_report_counts_the_networks_that_could_be_timed():
    class Fewer(TabledBench):
        def traced(self, structures, variant):
            return super().traced(structures, variant)[:9]

    assert latency_table.find(asked(), Fewer(limit=0.5)).table.networks == 10


class TwoArithmetics(TabledBench):
    """INT8 takes half of the time of floats in wide layers; each layer takes `each` of the whole besides."""

    each: float = 0.0
    untimed: str = ""

    def of(self, structure, variant):
        layers = true_ms(self.space, structure)
        whole = sum(true_ms(self.space, Structure()).values())
        factor, each = (0.5, self.each) if variant == "int8" else (1.0, 0.0)
        return {name: factor * ms / whole + each for name, ms in layers.items()}

    def traced(self, structures, variant):
        self.timed += len(structures)
        found = [(one, self.of(one, variant)) for one in structures]
        return tuple(
            TracedNetwork(
                structure=one,
                variant=variant,
                latency=sum(layers.values()),
                layers={} if variant == self.untimed else layers,
                clock_us=1.0,
            )
            for one, layers in found
        )

    def measure(self, proposal):
        found = super().measure(proposal)
        values = {name: sum(self.of(proposal.structure, name).values()) for name in self.names}
        latencies = [
            each.model_copy(
                update={
                    "ratio": Interval(estimate=value, low=value, high=value),
                    "fits": value <= self.limit,
                    "of_limit": value / self.limit,
                }
            )
            for each, value in zip(found.latencies, values.values(), strict=True)
        ]
        return found.model_copy(update={"latencies": tuple(latencies)})


def two_arithmetics(limit, each, untimed=""):
    bench = TwoArithmetics(limit=limit, names=("fp32", "int8"), integers=("int8",))
    bench.each, bench.untimed = each, untimed
    return bench


@pytest.mark.parametrize(("each", "variant"), [(0.0, "int8"), (0.03, "fp32")])
def test_the_table_counts_by_which_least_is_lost(each, variant):
    """INT8 is nearest to the budget in both; with 0.03 a layer it can't reach it by narrow layers, and floats can."""
    bench = two_arithmetics(0.2, each)
    plan = latency_table.find(asked(("fp32", "int8")), bench)
    whole = {each.variant: each.of_limit for each in plan.candidates[0].latencies}
    assert whole["int8"] < whole["fp32"]
    assert bench.timed == 24
    assert plan.table.variant == variant
    assert variant in plan.variants
    other = {"fp32": "int8", "int8": "fp32"}[variant]
    told = re.search(
        rf"by the table of {variant} the layers' losses add up to ([\d.]+), to ([\d.]+) by that of {other}", plan.why
    )
    assert told
    assert float(told[1]) < float(told[2])


def test_one_variant_that_times_no_layers_leaves_the_other_s_table():
    plan = latency_table.find(asked(("fp32", "int8")), two_arithmetics(0.4, 0.0, untimed="int8"))
    assert plan.table.variant == "fp32"
    assert plan.feasible


def test_two_variants_of_the_same_arithmetic_need_one_table():
    bench = TabledBench(limit=0.4, names=("fp32", "bf16"))
    latency_table.find(asked(("fp32", "bf16")), bench)
    assert bench.timed == 12


def test_without_a_device_nothing_is_planned_and_single_weights_need_an_amount():
    plan = latency_table.find(asked(has_device=False), TabledBench())
    assert (plan.proposal, plan.feasible) == (WHOLE, None)
    with pytest.raises(EdgekdError, match="single weights"):
        latency_table.check(asked(granularity="weights"))


def test_a_structure_that_cannot_be_pruned_is_never_chosen():
    def loss(structure: Structure) -> float | None:
        return None if structure.removed else true_loss(structure)

    plan = latency_table.find(asked(), TabledBench(limit=0.3, loss=loss))
    assert plan.feasible
    assert plan.structure.removed == ()


def test_a_search_that_was_not_asked_for_takes_no_longer_than_the_training():
    """Trying 13 structures tells what choices cost alone, and at least 16 are judged as a whole."""
    question = replace(asked(), epochs=3)
    short = TabledBench(limit=0.5, epochs_a_structure=0.11)
    plan = latency_table.find(question, short)
    assert plan.feasible
    assert plan.table is None
    assert short.tried == 0
    assert plan.why.startswith("the training is so short that searching a width for each layer would take longer; so")

    longer = TabledBench(limit=0.5, epochs_a_structure=0.08)
    assert latency_table.find(question, longer).table
    assert 13 < longer.tried <= 3 / 0.08 + 2  # the report asks again for the whole one, and one ratio

    asked_for = TabledBench(limit=0.5, epochs_a_structure=10.0)
    assert latency_table.find(asked(), asked_for).table

    generous = TabledBench(limit=1.5, epochs_a_structure=10.0)
    assert latency_table.find(question, generous).why == "the unpruned network meets the budget in fp32"


@pytest.mark.parametrize("epochs", [None, 17])
def test_as_few_whole_structures_are_judged_as_the_recipe_says(epochs):
    bench = TabledBench(limit=0.5, epochs_a_structure=1.0)
    plan = latency_table.find(replace(asked(), options=Options(structures=3), epochs=epochs), bench)
    assert plan.table
    assert "of 3 structures" in plan.why or "of 2 structures" in plan.why
    assert bench.tried <= 13 + 3 + 2
