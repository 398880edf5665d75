from types import SimpleNamespace

import pytest

from edgekd.pipeline import study as verb
from edgekd.progress import Silent
from edgekd.studies._outline import scaled, study


def chosen(arms, wanted):
    """Those that are wanted, compared with none that isn't."""
    names = {arm.name for arm in arms if wanted(arm)}
    return tuple(
        arm if arm.control in names else arm.model_copy(update={"control": None}) for arm in arms if arm.name in names
    )


@pytest.fixture
def run_study(monkeypatch, tmp_path):
    """Runs arms of a shipped study as the command does, with one seed and one epoch: its result."""

    def run(name, arms=lambda arm: True, *, target):
        found = study(name)
        some = SimpleNamespace(**{**vars(found), "arms": lambda scale: chosen(found.arms(scale), arms)})
        monkeypatch.setattr(verb, "study", lambda _: some)
        scale = scaled(found, "smoke", epochs=1, teacher_epochs=1)
        result = verb.run_study(name, scale, tmp_path / name, seeds=1, target=target, progress=Silent())
        assert not result.failures
        return result

    return run
