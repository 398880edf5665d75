"""Blocks that the dependency graph mixes up, or fails on, are narrowed where they can be, and rightly."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.apply import Pruned
from edgekd.pruning.choose import channels_of
from edgekd.pruning.classes import readers
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.explore import space_of
from edgekd.pruning.graph import Group
from edgekd.pruning.marks import trace
from edgekd.pruning.probed import Probed
from edgekd.pruning.proof import require_proof
from edgekd.zoo.build import build

MakeSubject = Callable[..., Subject]
Narrow = Callable[..., Pruned]
IMAGES = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def layer(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.SiLU())


class C2f(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = layer(32, 32), layer(48, 32)
        self.inner = nn.Sequential(layer(16, 16, 3), layer(16, 16, 3))

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).chunk(2, 1))
        parts.append(parts[-1] + self.inner(parts[-1]))
        return self.leave(torch.cat(parts, 1))


class Res2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = layer(32, 64), layer(64, 32)
        self.inner = nn.ModuleList(layer(16, 16, 3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.enter(x).chunk(4, 1)
        parts = [first]
        for inner, other in zip(self.inner, others, strict=True):
            parts.append(inner(other + parts[-1] if len(parts) > 1 else other))
        return x + self.leave(torch.cat(parts, 1))


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.inner, self.leave = layer(32, 32), layer(16, 16, 3), layer(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        y = self.enter(x)
        half = y.shape[1] // 2
        return self.leave(torch.cat([y[:, :half], self.inner(y[:, half:])], 1))


class Upsampling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(32, 128, 3, padding=1), layer(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(F.relu(F.pixel_shuffle(self.enter(x), 2)))


class Shuffling(nn.Module):
    """A block of ShuffleNetV2."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(layer(16, 16), layer(16, 16, 3, groups=16), layer(16, 16))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        y = torch.cat([left, self.branch(right)], 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Recurrent(nn.Module):
    """Reads the columns of a map as a sequence: what it reads keeps its width."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = nn.GRU(32, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.reader(x.mean(2).transpose(1, 2))[0]
        return found[:, -1, :, None, None]


class Viewed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)).view(-1, 32)[:, :, None, None]


def network(block: nn.Module) -> nn.Sequential:
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    return nn.Sequential(layer(1, 32, 3), layer(32, 32, 3), block, *head).eval()


def spread(group: Group) -> Tensor:
    return torch.arange(group.width).mul(7).remainder(group.width).float()


@pytest.mark.parametrize(
    ("block", "narrowed"),
    [
        (C2f, {"0.0", "1.0", "2.enter.0", "2.inner.0.0", "2.inner.1.0", "2.leave.0"}),
        (Res2, {"0.0", "1.0", "2.enter.0", "2.inner.0.0", "2.inner.1.0", "2.inner.2.0", "2.leave.0"}),
        (Halves, {"0.0", "1.0", "2.enter.0", "2.inner.0", "2.leave.0"}),
        (Upsampling, {"0.0", "1.0", "2.enter", "2.leave.0"}),
        (Shuffling, {"0.0", "2.branch.0.0", "2.branch.1.0"}),
        (Recurrent, {"0.0"}),
        (Viewed, {"0.0"}),
    ],
)
def test_what_can_be_narrowed_is_and_is_the_original_without_the_rest(
    block: Callable[[], nn.Module], narrowed: set[str], subject_of: MakeSubject, narrow: Narrow
) -> None:
    model = network(block())
    subject = subject_of(model)
    assert isinstance(channels_of(model, copy.deepcopy(model), subject.example), Probed)
    student = narrow(model, 0.5, spread)
    require_proof(model, student.model, IMAGES, kept=student.kept)
    assert student.kept.keys() >= narrowed
    groups = space_of(model, subject.example, channel_block=8, kinds=["channels"]).groups
    assert any(len(group.allowed) > 1 for group in groups)


def test_reordered_channels_are_pruned_in_their_order(reordering: nn.Module, narrow: Narrow) -> None:
    model = reordering
    student = narrow(model, 0.5, spread)
    require_proof(model, student.model, IMAGES, kept=student.kept)
    assert "second" in student.kept


@pytest.mark.parametrize("spec", ["resnet8", "mobilenet_v1:width=0.25,blocks512=1", "densenet_bc40"])
def test_it_finds_as_many_channels_as_the_graph_does(spec: str, subject_of: MakeSubject, narrow: Narrow) -> None:
    model = build(spec, classes=10, channels=1).eval()
    subject = subject_of(model)
    assert not isinstance(channels_of(model, copy.deepcopy(model), subject.example), Probed)
    by_graph = narrow(model, 0.5, spread)
    probed = Probed(copy.deepcopy(model), subject.example)
    assert sum(group.width for group in probed.groups) >= sum(len(kept) for kept in by_graph.kept.values()) / 2
    assert {member.layer.__class__ for group in probed.groups for member in group.members} >= {nn.Conv2d, nn.Linear}


def test_pruned_twice_it_ends_where_pruned_once(narrow: Narrow) -> None:
    model = network(C2f())
    once = narrow(model, 0.25, spread)
    twice = narrow(model, 0.5, spread, to=once.model)
    at_once = narrow(model, 0.5, spread)
    shapes = [[p.shape for p in student.model.parameters()] for student in (twice, at_once)]
    assert shapes[0] == shapes[1]


def test_a_network_without_a_layer_that_can_go_is_refused_in_words() -> None:
    model = nn.Sequential(nn.Conv2d(1, 32, 3), Viewed(), nn.Flatten(), nn.Linear(32, 10)).eval()
    with pytest.raises(UnsupportedModelError, match="no layer can be narrowed") as e:
        Probed(model, IMAGES[:1])
    assert "--ratio 0" in e.value.hint


class Attended(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 32, 4, 4), nn.LayerNorm(32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x).flatten(2).transpose(1, 2))
        return self.head((x + self.attention(x, x, x)[0]).mean(1))


def test_a_refusal_names_what_mixes_the_channels() -> None:
    with pytest.raises(UnsupportedModelError, match="first to mix all of them is 'attention', a MultiheadAttention"):
        Probed(Attended().eval(), IMAGES[:1])


def test_a_weight_that_is_computed_is_refused_by_name_where_nothing_else_can_go(subject_of: MakeSubject) -> None:
    model = network(nn.Identity())
    torch.nn.utils.parametrizations.spectral_norm(model[1][0])
    with pytest.raises(UnsupportedModelError, match=r"the weight of '1\.0' is computed from other tensors") as e:
        space_of(model, subject_of(model).example, channel_block=8, kinds=["channels"])
    assert "remove_parametrizations" in e.value.hint
    assert "--ratio 0" in e.value.hint
    with pytest.raises(UnsupportedModelError, match=r"the weight of '1\.0' is computed"):
        space_of(model, subject_of(model).example, channel_block=8, kinds=["weights"])


def test_beside_a_weight_that_is_computed_the_rest_is_narrowed(narrow: Narrow) -> None:
    model = network(nn.Identity())
    torch.nn.utils.parametrizations.weight_norm(model[5])
    student = narrow(model, 0.5, spread)
    require_proof(model, student.model, IMAGES, kept=student.kept)
    assert student.kept.keys() == {"0.0"}


def test_marks_tell_where_channels_go() -> None:
    model = network(Upsampling())
    reached = trace(model, IMAGES[:1], ("0.0", "2.enter"))
    assert reached["0.0"].inputs == {"1.0": tuple((i,) for i in range(32))}
    assert reached["0.0"].per_channel == {"0.1": tuple((i,) for i in range(32))}
    assert reached["2.enter"].inputs["2.leave.0"] == tuple(tuple(range(4 * i, 4 * i + 4)) for i in range(32))
    assert trace(model, IMAGES[:1], ("5",)) == {}
    assert readers(reached) == ("1.0", "0.1", "2.leave.0")
