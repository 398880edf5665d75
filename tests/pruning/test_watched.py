"""Which norm reads what a layer gives."""

import pytest
import torch
from torch import nn

from edgekd.pruning.watched import watched

CONVOLUTION = nn.Conv2d(1, 4, 3, stride=2)


@pytest.mark.parametrize(
    ("between", "norm"),
    [([], "1"), ([nn.Identity()], "2"), ([nn.ReLU()], None), ([nn.ReLU(inplace=True)], None)],
)
def test_a_norm_that_reads_something_else_than_the_layer_gives_is_not_the_layers(between, norm):
    model = nn.Sequential(CONVOLUTION, *between, nn.BatchNorm2d(4)).eval()
    (seen,) = watched(model, torch.ones(1, 1, 8, 9)).values()
    assert seen.norm == norm
    assert (seen.size, seen.positions) == ((3, 4), 12)
