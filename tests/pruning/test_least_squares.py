"""Where layers are fitted."""

import pytest
import torch
from torch import nn

from edgekd.pruning.least_squares import sampled


@pytest.mark.parametrize(
    ("layer", "count", "taken"),
    [
        (nn.Conv2d(4, 8, 1), 1_500, 1_500),
        (nn.Conv2d(4, 8, 1), 100_000, 2_000),  # few weights need few positions
        (nn.Conv2d(16, 8, 3), 100_000, 7_200),
        (nn.Conv2d(64, 8, 3), 100_000, 10_000),
        (nn.Conv2d(1024, 1024, 3, groups=1024), 100_000, 868),  # all that it reads is bounded
        (nn.Linear(25_088, 2), 100_000, 318),
    ],
)
def test_positions_are_enough_for_the_weights_and_bounded_by_what_is_read(layer, count, taken):
    found = sampled(layer, count, torch.Generator().manual_seed(0))
    assert len(found) == taken
    assert 0 <= found.min() <= found.max() < count
    assert torch.equal(found, found.sort().values)
