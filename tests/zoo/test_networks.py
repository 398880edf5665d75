import random
import sys

import numpy as np
import pytest
import torch

from edgekd.errors import UnsupportedModelError
from edgekd.values.network import Architecture
from edgekd.zoo import networks
from edgekd.zoo.identity import digest

SHAPE = (1, 28, 28)


def test_what_was_saved_is_loaded(tmp_path):
    known = networks.architecture("resnet8", classes=10, shape=SHAPE)
    module = networks.untrained(known, 3).eval()
    stored = networks.save(module, tmp_path / "weights.safetensors", known, origin="random")
    assert stored.cost.parameters == sum(p.numel() for p in module.parameters())
    images = torch.rand(2, *SHAPE)
    torch.testing.assert_close(networks.load(stored)(images), module(images))


def test_random_weights_are_those_of_the_seed():
    known = networks.architecture("resnet8", classes=10, shape=SHAPE)
    one, same, other = (networks.untrained(known, seed).state_dict()["stem.0.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_an_architecture_counts_by_what_it_computes_and_not_by_its_name():
    plain = networks.architecture("mobilenet_v1:width=0.5", classes=10, shape=SHAPE)
    spelt = networks.architecture("mobilenet_v1:width=0.50", classes=10, shape=SHAPE)
    other = networks.architecture("mobilenet_v1:width=0.25", classes=10, shape=SHAPE)
    assert plain.key() == spelt.key() != other.key()
    assert isinstance(plain, Architecture)


NETS = """
import random
import numpy as np
import torch
from torch import nn

made = 0

class Numbered(nn.Linear):
    def __init__(self, *size):
        global made
        super().__init__(*size)
        made += 1
        self.number = made

def make(classes, channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, classes))

def numbered(classes, channels):
    return nn.Sequential(nn.Flatten(), Numbered(channels * 28 * 28, classes))

def drawn(classes, channels):
    net = make(classes, channels)
    with torch.no_grad():
        net[0].weight.copy_(torch.from_numpy(np.random.normal(size=(4, channels, 3, 3))))
        net[0].bias.fill_(random.random())
    return net
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the module `drawn_nets`, as it is from now on."""
    monkeypatch.syspath_prepend(tmp_path)
    # of the same second and size as before, the bytecode would be that of before
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(code):
        (tmp_path / "drawn_nets.py").write_text(code)
        sys.modules.pop("drawn_nets", None)

    yield write
    sys.modules.pop("drawn_nets", None)


def stored(name, folder):
    known = networks.architecture(f"drawn_nets:{name}", classes=10, shape=SHAPE)
    return networks.save(networks.untrained(known, 0), folder / "w.safetensors", known, origin="random")


def test_a_name_that_stands_for_another_network_by_now_is_refused(written, tmp_path, monkeypatch):
    written(NETS)
    network = stored("make", tmp_path)
    networks.load(network)
    written(NETS.replace("nn.ReLU()", "nn.SiLU()"))
    monkeypatch.setattr(networks, "_identities", {})  # as in a process that starts now
    with pytest.raises(UnsupportedModelError, match="'drawn_nets:make' builds another network now") as error:
        networks.load(network)
    assert error.value.hint


def test_what_is_never_twice_the_same_is_loaded(written, tmp_path):
    written(NETS)
    networks.load(stored("numbered", tmp_path))


def test_all_that_a_factory_draws_follows_the_seed_and_leaves_the_states(written):
    written(NETS)
    known = networks.architecture("drawn_nets:drawn", classes=10, shape=SHAPE)
    digests = []
    for state, seed in ((1, 0), (2, 0), (3, 1)):
        random.seed(state)
        np.random.seed(state)
        torch.manual_seed(state)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        digests.append(digest(networks.untrained(known, seed)))
        assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    assert digests[0] == digests[1] != digests[2]
