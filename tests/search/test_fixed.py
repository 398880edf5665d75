import pytest

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning.space import Block
from edgekd.search import fixed
from edgekd.search._base import WHOLE
from edgekd.values import Structure

STATED = {"widths": {"stem": 40}, "removed": ("a", "b"), "zeros": 0.5}


def test_a_structure_is_taken_as_it_is_stated(bench, question):
    network = bench()
    plan = fixed.find(question(structure=STATED), network)
    assert plan.structure == Structure.model_validate(STATED)
    assert plan.proposal.what == "channels of 1 layers and 2 blocks and 50 % of the weights"
    assert (plan.feasible, plan.further, network.asked) == (None, None, [])


def test_a_ratio_is_of_every_layer(bench, question):
    plan = fixed.find(question(ratio=0.25), bench())
    assert plan.structure.widths == {"stem": 64, "first": 120, "second": 240}
    assert plan.proposal.what == "25 % of every layer's channels"


def test_a_ratio_of_all_channels_takes_the_least_important(bench, question):
    scored = {"stem": (1.0,) * 80, "first": (1.0,) * 160, "second": (0.1,) * 160 + (1.9,) * 160}
    plan = fixed.find(question(ratio=0.25, scope="global"), bench(scored=scored))
    assert plan.structure.widths == {"second": 184}  # a quarter of 560 channels is 140: 136 are 17 blocks


def test_a_ratio_of_0_is_the_whole_network(bench, question):
    assert fixed.find(question(ratio=0.0), bench()).proposal == WHOLE
    assert fixed.trials(question(ratio=0.0), bench().space) == (WHOLE,)


def test_all_blocks_but_those_that_must_stay_can_go(bench, question):
    blocks = tuple(Block(name=name, can_go=name != "stem") for name in ("stem", "a", "b", "c"))
    network = bench(blocks=blocks, block_scores={"a": 2.0, "b": -1.0, "c": 0.0})
    assert set(fixed.find(question("blocks", ratio=0.75), network).structure.removed) == {"a", "b", "c"}


def test_a_ratio_of_blocks_takes_those_of_the_least_scores(bench, question):
    blocks = tuple(Block(name=name, can_go=name != "stem") for name in ("stem", "a", "b", "c"))
    network = bench(blocks=blocks, block_scores={"a": 2.0, "b": -1.0, "c": 0.0})
    plan = fixed.find(question("blocks", ratio=0.5), network)
    assert plan.structure == Structure(removed=("b", "c"))
    assert plan.proposal.what == "2 of 4 blocks"


@pytest.mark.parametrize(("ratio", "left"), [(0.04, 4), (0.99, 0)])
def test_a_ratio_that_no_blocks_amount_to_names_those_that_do(ratio, left, bench, question):
    blocks = tuple(Block(name=name, can_go=name != "stem") for name in ("stem", "a", "b", "c"))
    network = bench(blocks=blocks, block_scores={"a": 2.0, "b": -1.0, "c": 0.0})
    with pytest.raises(UnsupportedModelError, match=f"would leave {left} of the network's 4 blocks") as e:
        fixed.find(question("blocks", ratio=ratio), network)
    assert e.value.hint == "Here, search.ratio can be 0 or 0.25 to 0.75."


def test_one_block_that_can_go_is_enough(bench, question):
    network = bench(blocks=(Block(name="stem", can_go=False), Block(name="a", can_go=True)), block_scores={"a": 0.0})
    assert fixed.find(question("blocks", ratio=0.5), network).structure == Structure(removed=("a",))
    with pytest.raises(UnsupportedModelError, match="would leave 0 of the network's 2 blocks") as e:
        fixed.find(question("blocks", ratio=0.9), network)
    assert e.value.hint == "Here, search.ratio can be 0 or 0.5."


def test_where_no_block_can_go_the_hint_names_another_criterion(bench, question):
    network = bench(blocks=(Block(name="stem", can_go=False),))
    with pytest.raises(UnsupportedModelError, match="none of the network's 1 blocks can be removed") as e:
        fixed.find(question("blocks", ratio=0.5), network)
    assert "l1" in e.value.hint


def test_a_ratio_too_small_to_matter_names_the_smallest_that_does(bench, question):
    with pytest.raises(UnsupportedModelError, match=r"0\.01 prunes nothing") as e:
        fixed.find(question(ratio=0.01), bench())
    assert "0.05" in e.value.hint


def test_a_network_without_a_layer_wider_than_a_block_has_nothing_to_prune(bench, question):
    with pytest.raises(UnsupportedModelError, match="no layer of the network can be narrowed") as e:
        fixed.find(question(ratio=0.5), bench(widths={"only": 8}))
    assert "blocks of 8 channels" in e.value.hint


def test_a_ratio_of_weights_is_one_that_the_criterion_can_take(bench, question):
    assert fixed.find(question("weights", ratio=0.3), bench()).structure == Structure(zeros=0.3)
    with pytest.raises(EdgekdError, match=r"makes 0\.5 of the weights zero, not 0\.3") as e:
        fixed.find(question("weights", ratio=0.3, fractions=(0.5,)), bench())
    assert "search.ratio = 0.5" in e.value.hint


@pytest.mark.parametrize("stated", [{}, {"ratio": 0.5, "structure": STATED}])
def test_one_of_ratio_and_structure_is_stated(stated, question):
    with pytest.raises(EdgekdError, match=r"either search\.ratio or search\.structure"):
        fixed.check(question(**stated))
    fixed.check(question(ratio=0.5))
    fixed.check(question(structure=STATED))


def test_more_channels_than_a_layer_has_are_refused(bench, question):
    space = bench(widths={"a": 32, "b": 64}).space
    with pytest.raises(UnsupportedModelError, match="layer 'a' has 32 channels, so 40 can't be kept"):
        fixed.trials(question(structure={"widths": {"a": 40, "b": 32}}), space)


def test_trials_are_what_is_stated_unless_scores_decide_on_the_widths(bench, question):
    space = bench().space
    assert [each.structure.widths for each in fixed.trials(question(ratio=0.25), space)] == [
        {"stem": 64, "first": 120, "second": 240}
    ]
    assert len(fixed.trials(question(ratio=0.25, scope="global"), space)) == 2
    (weights,) = fixed.trials(question("weights", ratio=0.3, scope="global"), space)
    assert weights.structure == Structure(zeros=0.3)
    assert fixed.trials(question(structure=STATED), space)[0].structure == Structure.model_validate(STATED)
