import pytest
import torch
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.training.ensemble import Ensemble
from edgekd.zoo.identity import digest


def test_gives_the_weighted_mean_of_the_logits() -> None:
    members = [nn.Linear(4, 3) for _ in range(3)]
    images = torch.randn(5, 4)
    each = torch.stack([member(images) for member in members])
    torch.testing.assert_close(Ensemble(members)(images), each.mean(0))
    expected = (each[0] + 3 * each[1]) / 4
    torch.testing.assert_close(Ensemble(members, [1, 3, 0])(images), expected)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_weights_that_are_no_mean_are_refused(weights: list[float]) -> None:
    with pytest.raises(EdgekdError, match="ensemble of 2 teachers"):
        Ensemble([nn.Linear(4, 3), nn.Linear(4, 3)], weights)


def test_no_member_is_refused() -> None:
    with pytest.raises(EdgekdError, match="ensemble of 0"):
        Ensemble([])


def test_digest_distinguishes_the_weights() -> None:
    members = [nn.Linear(4, 3), nn.Linear(4, 3)]
    assert digest(Ensemble(members, [1, 1])) == digest(Ensemble(members, [2, 2]))
    assert digest(Ensemble(members, [1, 1])) != digest(Ensemble(members, [1, 2]))
