import re
import tomllib
from pathlib import Path

from edgekd import catalog
from edgekd.gate import budget as budgets
from edgekd.gate.budget import Budget, Conditions

PAGE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")


def section(heading):
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


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
