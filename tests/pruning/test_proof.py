"""A student that isn't the original without the removed channels is refused, and the layer is named."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.apply import Pruned, most_important
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.graph import Graph, Group, channels_left
from edgekd.pruning.proof import require_proof
from edgekd.zoo.build import build

MakeSubject = Callable[..., Subject]
IMAGES = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))


class Padded(nn.Module):
    """A residual block as CIFAR's ResNets have it (option A): its shortcut is padded with channels of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.inner = nn.Conv2d(16, 32, 3, 2, 1, bias=False)
        self.outer = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32))
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
        return self.head(F.relu(self.outer(F.relu(self.inner(x))) + shortcut).mean((2, 3)))


def spread(group: Group) -> Tensor:
    """Scores that spread the kept channels over the whole group."""
    return torch.arange(group.width).mul(7).remainder(group.width).float()


def narrowed(subject: Subject) -> Pruned:
    """As the dependency graph alone would have it."""
    model = copy.deepcopy(subject.model)
    graph = Graph(model, subject.example)
    kept = {group.root: most_important(spread(group), group, group.width // 2) for group in graph.groups}
    left = channels_left(model, graph.groups, kept)
    for root, channels in kept.items():
        graph.keep(root, channels)
    return Pruned(model, left)


def prove(model: nn.Module, student: Pruned) -> None:
    require_proof(model, student.model, IMAGES, kept=student.kept, removed=student.removed)


def test_channels_that_are_mixed_up_are_never_passed(reordering: nn.Module, subject_of: MakeSubject) -> None:
    model = reordering
    with pytest.raises(UnsupportedModelError, match=r"'(second|head)' (doesn't read|reads|has other weights)") as e:
        prove(model, narrowed(subject_of(model)))
    assert "--ratio 0" in e.value.hint


def test_the_same_network_that_reorders_nothing_passes(plain: nn.Module, subject_of: MakeSubject) -> None:
    model = plain
    prove(model, narrowed(subject_of(model)))


def test_channels_behind_a_padded_shortcut_are_never_mixed_up(subject_of: MakeSubject) -> None:
    model = Padded().eval()
    with pytest.raises(
        UnsupportedModelError, match=r"between 'outer\.0' and 'head': 'head' reads 24 channels, where 16 of 32"
    ):
        prove(model, narrowed(subject_of(model)))


class Norms(nn.Module):
    """Layer, group and global response norms, over the channels; squeezing and excitation by a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 32, 3), nn.GroupNorm(1, 32), nn.Sigmoid())
        self.depthwise = nn.Conv2d(32, 32, 3, groups=32)
        self.norm = nn.LayerNorm(32)
        self.wide, self.tight = nn.Linear(32, 64), nn.Linear(64, 32)
        self.squeeze, self.excite = nn.Conv2d(32, 16, 1), nn.Conv2d(16, 32, 1)
        self.head = nn.Sequential(nn.BatchNorm1d(32), nn.Linear(32, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.tight(F.gelu(self.wide(self.norm(self.depthwise(x).permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
        y = y * torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        return self.head(y.mean((2, 3)))


class Attending(nn.Module):
    """Attention over space from the mean and the maximum over channels, as in CBAM."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, width, 3), nn.Conv2d(2, 1, 7, padding=3)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        where = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return self.head((x * torch.sigmoid(self.second(where))).mean((2, 3)))


def narrower_attending(model: Attending) -> Pruned:
    kept = tuple(range(0, 32, 2))
    student = Attending(16).eval()
    student.second = copy.deepcopy(model.second)
    with torch.no_grad():
        student.first.weight.copy_(model.first.weight[list(kept)])
        student.first.bias.copy_(model.first.bias[list(kept)])
        student.head.weight.copy_(model.head.weight[:, list(kept)])
        student.head.bias.copy_(model.head.bias)
    return Pruned(student, {"first": kept})


@pytest.mark.parametrize("make", [Norms, Attending])
def test_what_runs_over_channels_passes_with_the_channels_in_order(
    make: Callable[[], nn.Module], subject_of: MakeSubject
) -> None:
    model = make().eval()
    student = narrower_attending(model) if isinstance(model, Attending) else narrowed(subject_of(model))
    prove(model, student)
    with torch.no_grad():
        head = [layer for layer in student.model.modules() if isinstance(layer, nn.Linear)][-1]
        head.weight.copy_(head.weight.flip(1))
    with pytest.raises(UnsupportedModelError, match=r"'head.*' has other weights"):
        prove(model, student)


class Leaky(nn.Module):
    """An activation that drops NaN: what isn't above 0 is 0."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, torch.zeros_like(x))


def test_code_that_drops_marks_is_held_by_values_that_must_not_matter(subject_of: MakeSubject) -> None:
    features = nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), Leaky(), nn.Conv2d(32, 64, 3), Leaky()
    model = nn.Sequential(
        *features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 32), Leaky(), nn.Linear(32, 10)
    )
    nn.init.uniform_(model[1].weight, -2, 2)
    student = narrowed(subject_of(model.eval()))
    assert student.kept.keys() == {"0", "3", "7"}
    require_proof(model, student.model, IMAGES[:1], kept=student.kept)
    with torch.no_grad():
        weight = student.model.get_submodule("3").weight
        weight.copy_(weight[:, [1, 0, *range(2, weight.shape[1])]])
    with pytest.raises(UnsupportedModelError, match="channels are mixed up"):
        prove(model, student)


class Projecting(nn.Module):
    """Reads channels by a tensor of its own, which no layer holds."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, width, 3), nn.BatchNorm2d(width)
        self.weight = nn.Parameter(torch.randn(width, 24))
        self.head = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.first(x)).mean((2, 3)) @ self.weight)


