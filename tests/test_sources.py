import shutil
from pathlib import Path

import pytest

import edgekd
from edgekd import sources

PACKAGE = Path(edgekd.__file__).parent


@pytest.fixture
def copied(tmp_path):
    """Another place with the same code."""
    return shutil.copytree(PACKAGE, tmp_path / "copied", ignore=shutil.ignore_patterns("__pycache__"))


def test_the_same_code_has_the_same_digest_wherever_it_is(copied):
    assert sources.digest(copied) == sources.digest()
    (copied / "__pycache__").mkdir()
    (copied / "__pycache__" / "store.cpython-311.pyc").write_bytes(b"compiled")
    assert sources.digest.__wrapped__(copied) == sources.digest()


@pytest.mark.parametrize(
    "change",
    [
        lambda code: (code / "training/losses/kd.py").open("a").write("\n"),
        lambda code: (code / "steps/mine.py").write_text(""),
        lambda code: (code / "steps/qat.py").unlink(),
        lambda code: (code / "steps/qat.py").rename(code / "steps/aware.py"),
    ],
    ids=["edited", "added", "removed", "renamed"],
)
def test_changed_code_has_another_digest(copied, change):
    change(copied)
    assert sources.digest(copied) != sources.digest()
