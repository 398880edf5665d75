"""Who teaches: the teachers as one network."""

import pytest
import torch

from edgekd.store import key_of
from edgekd.training.supervision import Supervision, Teacher
from edgekd.zoo import networks

SHAPE = (1, 16, 16)


@pytest.fixture
def network(tmp_path):
    def make(seed):
        known = networks.architecture("resnet8", classes=10, shape=SHAPE)
        path = tmp_path / f"{seed}.safetensors"
        return networks.save(networks.untrained(known, seed), path, known, origin="given")

    return make


def test_one_teacher_is_that_network(network):
    images = torch.randn(3, *SHAPE)
    expected = networks.load(network(1))(images)
    assert torch.equal(Supervision((Teacher(network(1), 3.0),)).load()(images), expected)


def test_several_give_the_mean_of_their_logits_by_their_weights(network):
    images = torch.randn(3, *SHAPE)
    first, second = (networks.load(network(seed))(images) for seed in (1, 2))
    together = Supervision((Teacher(network(1)), Teacher(network(2), 3.0))).load()
    assert not together.training
    torch.testing.assert_close(together(images), 0.25 * first + 0.75 * second)


def test_teachers_their_weights_and_what_was_kept_are_in_the_key(network):
    one, two = network(1), network(2)
    keys = [
        Supervision((Teacher(one),)),
        Supervision((Teacher(two),)),
        Supervision((Teacher(one), Teacher(two))),
        Supervision((Teacher(one), Teacher(two, 2.0))),
        Supervision((Teacher(one),), kept={"stem.0": (0, 1)}),
        Supervision((Teacher(one),), kept={"stem.0": (0, 2)}),
    ]
    assert len({str(key_of(each)) for each in keys}) == len(keys)
