"""A whole compression whose layers get widths of their own, on a device that takes what each layer computes."""

import pytest
from simulated import all_layers, each_layer

from edgekd.pipeline import candidates
from edgekd.values.result import Result

LIMIT = 0.5


@pytest.fixture(scope="module")
def one_variant(two_variants, tmp_path_factory):
    """ONNX Runtime's fp32 alone."""
    path = tmp_path_factory.mktemp("one") / "x86-cpu.toml"
    tables = two_variants.read_text().split("[[variants]]")
    path.write_text("[[variants]]".join(tables[:2]))
    return path


@pytest.fixture(scope="module")
def ran(compress, simulated, on_device, one_variant, tmp_path_factory):
    """What `compress` does of itself where the training is longer than its search."""
    folder = tmp_path_factory.mktemp("tabled")
    (folder / "budget.toml").write_text(f'name = "b"\n[latency]\nmax_ratio = {LIMIT}\n[accuracy]\nmax_drop_pp = 100\n')
    recipe = "[search]\noptions = {networks = 8, structures = 24}\n[measure]\nlaunches = 3\nseconds = 0.3\n"
    (folder / "recipe.toml").write_text(recipe)
    options = ("--budget", folder / "budget.toml", "--recipe", folder / "recipe.toml", "--epochs", 3, "--json")
    with on_device(simulated(latency_ms=all_layers, nodes=each_layer)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "_MOST_IMAGES", 64)
        first = compress(folder / "run", *options, target=str(one_variant))
        made = stages(folder / "run")
        again = compress(folder / "run", *options, target=str(one_variant))
    return first, again, made


def stages(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.rglob("stages/*/result.json")}


def test_the_plan_is_as_fast_as_the_budget_asks_and_trained(ran):
    first = ran[0]
    result = Result.model_validate(first.document)
    assert result.plan.table, result.plan.why
    assert first.code == 0, result.verdict
    (latency,) = (each for candidate in result.plan.candidates[-1:] for each in candidate.latencies)
    assert latency.ratio.estimate <= LIMIT
    ratio = next(limit.observed for limit in result.verdict.limits if limit.name.startswith("latency"))
    assert 0.6 * LIMIT < ratio <= LIMIT
    kept = {width.after / width.before for width in result.widths}
    assert len(kept) > 2, "every layer has its own width"


def test_whole_candidates_take_what_the_table_predicts(ran):
    result = Result.model_validate(ran[0].document)
    pruned = [one for one in result.plan.candidates if one.predicted is not None]
    assert pruned
    for one in pruned:
        assert one.latencies[0].ratio.estimate == pytest.approx(one.predicted, rel=0.1)
    assert result.plan.table.chosen.loss <= result.plan.table.uniform.loss


def test_the_report_says_how_good_the_table_is_and_what_one_ratio_would_have_given(ran):
    report = (ran[0].folder / "report.md").read_text()
    assert "at the median" in report
    assert "every layer" in report


def test_a_second_start_tries_and_trains_nothing_again(ran):
    first, again, made = ran
    assert again.code == 0
    assert sum(name.startswith("losses") for name in made) > 2
    assert stages(first.folder) == made
    own, other = (Result.model_validate(each.document) for each in (first, again))
    assert own.plan == other.plan
