import math

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.training.losses._features import full_precision, projection, same_size, stage_pairs
from edgekd.training.outputs import Outputs


def averaged(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Each new value is the mean of the old ones that it touches."""
    result = np.zeros((*maps.shape[:2], height, width))
    for i in range(height):
        for j in range(width):
            rows = slice(i * maps.shape[2] // height, math.ceil((i + 1) * maps.shape[2] / height))
            columns = slice(j * maps.shape[3] // width, math.ceil((j + 1) * maps.shape[3] / width))
            result[:, :, i, j] = maps[:, :, rows, columns].mean((2, 3))
    return result


@pytest.mark.parametrize(
    ("one", "other", "size"),
    [((8, 8), (4, 4), (4, 4)), ((2, 2), (6, 4), (2, 2)), ((7, 7), (3, 3), (3, 3)), ((4, 6), (8, 3), (4, 3))],
)
def test_larger_map_is_averaged_to_the_smaller_size(
    one: tuple[int, int], other: tuple[int, int], size: tuple[int, int]
) -> None:
    random = np.random.default_rng(0)
    maps = [random.normal(size=(2, 3, *of)) for of in (one, other)]
    for given, original in zip(same_size(*map(torch.from_numpy, maps)), maps, strict=True):
        np.testing.assert_allclose(given.numpy(), averaged(original, *size), atol=1e-12)


def test_averages_of_bf16_are_in_fp32() -> None:
    # 256 + 1 has no place in bf16's 8 bits
    maps = torch.tensor([256.0, 1.0, 1.0, 1.0], dtype=torch.bfloat16).reshape(1, 1, 2, 2)
    given, other = same_size(maps, maps[..., :1, :1])
    assert given.dtype is other.dtype is torch.float32
    assert given.item() == 259 / 4


def test_stages_are_paired_from_the_last_backwards() -> None:
    logits = torch.zeros(1, 2)
    long = Outputs(logits, tuple(torch.full((1, 1, 1, 1), float(i)) for i in range(5)))
    short = Outputs(logits, tuple(torch.full((1, 1, 1, 1), 10.0 + i) for i in range(3)))
    assert [(a.item(), b.item()) for a, b in stage_pairs("any", short, long)] == [(10, 2), (11, 3), (12, 4)]
    assert [(a.item(), b.item()) for a, b in stage_pairs("any", long, short)] == [(2, 10), (3, 11), (4, 12)]


def test_products_stay_exact_whatever_autocast_says() -> None:
    values = torch.tensor([[1.0, 1 / 512]])
    with torch.autocast("cpu", torch.bfloat16):
        assert (values @ values.T + 0).dtype is torch.bfloat16
        with full_precision(values):
            assert (values @ values.T).item() == 1 + 1 / 512**2


def test_projection_has_the_channels_of_both() -> None:
    made = projection(torch.zeros(2, 3, 5, 5), torch.zeros(2, 7, 4, 4))
    assert isinstance(made, nn.Conv2d)
    assert made(torch.zeros(2, 3, 5, 5)).shape == (2, 7, 5, 5)
