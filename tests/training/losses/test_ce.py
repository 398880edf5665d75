import math

import pytest
import torch

from edgekd.training.losses import ce
from edgekd.training.losses._base import Example
from edgekd.training.outputs import Outputs


def test_is_the_mean_negative_log_likelihood() -> None:
    logits = [[1.0, -2.0, 0.5], [0.1, 0.2, -3.0]]
    labels = [2, 0]
    expected = sum(
        math.log(sum(math.exp(z) for z in row)) - row[label] for row, label in zip(logits, labels, strict=True)
    )
    seen = Outputs(torch.tensor(logits))
    value = ce.build({}, Example(seen, None))(seen, None, torch.tensor(labels))
    assert value.item() == pytest.approx(expected / 2, abs=1e-6)


def test_ignores_a_teacher() -> None:
    seen, labels = Outputs(torch.randn(4, 3)), torch.tensor([0, 1, 2, 0])
    loss = ce.build({}, Example(seen, None))
    assert ce.NEEDS == "labels"
    assert loss(seen, Outputs(torch.randn(4, 3)), labels) == loss(seen, None, labels)
