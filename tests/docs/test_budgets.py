import re
import tomllib
from pathlib import Path

import pytest

from edgekd import catalog
from edgekd.gate import budget as budgets
from edgekd.gate.budget import Budget, Conditions
from edgekd.values import Value

PAGE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")


def section(heading):
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def tables():
    """The fields of a budget that are tables, with their kinds."""
    for name, field in Budget.model_fields.items():
        for kind in getattr(field.annotation, "__args__", ()):
            if isinstance(kind, type) and issubclass(kind, Value):
                yield name, kind


@pytest.mark.parametrize("key", Budget.model_fields)
def test_every_table_is_explained(key):
    assert re.search(rf"`\[*{key}\]*`", section("Keys"))


@pytest.mark.parametrize(
    ("table", "key"), [(t, k) for t, kind in tables() if kind is not Conditions for k in kind.model_fields]
)
def test_every_key_is_explained_in_its_table(table, key):
    rows = section("Keys").partition(f"[{table}]")[2]
    own = re.split(r"\n\| \*\*`\[", rows)[0]
    assert f"`{key}`" in own


def test_the_conditions_are_all_of_them():
    (example,) = re.findall(r"```toml\n(.*?)```", section("Conditions"), re.DOTALL)
    conditions = Budget.model_validate({"name": "b", **tomllib.loads(example)}).conditions
    assert conditions.model_fields_set == set(Conditions.model_fields)


def test_the_shipped_ones_are_listed_with_their_limits():
    rows = dict(re.findall(r"\n\| `([\w-]+)` \| (.*) \|", section("Shipped")))
    shipped = {b.name: b for b in budgets.known() if (catalog.folder("profiles") / f"{b.name}.toml").is_file()}
    assert set(rows) == set(shipped)
    for name, budget in shipped.items():
        if budget.latency.limit_ms:
            assert f"p{budget.latency.percentile:g} of {budget.latency.limit_ms:g} ms" in rows[name]
        if budget.latency.max_ratio:
            assert f"`max_ratio` {budget.latency.max_ratio:g}" in rows[name]
        if budget.latency.cadence_hz:
            assert f"`cadence_hz` {budget.latency.cadence_hz:g}" in rows[name]
        if budget.memory:
            assert f"{budget.memory.peak_bytes / 1e6:g} MB of memory" in rows[name]
        if budget.size and budget.size.transfer_bytes:
            assert f"{budget.size.transfer_bytes / 1e6:g} MB to transfer" in rows[name]
        if budget.size and budget.size.disk_bytes:
            assert f"{budget.size.disk_bytes / 1e6:g} MB on disk" in rows[name]


def test_the_page_is_short():
    assert len(PAGE.splitlines()) < 120
