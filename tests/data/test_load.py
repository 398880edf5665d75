from pathlib import Path

import pytest

from edgekd.data.load import load_dataset
from edgekd.errors import EdgekdError

FACTORIES = """
from dataclasses import replace
from edgekd.data.load import load_dataset

def renamed():
    return replace(load_dataset("digits"), name="mine")

def text():
    return "images"

def broken():
    raise KeyError("no such table")
"""


def error(name: str, root: Path | None = None) -> EdgekdError:
    with pytest.raises(EdgekdError) as caught:
        load_dataset(name, root=root)
    assert caught.value.hint
    return caught.value


def test_unknown_name_gets_the_nearest() -> None:
    assert "Did you mean 'fashion-mnist'?" in error("fashion_mnis").hint
    assert "folder:PATH" in error("mnistt").hint
    assert "Did you mean 'cifar10'?" in error("cifar11:x").hint


def test_underscores_are_taken_for_hyphens_nowhere() -> None:
    assert "Did you mean 'fashion-mnist'?" in error("fashion_mnist").hint


def test_what_stands_behind_the_colon_is_checked() -> None:
    assert "needs a PATH" in error("folder").message
    assert error("folder:").hint == "Write folder:PATH"
    assert "takes no argument, but '8x8' was given" in error("digits:8x8").message


def test_missing_data_root_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in error("digits", tmp_path / "absent").message


def test_factory_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    assert load_dataset("own_data:renamed").name == "mine"
    assert "returned a str" in error("own_data:text").message
    assert "KeyError: 'no such table'" in error("own_data:broken").message
    assert "has no function 'rename'" in error("own_data:rename").message
    assert "no module 'own_dat'" in error("own_dat:renamed").message
    # a factory is meant: which data sets there are is no remedy
    assert error("my_package.data:load").hint == f"It is neither installed nor in {tmp_path}."
