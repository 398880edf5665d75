"""The step that gives what is left of a network new random weights."""

import pytest
import torch

from edgekd.zoo import networks
from edgekd.zoo.definition import Definition, layers_of, remove_blocks

BLOCK = "stage1.1"


@pytest.fixture
def without_a_block(tmp_path):
    """A network that lacks a block, on disk."""
    known = networks.architecture("resnet14", classes=10, shape=(1, 16, 16))
    model = networks.untrained(known, 0)
    remove_blocks(model, [BLOCK])
    size = {"model": "resnet14", "classes": 10, "channels": 1, "height": 16, "width": 16}
    Definition(**size, kept={}, removed=(BLOCK,), layers=layers_of(model)).write(tmp_path / "student.json")
    definition = networks.file_of(tmp_path / "student.json")
    return networks.save(model, tmp_path / "pruned.safetensors", known, origin="pruned", definition=definition)


def state(network):
    return networks.load(network).state_dict()


def test_what_is_pruned_stays_gone_and_no_weight_is_left(take, without_a_block):
    before, drawn = state(without_a_block), state(take("prune", "reset", pruned=lambda network, share: without_a_block))
    assert {key: value.shape for key, value in drawn.items()} == {key: value.shape for key, value in before.items()}
    convolutions = [key for key, value in drawn.items() if value.ndim == 4]
    assert convolutions
    assert not any(torch.equal(drawn[key], before[key]) for key in convolutions)


def test_another_seed_draws_other_weights_and_the_same_the_same(take):
    first, second, other = (state(take("reset", seed=seed))["stem.0.weight"] for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_single_weights_that_were_pruned_stay_zero(take, network, tmp_path):
    known = network().architecture
    model = networks.untrained(known, 0)
    with torch.no_grad():
        for weight in (p for p in model.parameters() if p.ndim > 1):
            weight.masked_fill_(torch.rand_like(weight) < 0.5, 0)
    sparse = networks.save(model, tmp_path / "sparse.safetensors", known, origin="pruned", sparse=True)
    drawn = take("prune", "reset", pruned=lambda network, share: sparse)
    assert drawn.sparse
    for key, value in model.state_dict().items():
        if value.ndim > 1:
            assert torch.equal(state(drawn)[key] == 0, value == 0)
            assert not torch.equal(state(drawn)[key], value)


def test_the_folder_of_a_stage_holds_all_of_its_network(take, without_a_block):
    drawn = take("prune", "reset", pruned=lambda network, share: without_a_block)
    assert drawn.definition.path.parent == drawn.weights.path.parent
    assert drawn.definition.sha256 == without_a_block.definition.sha256
