import torch

from edgekd.values.network import Architecture
from edgekd.zoo import networks

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
