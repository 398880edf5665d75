"""Where the user's files are, with and without a home; the places of other systems are platformdirs' own."""

from pathlib import Path

import platformdirs
import pytest

from edgekd import catalog, folders


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_on_linux_they_are_where_xdg_says(home, monkeypatch):
    assert folders.cache() == home / ".cache" / "edgekd"
    assert folders.configs() == (home / ".edgekd", home / ".config" / "edgekd")
    (home / ".cache" / "edgekd").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "x"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "y"))
    assert folders.cache() == home / "x" / "edgekd"
    assert folders.configs()[-1] == home / "y" / "edgekd"


def test_a_home_that_may_not_be_entered_has_no_folders(home, monkeypatch):
    """As that of a service with ProtectHome, or of a container's user with another one's HOME: Path.is_dir raises."""

    real = Path.is_dir

    def forbidden(self):
        if self.is_relative_to(home):
            raise PermissionError(13, "Permission denied", str(self))
        return real(self)

    monkeypatch.setattr(Path, "is_dir", forbidden)
    assert folders.cache() == home / ".cache" / "edgekd"
    assert "no-slower" in catalog.toml_files("profiles")


def test_a_cache_of_an_earlier_version_stays_in_use_on_other_systems(home, monkeypatch):
    usual = home / "Library" / "Caches" / "edgekd"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda app, appauthor: usual)
    assert folders.cache() == usual
    (home / ".cache" / "edgekd").mkdir(parents=True)
    assert folders.cache() == home / ".cache" / "edgekd"
    usual.mkdir(parents=True)
    assert folders.cache() == usual
