"""Shipped studies on the digits, with one seed and one epoch, and of the larger ones the arms that tell most;
`tools/studies` runs them whole. They run without a device, since what they compare isn't the latency, or on a
simulated one.
"""

import pytest
from simulated import all_layers, each_layer

pytestmark = pytest.mark.slow


def test_chou2021_goes_through_its_pairs_with_an_ensemble_in_two_stages(run_study):
    def wanted(arm):
        return arm.name.startswith("ResNet-32") or arm.name.endswith((" labels", "scratch, distilled"))

    result = run_study("chou2021", wanted, target="jetson")
    teachers = {teacher.model: teacher.costs.parameters for teacher in result.teachers}
    assert len(teachers) == 3
    assert [len(arm.cells) for arm in result.arms] == [1] * 9
    assert sum("ensemble" in arm.name for arm in result.arms) == 2
    assert all(arm.costs.parameters < 0.8 * teachers[arm.teacher] for arm in result.arms)


def test_malihi2024_compares_at_equal_parameters(run_study):
    families, ends = (
        ("resnet20", "mobilenet_v1:width=0.5"),
        ("half left, scratch, labels", "half left, inherited, labels"),
    )
    result = run_study("malihi2024", lambda arm: arm.name.endswith(ends), target="jetson")
    arms = {arm.name: arm for arm in result.arms}
    for family in families:
        weights, channels = (
            arms[f"{family}, {method}, half left, inherited, labels"] for method in ("weights", "channels")
        )
        assert weights.tradeoff.parameter_ratio == pytest.approx(channels.tradeoff.parameter_ratio, abs=0.1)
        assert weights.costs.parameters > 1.5 * channels.costs.parameters
        assert weights.costs.disk_bytes > 1.5 * channels.costs.disk_bytes
        assert weights.tradeoff.transfer_ratio < 0.7


def test_malihi2024_prunes_what_was_distilled_first(run_study):
    def wanted(arm):
        return arm.name.startswith("resnet20, channels, a quarter left")

    result = run_study("malihi2024", wanted, target="jetson")
    distilled, other_order = result.arms[1:]
    assert "distilled, then pruned" in other_order.name
    assert distilled.costs.parameters == other_order.costs.parameters


def test_prakosa2018_prunes_more_and_more(run_study):
    result = run_study("prakosa2018", lambda arm: arm.factors["learns from"] == "nothing", target="jetson")
    ratios = [arm.tradeoff.parameter_ratio for arm in result.arms]
    assert len(ratios) == 3
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] == pytest.approx(1 - 0.2608, abs=0.05)


def test_edgekd_compares_at_a_third_of_the_arithmetic_without_a_device(run_study):
    plans = ("latency table", "uniform", "global group magnitude", "NetAdapt", "layers")

    def wanted(arm):
        return arm.factors["plan"] in plans and not arm.name.endswith(("rate 0.01", "rate 0.1"))

    result = run_study("edgekd", wanted, target="jetson")
    assert [remark.split(",")[0] for remark in result.remarks[:2]] == ["latency table", "NetAdapt"]
    (teacher,) = result.teachers
    shares = {arm.name: arm.costs.macs / teacher.costs.macs for arm in result.arms}
    assert len(shares) == 5
    assert all(share == pytest.approx(1 / 3, abs=0.06) for share in shares.values()), shares
    assert len({arm.costs.macs for arm in result.arms if arm.factors["plan"] == "uniform"}) == 1


def test_edgekd_plans_for_a_third_of_the_latency_and_trains_the_others_as_long(run_study, simulated):
    def wanted(arm):
        return arm.factors["plan"] == "latency table" or arm.name == "uniform, labels, rate 0.05"

    device = simulated(latency_ms=all_layers, nodes=each_layer)
    ours, uniform = run_study("edgekd", wanted, target="x86-cpu", paced=True, device=device).arms
    assert 0.8 / 3 < ours.costs.latency.estimate <= 1 / 3
    assert "structures predicted to be as fast" in ours.chosen
    assert uniform.costs.latency.estimate == pytest.approx(ours.costs.latency.estimate, rel=0.05)
    assert uniform.settings["recover.epochs"] >= 1
    assert uniform.gain.control == ours.name
