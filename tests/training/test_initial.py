"""Networks before any training."""

import pytest
import torch

from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.training.initial import initial
from edgekd.zoo import networks


@pytest.fixture
def run(tmp_path):
    return Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())


def test_it_is_what_the_factory_gives_for_the_seed(run):
    known = networks.architecture("resnet8", classes=10, shape=(1, 16, 16))
    first, other = initial(run, known, 3), initial(run, known, 4)
    assert first == initial(run, known, 3)
    assert first.weights.sha256 != other.weights.sha256
    assert first.origin == "random"
    expected = networks.untrained(known, 3).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in networks.load(first).state_dict().items())


def test_what_is_shared_is_found_by_other_runs(run, tmp_path):
    known = networks.architecture("resnet8", classes=10, shape=(1, 16, 16))
    another = Run(store=Store(tmp_path / "another"), shared=run.shared, progress=Silent())
    assert initial(run, known, 3, shared=True) == initial(another, known, 3, shared=True)
    assert initial(run, known, 3).weights.path != initial(another, known, 3).weights.path
