"""The shipped studies on the digits, with one seed and one epoch; `tools/studies` runs them whole."""

import pytest

pytestmark = pytest.mark.slow

SHORT = ["--seeds", "1", "--epochs", "1", "--teacher-epochs", "1"]


def test_chou2021_goes_through_its_pairs_with_an_ensemble_in_two_stages(run_study):
    result = run_study("chou2021", *SHORT)
    teachers = {teacher.model: teacher.costs.parameters for teacher in result.teachers}
    assert len(teachers) == 3
    assert [len(arm.cells) for arm in result.arms] == [1] * 15
    assert all(arm.costs.parameters < 0.8 * teachers[arm.teacher] for arm in result.arms)


def test_malihi2024_compares_at_equal_parameters(run_study):
    result = run_study("malihi2024", *SHORT)
    arms = {arm.name: arm for arm in result.arms}
    for family in ("resnet20", "mobilenet_v1:width=0.5"):
        weights, channels = (
            arms[f"{family}, {method}, half left, inherited, labels"] for method in ("weights", "channels")
        )
        assert weights.tradeoff.parameter_ratio == pytest.approx(channels.tradeoff.parameter_ratio, abs=0.1)
        assert weights.costs.parameters > 1.5 * channels.costs.parameters
        assert weights.costs.disk_bytes > 1.5 * channels.costs.disk_bytes
        assert weights.tradeoff.transfer_ratio < 0.7


def test_prakosa2018_prunes_more_and_more(run_study):
    result = run_study("prakosa2018", *SHORT)
    ratios = [arm.tradeoff.parameter_ratio for arm in result.arms if arm.factors["learns from"] == "nothing"]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] == pytest.approx(1 - 0.2608, abs=0.05)


def test_edgekd_makes_the_methods_equally_fast(run_study):
    result = run_study("edgekd", *SHORT)
    arms = {arm.factors["structure"]: arm for arm in result.arms}
    ours = arms["widthwise"].costs.macs
    assert arms["filters"].costs.macs == ours
    assert 0.5 * ours < arms["channels"].costs.macs < 2 * ours
    assert arms["weights"].costs.macs > 2 * ours
