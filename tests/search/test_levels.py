from edgekd.pruning.space import Block
from edgekd.search._base import WHOLE
from edgekd.search._levels import Levels, Options
from edgekd.search._widths import aligned


def levels(bench, granularity="channels", scope="layer", fractions=()):
    return Levels(granularity, bench.space, Options(scope=scope), bench.scores, fractions).all()


def test_levels_are_the_ratios_that_make_a_difference(space):
    found = Levels("channels", space({"a": 64, "b": 128, "c": 256}, block=64), Options(), lambda: None).all()
    whole = {"a": 64, "b": 128, "c": 256}
    widths = [tuple({**whole, **level.structure.widths}.values()) for level in found]
    # on the grid: 256 → 192 at 0.15, 128 → 64 and 256 → 128 at 0.4 (0.25 leaves 96 of 128, which is nearest to 128)
    assert widths == [(64, 128, 256), (64, 128, 192), (64, 64, 192), (64, 64, 128), (64, 64, 64)]
    assert widths[2] == tuple(aligned(w, 0.3, block=64) for w in (64, 128, 256))
    assert found[0] == WHOLE


def test_each_level_is_smaller_than_the_one_before(bench):
    network = bench(scored={"stem": (1.0,) * 80, "first": (0.5,) * 160, "second": tuple(map(float, range(320)))})
    for scope in ("layer", "global"):
        shares = [network.share(level.structure) for level in levels(network, scope=scope)]
        assert shares == sorted(set(shares), reverse=True)
        assert len(shares) > 10


def test_blocks_go_one_by_one_and_one_is_left(bench):
    blocks = tuple(Block(name=name, can_go=True) for name in "abc")
    found = levels(bench(blocks=blocks, block_scores={"a": 3.0, "b": 1.0, "c": 2.0}), "blocks")
    assert [level.structure.removed for level in found] == [(), ("b",), ("b", "c")]


def test_weights_that_are_zero_already_are_no_level(bench):
    network = bench()
    assert [round(level.structure.zeros, 2) for level in levels(network, "weights")] == [
        round(0.05 * i, 2) for i in range(20)
    ]
    sparse = network.space.model_copy(update={"zeros": 300})
    found = Levels("weights", sparse, Options(), network.scores).all()
    assert [round(level.structure.zeros, 2) for level in found][:2] == [0, 0.35]
    assert [level.structure.zeros for level in levels(network, "weights", fractions=(0.5,))] == [0, 0.5]
