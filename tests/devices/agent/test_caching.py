import pwd
from pathlib import Path

import pytest


@pytest.fixture
def no_home(monkeypatch):
    """A user whom the system doesn't know, as in a container that is started with a user's number."""

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_a_user_without_a_home_can_be_described_but_keeps_no_engines(no_home):
    import board
    import engines
    import protocol

    assert board.describe(None).free_bytes is None
    with pytest.raises(ValueError, match="no home folder for engines"):
        engines.build(None, protocol.Build("net.onnx", {}, "key"), dict, None)


def test_the_folder_is_the_given_one_or_in_the_users_cache(monkeypatch):
    import caching

    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert caching.folder(None) == Path("/home/someone/.cache/edgekd")
    monkeypatch.setenv("XDG_CACHE_HOME", "/large")
    assert caching.folder(None) == Path("/large/edgekd")
    assert caching.folder("/data/local/tmp/edgekd") == Path("/data/local/tmp/edgekd")
