import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgekd.devices.agent import engines, protocol

LONG_AGO = 31 * 86_400


@pytest.fixture
def build(tmp_path):
    """Builds the engine of a key, or finds it."""

    def builds(path, engine, shapes):
        Path(engine).write_text(path)
        return "somehow"

    def run(key):
        request = protocol.Build("net.onnx", {}, key)
        return Path(engines.build(SimpleNamespace(build=builds), request, dict, str(tmp_path)).path)

    return run


@pytest.fixture
def restart(monkeypatch):
    """As if the device had been started again."""

    def run():
        monkeypatch.setattr(engines, "_boot", lambda: "another")

    return run


def age(engine, seconds):
    file = engine.with_name(f"{engine.name}.used")
    os.utime(file, (time.time() - seconds,) * 2)


def test_what_was_not_used_for_long_goes_when_another_one_is_built(build, restart):
    old, used, recent = build("a/old"), build("b/used"), build("a/recent")
    (old.parent / "timing-1").write_text("kept")
    for engine in (old, used):
        age(engine, LONG_AGO)
    restart()
    assert build("b/used") == used
    assert old.exists()  # nothing was built
    build("a/new")
    assert not [*old.parent.glob("old*")]
    assert used.exists()
    assert recent.exists()
    assert (old.parent / "timing-1").exists()
    assert build("a/old").exists()


def test_a_clock_that_jumps_removes_nothing_that_was_used_since_the_start(build):
    engine = build("a/one")
    age(engine, 56 * 365 * 86_400)  # used before the board got its date
    build("a/other")
    assert engine.exists()


def test_a_device_that_runs_for_long_removes_what_it_no_longer_uses(build, monkeypatch):
    engine = build("a/one")
    since = time.monotonic()
    monkeypatch.setattr(engines.time, "monotonic", lambda: since + LONG_AGO)
    build("a/other")
    assert not engine.exists()


def test_an_engine_whose_last_use_is_not_known_stays(build, restart):
    engine = build("a/one")
    engine.with_name(f"{engine.name}.used").unlink()
    restart()
    build("a/other")
    assert engine.exists()