@pytest.mark.parametrize("rows", [range(16), range(16, 32)])
def test_a_tensor_that_no_layer_holds_must_have_the_channels_that_were_kept(rows: range) -> None:
    model, student = Projecting(32).eval(), Projecting(16).eval()
    state = model.state_dict()
    narrow = {name: value[:16] for name, value in state.items() if name.startswith(("first", "norm")) and value.dim()}
    student.load_state_dict({**state, **narrow, "weight": state["weight"][list(rows)]})
    wrong = Pruned(student, {"first": tuple(range(16))})
    if rows == range(16):
        prove(model, wrong)
        return
    with pytest.raises(UnsupportedModelError, match="'head' depends on all channels, and 'weight' does not belong"):
        prove(model, wrong)


def swap_inputs(student: nn.Module) -> None:
    weight = student.get_submodule("stage2.0.first.0").weight
    weight.copy_(weight[:, [1, 0, *range(2, weight.shape[1])]])


def swap_outputs(student: nn.Module) -> None:
    weight = student.get_submodule("stem.0").weight
    weight.copy_(weight[[1, 0, *range(2, len(weight))]])


def swap_norms(student: nn.Module) -> None:
    weight = student.get_submodule("stem.1").weight
    weight.copy_(weight[[1, 0, *range(2, len(weight))]])


@pytest.mark.parametrize(
    ("break_it", "layer"),
    [
        (swap_inputs, "'stage2.0.first.0' has other weights"),
        (swap_outputs, "'stem.0' has other weights"),
        (swap_norms, "between 'stem.0' and 'stage1.0.first.0'.* doesn't read"),
    ],
)
def test_one_swap_of_two_channels_is_found_where_it_is(
    break_it: Callable[[nn.Module], None], layer: str, subject_of: MakeSubject
) -> None:
    model = build("resnet8", classes=10, channels=1).eval()
    for norm in (layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 2)
    student = narrowed(subject_of(model))
    prove(model, student)
    with torch.no_grad():
        break_it(student.model)
    with pytest.raises(UnsupportedModelError, match=layer):
        prove(model, student)


def test_what_no_layer_computes_is_held_too(plain: nn.Module, subject_of: MakeSubject) -> None:
    model = plain
    student = narrowed(subject_of(model))
    forward = student.model.forward
    student.model.forward = lambda x: 2 * forward(x)  # type: ignore[method-assign]
    with pytest.raises(UnsupportedModelError, match="the output isn't that of the network without"):
        prove(model, student)


def test_the_original_stays_as_it_is(subject_of: MakeSubject) -> None:
    model = build("mobilenet_v3_small:width=0.5", classes=10, channels=1).eval()
    before = copy.deepcopy(model.state_dict())
    student = narrowed(subject_of(model))
    prove(model, student)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in (*model.modules(),))
