"""The losses of structures, of which only what lies behind the first change is computed."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgekd.pruning import losses
from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.explore import scores_of, space_of
from edgekd.pruning.losses import Trials
from edgekd.pruning.recorded import Recorded, replayed
from edgekd.values import Structure
from tests.pruning.test_repair import images, l1, trained


def subject(name):
    repairing, (judging, labels) = images()
    own = torch.cat([repairing[:100], judging[:100]]), torch.cat([torch.zeros(100, dtype=torch.int64), labels[:100]])
    return Subject(trained(name), repairing[:1], *own, NoOptions())


def trials(name):
    found = subject(name)
    space = space_of(found.model, found.example, channel_block=4, kinds=["channels"])
    order = [name for name, _ in found.model.named_modules()]
    groups = sorted((g for g in space.groups if len(g.allowed) > 1), key=lambda group: order.index(group.root))
    return Trials(found, scores_of(found, l1()), images=200), groups


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v1", "dense"])
def test_what_is_not_computed_would_give_the_same(name, monkeypatch):
    tried, groups = trials(name)
    judge, parts = Trials._cross_entropy, []

    def compared(self, model, outputs):
        found = judge(self, model, outputs)
        assert judge(self, model, {}) == pytest.approx(found, rel=1e-5)
        parts.append(len(outputs))
        return found

    monkeypatch.setattr(Trials, "_cross_entropy", compared)
    for last in (1, 2, 3):
        assert tried.loss(Structure(widths={group.root: group.allowed[-2] for group in groups[-last:]})) is not None
    assert parts == sorted(parts, reverse=True)
    assert parts[0] > 0


def test_what_lies_before_the_first_change_is_not_computed(monkeypatch):
    tried, groups = trials("resnet8")
    computed = []
    apply = losses.apply

    def counting(*args):
        found = apply(*args)
        found.model.stem.register_forward_hook(lambda *_: computed.append("stem"))
        for name, layer in found.model.named_modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda _, read, __, name=name: computed.append((name, len(read[0]))))
        return found

    monkeypatch.setattr(losses, "apply", counting)
    tried.loss(Structure(widths={groups[-1].root: groups[-1].allowed[0]}))
    many = {each[0] for each in computed if isinstance(each, tuple) and each[1] > 1}
    assert many
    assert not any(name.startswith(("stem", "stages.0")) for name in many)


def test_the_unpruned_network_loses_what_it_loses():
    tried, _ = trials("resnet8")
    own = subject("resnet8")
    with torch.no_grad():
        expected = float(F.cross_entropy(own.model(own.images[100:]), own.labels[100:]))
    assert tried.loss(Structure()) == pytest.approx(expected, rel=1e-5)


def test_a_norm_before_the_first_change_stays_as_it_is():
    """So that the layers which are fitted are those behind the change, not the first ones of the network."""
    tried, groups = trials("resnet8")
    narrow = Structure(widths={groups[-1].root: groups[-1].allowed[-2]})
    assert tried.loss(narrow) == pytest.approx(tried.loss(Structure()), abs=0.3)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.again, self.last = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.last(self.again(self.again(self.first(x))))


def test_parts_are_replayed_up_to_one_that_runs_again():
    torch.manual_seed(0)
    network, given = Twice().eval(), torch.randn(6, 1, 2, 2)
    recorded = Recorded(("first", "again", "last"), len(given))
    with torch.no_grad():
        for some in given.split(4):
            with recorded.of(network):
                network(some)
        first = recorded.first()
        assert list(first) == ["first"]
        expected = network(given)
        with replayed(network, first):
            torch.testing.assert_close(network(torch.zeros_like(given)), expected)
        torch.testing.assert_close(network(given), expected)
    assert first["first"].equal(copy.deepcopy(network).first(given))
