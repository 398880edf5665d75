"""A recipe's options of a search, as a user writes them."""

import pytest

from edgekd.errors import EdgekdError
from edgekd.pipeline.search import Searching
from edgekd.recipe import recipe, to_toml
from edgekd.search import fixed, latency_table, uniform


@pytest.fixture
def asked(tmp_path):
    def ask(lines):
        path = tmp_path / "r.toml"
        path.write_text(f'target = "x86-cpu"\n[search]\n{lines}\n')
        return Searching(recipe(path, {}), has_device=True).question()

    return ask


def test_a_whole_number_stays_one(asked, tmp_path):
    assert asked('method = "latency_table"\noptions = {networks = 20}').options.networks == 20
    again = tmp_path / "again.toml"
    again.write_text(to_toml(recipe(tmp_path / "r.toml", {})))
    assert Searching(recipe(again, {}), has_device=True).question().options.networks == 20


@pytest.mark.parametrize(("stated", "says"), [("0", "greater than 0"), ("2.5", "integer"), ('"many"', "integer")])
def test_another_one_is_refused_with_its_name(asked, stated, says):
    with pytest.raises(EdgekdError, match=f"search.options: networks: .*{says}"):
        asked(f'method = "latency_table"\noptions = {{networks = {stated}}}')


def test_a_misspelt_option_is_one_of_the_search_that_would_have_had_it(asked):
    with pytest.raises(EdgekdError, match="structurs") as failed:
        asked("options = {structurs = 8}")
    assert "structures" in f"{failed.value.message} {failed.value.hint}"


@pytest.mark.parametrize(("stated", "says"), [("0.0", "greater than 0"), ("1.0", "less than 1"), ('"all"', "number")])
def test_a_step_is_a_share_of_the_latency(asked, stated, says):
    assert asked('method = "netadapt"\noptions = {step = 0.1}').options.step == 0.1
    with pytest.raises(EdgekdError, match=f"search.options: step: .*{says}"):
        asked(f'method = "netadapt"\noptions = {{step = {stated}}}')


def test_a_training_s_epochs_are_known_where_something_trains():
    def epochs(steps):
        made = recipe(None, {"target": "x86-cpu", "steps": steps, "recover.epochs": 4})
        return Searching(made, has_device=True).question().epochs

    assert epochs(["prune"]) is None
    assert epochs(["prune", "distil"]) == 4


@pytest.mark.parametrize(
    ("stated", "has_device", "method"),
    [
        ({}, True, latency_table),
        ({"search.options": {"networks": 20}}, True, latency_table),
        ({"search.options": {"structures": 20}}, True, latency_table),
        ({}, False, uniform),
        ({"search.keep": {"macs": 0.5}}, True, uniform),
        ({"search.options": {"scope": "global"}}, True, uniform),
        ({"prune.criterion": "influence"}, True, uniform),
        ({"prune.criterion": "magnitude"}, True, uniform),
        ({"search.method": "uniform"}, True, uniform),
        ({"search.ratio": 0.5}, True, fixed),
        ({"search.method": "latency_table"}, True, latency_table),
    ],
)
def test_what_searches_is_stated_or_follows_from_what_is(stated, has_device, method):
    made = recipe(None, {"target": "x86-cpu", **stated})
    assert Searching(made, has_device).search is method
