"""Two of the shipped studies, whole, on the digits."""

import pytest

pytestmark = pytest.mark.slow


def test_hong2022_has_structures_of_its_rates_and_compares_features(run_study):
    result = run_study("hong2022")
    arms = {arm.name: arm for arm in result.arms}
    layerwise, widthwise = (arms[f"{structure}, inherited, distilled"] for structure in ("layerwise", "widthwise"))
    assert layerwise.tradeoff.parameter_ratio == pytest.approx(0.66, abs=0.03)
    assert widthwise.tradeoff.parameter_ratio == pytest.approx(0.57, abs=0.03)
    assert all(len(arm.cells) == 3 and arm.cells[0].representation for arm in result.arms)
    assert widthwise.gain.seeds == 3
    assert layerwise.accuracy > 0.5
    # from the same structure, random weights and inherited ones
    assert arms["layerwise, scratch, labels"].costs.parameters == layerwise.costs.parameters
    assert result.files["features"] == "features.png"


def test_chou2021_goes_through_its_pairs_with_an_ensemble_in_two_stages(run_study):
    result = run_study("chou2021")
    assert len(result.teachers) == 3
    assert [len(arm.cells) for arm in result.arms] == [3] * 15
    assert all(arm.costs.parameters < 0.8 * _teacher(result, arm).costs.parameters for arm in result.arms)


def _teacher(result, arm):
    return next(teacher for teacher in result.teachers if teacher.model == arm.teacher)
