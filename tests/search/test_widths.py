import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.pruning.space import ChannelGroup, Space, allowed_widths
from edgekd.search._widths import aligned, widths_across_layers, widths_by_layer


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
        (41, 0.0, 8, 41),  # not even to the next multiple
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


def of(groups: dict[str, tuple[int, int]], *, block: int) -> Space:
    """A space of groups of these widths and parts."""
    found = tuple(
        ChannelGroup(root=root, width=width, parts=parts, allowed=allowed_widths(width, block=block, parts=parts))
        for root, (width, parts) in groups.items()
    )
    return Space(channel_block=block, groups=found)


def widths(space: Space, narrower: dict[str, int]) -> tuple[int, ...]:
    return tuple(narrower.get(group.root, group.width) for group in space.groups)


def rising(width: int) -> list[float]:
    return [float(i) for i in range(width)]


def test_only_layers_that_become_narrower_are_named() -> None:
    space = of({"a": (64, 1), "b": (8, 1)}, block=8)
    assert widths_by_layer(space, 0.5) == {"a": 32}
    assert widths_by_layer(space, 0) == {}


def test_the_least_important_blocks_of_all_groups_go_first() -> None:
    # relative to their means, 1 and 1.5, blocks of 4 are worth 0.5 and 1.5 in the first, 0.67 and 1.33 in the second
    scores = {"a": [0.5] * 4 + [1.5] * 4, "b": [2.0] * 4 + [1.0] * 4}
    space = of({"a": (8, 1), "b": (8, 1)}, block=4)
    found = [widths(space, widths_across_layers(space, scores, ratio)) for ratio in (0.1, 0.25, 0.5)]
    assert found == [(8, 8), (4, 8), (4, 4)]
    assert widths_across_layers(space, scores, 0.25) == {"a": 4}


@pytest.mark.parametrize(("channels", "narrower"), [(3.5, {}), (4, {}), (4.5, {"a": 8})])
def test_a_block_goes_if_that_is_nearer_to_the_ratio(channels: float, narrower: dict[str, int]) -> None:
    space = of({"a": (16, 1)}, block=8)
    assert widths_across_layers(space, {"a": rising(16)}, channels / 16) == narrower


def test_smaller_steps_of_a_group_do_not_go_before_less_important_ones() -> None:
    # 4 channels of 0.9 and 8 of 0.5 can go
    space = of({"a": (12, 1), "b": (16, 1)}, block=8)
    scores = {"a": [0.9] * 4 + [1.05] * 8, "b": [0.5] * 8 + [1.5] * 8}
    assert widths_across_layers(space, scores, 8 / 28) == {"b": 8}


def test_each_block_of_a_group_goes_by_its_own_mean() -> None:
    # 0.8 and 1.2 in the first, 0.3, 0.6 and 2.1 in the second
    scores = {"a": [0.8] * 4 + [1.2] * 4, "b": [0.3] * 4 + [0.6] * 4 + [2.1] * 4}
    space = of({"a": (8, 1), "b": (12, 1)}, block=4)
    found = [widths(space, widths_across_layers(space, scores, ratio)) for ratio in (0.2, 0.4, 0.6)]
    assert found == [(8, 8), (8, 4), (4, 4)]


def test_parts_that_are_read_side_by_side_are_scored_together() -> None:
    """A place is worth the mean of all parts' scores there: 1 to 4 in both groups, so that half of each goes."""
    scores = {"whole": [1.0, 2.0, 3.0, 4.0], "halves": [1.0, 1.0, 4.0, 5.0, 1.0, 3.0, 2.0, 3.0]}
    space = of({"whole": (4, 1), "halves": (8, 2)}, block=1)
    found = [widths(space, widths_across_layers(space, scores, ratio)) for ratio in (0.1, 0.25, 0.5)]
    assert found == [(3, 8), (3, 6), (2, 4)]


def test_only_what_a_score_is_to_the_mean_of_its_group_counts() -> None:
    space = of({"a": (64, 1), "b": (32, 1)}, block=8)
    small, large = {"a": rising(64), "b": rising(32)}, {"a": rising(64), "b": [1000 * s for s in rising(32)]}
    for ratio in (0.2, 0.5, 0.8):
        assert widths_across_layers(space, large, ratio) == widths_across_layers(space, small, ratio)


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6), st.floats(0, 0.999), st.sampled_from([1, 4, 8]), st.randoms()
)
def test_ranked_widths_are_whole_blocks_or_untouched_and_come_to_the_ratio(factors, ratio, block, random) -> None:
    space = of({f"{i}": (4 * f, random.choice([1, 2])) for i, f in enumerate(factors)}, block=block)
    scores = {group.root: [random.random() for _ in range(group.width)] for group in space.groups}
    found = widths(space, widths_across_layers(space, scores, ratio))
    for group, width in zip(space.groups, found, strict=True):
        unit = max(block, group.parts)
        assert width == group.width or (width % unit == 0 and unit <= width < group.width)
        assert width in group.allowed
    total = sum(group.width for group in space.groups)
    least = sum(min(group.width, max(block, group.parts)) for group in space.groups)
    assert abs(sum(found) - max(least, (1 - ratio) * total)) <= max(block, 2)


def test_ranked_widths_fall_as_the_ratio_rises() -> None:
    space = of({"a": (20, 1), "b": (64, 1), "c": (48, 1)}, block=8)
    scores = {"a": rising(20), "b": [s * s for s in rising(64)], "c": [s + 10 for s in rising(48)]}
    found = [widths(space, widths_across_layers(space, scores, i / 50)) for i in range(50)]
    for wider, narrower in itertools.pairwise(found):
        assert all(a >= b for a, b in zip(wider, narrower, strict=True))


def test_rounding_does_not_reorder_the_steps_of_a_group() -> None:
    # in Python 3.11 the mean of 4 of these, relative to that of all, is larger than that of 8
    space = of({"a": (20, 1)}, block=8)
    assert widths_across_layers(space, {"a": [1 / 3] * 20}, 4 / 20) == {"a": 16}


def test_channels_without_any_score_are_ranked_too() -> None:
    space = of({"a": (16, 1)}, block=8)
    assert widths_across_layers(space, {"a": [0.0] * 16}, 0.5) == {"a": 8}
