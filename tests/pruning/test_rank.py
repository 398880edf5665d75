import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgekd.pruning.graph import Group
from edgekd.pruning.rank import aligned, most_important, widths_across_layers, widths_by_layer


@pytest.mark.parametrize(
    ("width", "ratio", "block", "expected"),
    [
        (64, 0.5, 8, 32),
        (64, 0.4, 8, 40),  # 38.4
        (64, 0.45, 8, 32),  # 35.2
        (72, 0.5, 8, 40),  # 36 is halfway, and goes up
        (64, 0.99, 16, 16),
        (16, 0.9, 16, 16),
        (12, 0.9, 16, 12),
        (44, 0.0, 8, 44),
        (47, 0.01, 8, 47),  # 48 would be nearest
        (44, 0.05, 8, 40),
    ],
)
def test_aligned_widths(width: int, ratio: float, block: int, expected: int) -> None:
    assert aligned(width, ratio, block=block) == expected


@given(st.integers(1, 4096), st.floats(0, 0.999), st.sampled_from([1, 4, 8, 16, 32]), st.integers(1, 64))
def test_aligned_widths_are_whole_blocks_and_parts_or_untouched(
    width: int, ratio: float, block: int, parts: int
) -> None:
    width *= parts
    kept = aligned(width, ratio, block=block, parts=parts)
    assert 0 < kept <= width
    assert kept % parts == 0
    assert kept == width or (kept % block == 0 and abs(kept - (1 - ratio) * width) <= max(block * parts, kept))


def test_aligned_widths_fall_as_the_ratio_rises() -> None:
    widths = [aligned(200, i / 100, block=8) for i in range(100)]
    assert widths == sorted(widths, reverse=True)


def group(width: int, parts: int = 1) -> Group:
    return Group(f"layer{width}", width, parts, ())


def rising(width: int) -> Tensor:
    return torch.arange(width, dtype=torch.float32)


def test_what_was_narrowed_before_ends_where_the_original_would() -> None:
    groups, originals = [group(40), group(16)], [64, 16]
    assert widths_by_layer(groups, originals, 0.5, block=8) == (32, 8)
    assert widths_by_layer(groups, originals, 0.25, block=8) == (40, 16)  # 48 of the first: more than it has
    assert widths_by_layer(groups, originals, 0, block=8) == (40, 16)


def test_the_least_important_blocks_of_all_groups_go_first() -> None:
    # relative to their means, 1 and 1.5, blocks of 4 are worth 0.5 and 1.5 in the first, 0.67 and 1.33 in the second
    scores = [torch.tensor([0.5] * 4 + [1.5] * 4), torch.tensor([2.0] * 4 + [1.0] * 4)]
    groups, originals = [group(8), group(8)], [8, 8]
    widths = [widths_across_layers(groups, originals, scores, ratio, block=4) for ratio in (0.1, 0.25, 0.5)]
    assert widths == [(8, 8), (4, 8), (4, 4)]


def test_only_what_a_score_is_to_the_mean_of_its_group_counts() -> None:
    groups, originals = [group(64), group(32)], [64, 32]
    small, large = [rising(64), rising(32)], [rising(64), 1000 * rising(32)]
    for ratio in (0.2, 0.5, 0.8):
        expected = widths_across_layers(groups, originals, small, ratio, block=8)
        assert widths_across_layers(groups, originals, large, ratio, block=8) == expected


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6), st.floats(0, 0.999), st.sampled_from([1, 4, 8]), st.randoms()
)
def test_ranked_widths_are_whole_blocks_or_untouched_and_come_to_the_ratio(factors, ratio, block, random) -> None:
    groups = [group(4 * factor, parts=random.choice([1, 2])) for factor in factors]
    scores = [torch.tensor([random.random() for _ in range(g.width)]) for g in groups]
    originals = [g.width for g in groups]
    widths = widths_across_layers(groups, originals, scores, ratio, block=block)
    for g, width in zip(groups, widths, strict=True):
        unit = max(block, g.parts)
        assert width == g.width or (width % unit == 0 and unit <= width < g.width)
    total = sum(originals)
    least = sum(min(g.width, max(block, g.parts)) for g in groups)
    assert abs(sum(widths) - max(least, (1 - ratio) * total)) <= max(block, 2)


def test_ranked_widths_fall_as_the_ratio_rises() -> None:
    groups, scores = [group(20), group(64), group(48)], [rising(20), rising(64) ** 2, rising(48) + 10]
    found = [widths_across_layers(groups, [20, 64, 48], scores, i / 50, block=8) for i in range(50)]
    for wider, narrower in itertools.pairwise(found):
        assert all(a >= b for a, b in zip(wider, narrower, strict=True))


def test_channels_without_any_score_are_ranked_too() -> None:
    assert widths_across_layers([group(16)], [16], [torch.zeros(16)], 0.5, block=8) == (8,)


def test_the_most_important_stay_in_their_order_and_alike_in_every_part() -> None:
    scores = torch.tensor([1.0, 9, 2, 8, 0, 0, 0, 0])
    assert most_important(scores, group(8), 2) == (1, 3)
    assert most_important(scores, group(8, parts=2), 4) == (1, 3, 5, 7)
