from edgekd.pruning.space import ChannelGroup, Space, allowed_widths, part_of_the_way
from edgekd.values import Structure

SPACE = Space(
    channel_block=8,
    groups=tuple(
        ChannelGroup(root=root, width=width, allowed=allowed_widths(width, block=8, parts=1))
        for root, width in {"a": 64, "b": 44}.items()
    ),
)


def test_allowed_widths_are_multiples_of_block_and_parts_and_the_width_itself() -> None:
    assert allowed_widths(44, block=8, parts=1) == (8, 16, 24, 32, 40, 44)
    assert allowed_widths(36, block=8, parts=3) == (24, 36)
    assert allowed_widths(8, block=8, parts=1) == (8,)


def test_part_of_the_way_widths_are_between_and_never_narrower_than_in_the_end() -> None:
    whole_way = Structure(widths={"a": 24, "b": 40})
    assert part_of_the_way(SPACE, whole_way, 0.5) == Structure(widths={"a": 48})  # 44, and 42 of 44
    assert part_of_the_way(SPACE, whole_way, 0.9) == Structure(widths={"a": 32})
    assert part_of_the_way(SPACE, whole_way, 1) == whole_way
    assert part_of_the_way(SPACE, whole_way, 0).is_whole


def test_part_of_the_way_blocks_and_weights_go_in_their_order() -> None:
    assert part_of_the_way(SPACE, Structure(removed=("x", "y", "z")), 0.5).removed == ("x",)
    assert part_of_the_way(SPACE, Structure(zeros=0.8), 0.5).zeros == 0.4


def test_blocks_all_go_at_once_where_layers_become_narrower_too() -> None:
    both = Structure(widths={"a": 24}, removed=("x", "y"))
    assert part_of_the_way(SPACE, both, 0.5) == Structure(widths={"a": 48}, removed=("x", "y"))
