from dataclasses import replace

import pytest

from edgekd.data.dataset import Augmentation
from edgekd.data.identity import identity
from edgekd.data.load import load_dataset


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": "of other images"},
        {"mean": (0.1,)},
        {"std": (0.7,)},
        {"classes": tuple("abcdefghij")},
        {"augmentation": Augmentation(pad=3, flip=False)},
        {"augmentation": Augmentation(pad=1, flip=True)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_all_that_decides_what_a_network_sees_counts(digits, changes):
    assert identity(replace(digits, **changes)) != identity(digits)


def test_what_it_is_called_does_not_count(digits):
    assert (
        identity(replace(digits, name="mine", notes=("a note",)))
        == identity(digits)
        == identity(load_dataset("digits"))
    )
