from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from edgekd.progress import Silent
from edgekd.studies import run as verb
from edgekd.studies._overview import scaled, study


@pytest.fixture(scope="session", autouse=True)
def kept_here(own_cache):
    """All of these tests share one cache, and find nothing from elsewhere."""


SEARCHED = {"search.options": {"networks": 8, "structures": 24}}
"""Fewer networks that teach a table, and fewer structures that are tried, than by default."""


def chosen(arms, wanted, paced):
    """Those that are wanted, compared with none that isn't; trained for as long as another only if they are `paced`."""
    names = {arm.name for arm in arms if wanted(arm)}
    return tuple(
        arm.model_copy(
            update={
                "control": arm.control if arm.control in names else None,
                "as_long_as": arm.as_long_as if paced else None,
                "settings": {
                    **arm.settings,
                    **(SEARCHED if arm.settings.get("search.method") == "latency_table" else {}),
                },
            }
        )
        for arm in arms
        if arm.name in names
    )


@pytest.fixture
def run_study(monkeypatch, tmp_path):
    """Runs arms of a shipped study as the command does, with one seed and one epoch: its result."""

    def run(name, arms, *, target, paced=False, device=None):
        found = study(name)
        some = SimpleNamespace(**{**vars(found), "arms": lambda scale: chosen(found.arms(scale), arms, paced)})
        monkeypatch.setattr(verb, "study", lambda _: some)
        if device:
            monkeypatch.setattr(verb, "device_of_target", lambda *_: nullcontext(device))
        scale = scaled(found, "smoke", epochs=1, teacher_epochs=1)
        result = verb.run_study(name, scale, tmp_path / name, seeds=1, target=target, progress=Silent())
        assert not result.failures
        return result

    return run
