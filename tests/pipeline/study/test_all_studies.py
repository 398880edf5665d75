"""Every shipped study on the digits: hong2022 and chou2021 whole, the others with one seed and one epoch."""

import json
import subprocess
import sys

import pytest

from edgekd.studies._results import StudyResult

pytestmark = pytest.mark.slow

SHORT = ["--seeds", "1", "--epochs", "1", "--teacher-epochs", "1"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Runs a study as a process of its own: its document."""

    def run(name, *options):
        line = ["study", "run", name, "--out", tmp_path_factory.mktemp(name), "--json", *options]
        command = [sys.executable, "-m", "edgekd", *map(str, line)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
        assert ended.returncode == 0, ended.stderr
        return StudyResult.model_validate(json.loads(ended.stdout))

    return run


def test_hong2022_has_structures_of_its_rates_and_compares_features(ran):
    result = ran("hong2022")
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


def test_chou2021_goes_through_its_pairs_with_an_ensemble_in_two_stages(ran):
    result = ran("chou2021")
    assert len(result.teachers) == 3
    assert [len(arm.cells) for arm in result.arms] == [3] * 15
    assert all(arm.costs.parameters < 0.8 * _teacher(result, arm).costs.parameters for arm in result.arms)


def test_malihi2024_compares_at_equal_parameters(ran):
    result = ran("malihi2024", *SHORT)
    arms = {arm.name: arm for arm in result.arms}
    for family in ("resnet20", "mobilenet_v1:width=0.5"):
        weights, channels = (
            arms[f"{family}, {method}, half left, inherited, labels"] for method in ("weights", "channels")
        )
        assert weights.tradeoff.parameter_ratio == pytest.approx(channels.tradeoff.parameter_ratio, abs=0.1)
        assert weights.costs.parameters > 1.5 * channels.costs.parameters
        assert weights.costs.disk_bytes > 1.5 * channels.costs.disk_bytes
        assert weights.tradeoff.transfer_ratio < 0.7


def test_prakosa2018_prunes_more_and_more(ran):
    result = ran("prakosa2018", *SHORT)
    ratios = [arm.tradeoff.parameter_ratio for arm in result.arms if arm.factors["learns from"] == "nothing"]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] == pytest.approx(1 - 0.2608, abs=0.05)


def test_edgekd_makes_the_methods_equally_fast(ran):
    result = ran("edgekd", *SHORT)
    arms = {arm.factors["structure"]: arm for arm in result.arms}
    ours = arms["widthwise"].costs.macs
    assert arms["filters"].costs.macs == ours
    assert 0.5 * ours < arms["channels"].costs.macs < 2 * ours
    assert arms["weights"].costs.macs > 2 * ours


def _teacher(result, arm):
    return next(teacher for teacher in result.teachers if teacher.model == arm.teacher)
