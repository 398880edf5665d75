import numpy as np
import pytest
import torch
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.pruning.apply import Pruned, apply
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.explore import space_of
from edgekd.search._widths import widths_by_layer
from edgekd.training.forward import forward
from edgekd.training.losses import kept_channels
from edgekd.training.losses._base import Example
from edgekd.training.losses.kept_channels import KeptChannels, kept_channels_loss
from edgekd.training.objective import build_objective
from edgekd.training.outputs import Outputs
from edgekd.values import Structure
from edgekd.zoo.build import build

RANDOM = np.random.default_rng(0)
STUDENT, TEACHER = RANDOM.normal(size=(3, 2, 4, 4)), RANDOM.normal(size=(3, 5, 4, 4))
LOGITS, LABELS = torch.zeros(3, 10), torch.zeros(3)


def reference(student: np.ndarray, teacher: np.ndarray, kept: tuple[int, ...]) -> float:
    return float(np.mean([np.mean((student[:, i] - teacher[:, k]) ** 2) for i, k in enumerate(kept)]))


def test_compares_each_channel_with_the_teachers_that_it_was() -> None:
    for dtype in (torch.float64, torch.float32):
        ours, theirs = (torch.from_numpy(v).to(dtype) for v in (STUDENT, TEACHER))
        for kept in ((0, 1), (1, 4), (3, 0)):
            value = kept_channels_loss(ours, theirs, torch.tensor(kept))
            assert value.item() == pytest.approx(reference(STUDENT, TEACHER, kept), abs=1e-6)
            one = kept_channels_loss(ours[:1], theirs[:1], torch.tensor(kept))
            assert one.item() == pytest.approx(reference(STUDENT[:1], TEACHER[:1], kept), abs=1e-6)


def test_larger_of_two_sizes_is_averaged() -> None:
    teacher = TEACHER.reshape(3, 5, 2, 2, 2, 2).mean((3, 5))
    value = kept_channels_loss(*map(torch.from_numpy, (STUDENT[:, :, :2, :2], TEACHER)), torch.tensor([1, 4]))
    assert value.item() == pytest.approx(reference(STUDENT[:, :, :2, :2], teacher, (1, 4)), abs=1e-6)


def test_is_zero_where_the_channels_still_see_the_same() -> None:
    teacher = torch.from_numpy(TEACHER)
    assert kept_channels_loss(teacher[:, [1, 4]], teacher, torch.tensor([1, 4])).item() == 0


def test_gradient_is_that_of_the_value() -> None:
    teacher, kept = torch.from_numpy(TEACHER[:1]), torch.tensor([1, 4])
    student = torch.from_numpy(STUDENT[:1]).requires_grad_()
    assert torch.autograd.gradcheck(lambda features: kept_channels_loss(features, teacher, kept), (student,))


def stages(*channels: int) -> Outputs:
    return Outputs(
        LOGITS, tuple(torch.from_numpy(RANDOM.normal(size=(3, c, 8 >> i, 8 >> i))) for i, c in enumerate(channels))
    )


def test_is_the_mean_over_the_stages_whose_channels_are_known() -> None:
    student, teacher = stages(2, 3, 4), stages(5, 6, 4)
    # of the second stage nothing is known; the third lost no channel
    loss = kept_channels.build({}, Example(student, teacher, ((1, 4), None, None)))
    assert repr(loss) == "KeptChannels(channels=[2, None, 4])"
    assert not list(loss.parameters())
    ours, theirs = ([stage.numpy() for stage in seen.stages] for seen in (student, teacher))
    parts = [reference(ours[0], theirs[0], (1, 4)), reference(ours[2], theirs[2], (0, 1, 2, 3))]
    assert loss(student, teacher, LABELS).item() == pytest.approx(sum(parts) / 2, abs=1e-6)


@pytest.mark.parametrize("stated", [(0, 1, 2), (0, 5)], ids=["of another width", "beyond the teacher's"])
def test_channels_that_cant_be_the_stages_are_left_out(stated: tuple[int, ...]) -> None:
    student, teacher = stages(2, 3), stages(5, 6)
    loss = kept_channels.build({}, Example(student, teacher, (stated, (0, 2, 5))))
    assert repr(loss) == "KeptChannels(channels=[None, 3])"


@pytest.mark.parametrize(
    ("student", "kept"),
    [((2, 3), ()), ((2, 3), (None, None)), ((2,), ((1, 4),)), ((5, 6), ())],
    ids=["not pruned", "nothing known", "other stages", "not pruned, as wide"],
)
def test_student_that_isnt_known_to_be_pruned_from_the_teacher_is_refused(
    student: tuple[int, ...], kept: tuple[tuple[int, ...] | None, ...]
) -> None:
    with pytest.raises(EdgekdError, match="no stage of the student is known to have kept channels") as e:
        kept_channels.build({}, Example(stages(*student), stages(5, 6), kept))
    assert "'fitnet'" in e.value.hint


def test_students_that_kept_other_channels_are_distinguished_by_their_state() -> None:
    one, other = (KeptChannels([kept], torch.device("cpu")).state_dict() for kept in ((0, 1), (0, 2)))
    assert not torch.equal(one["kept0"], other["kept0"])


def test_student_without_filters_that_were_zero_sees_what_its_teacher_sees() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 1, 16, 16)
    teacher = build("resnet8", classes=10, channels=1).eval()
    chosen = halved(teacher, images).kept
    with torch.no_grad():
        for name, kept in chosen.items():
            filters_of = teacher.get_submodule(name).weight
            filters_of[[c for c in range(len(filters_of)) if c not in kept]] = 0
    student = halved(teacher, images)
    assert dict(student.kept) == dict(chosen)
    objective = build_objective({"kept_channels": {}}, student.model, teacher, images, kept=student.kept)
    assert repr(objective.terms[0].loss) == "KeptChannels(channels=[8, 16, 32])"
    with torch.no_grad():
        seen = forward(student.model, images, "fp32", objective.student_taps)
        taught = forward(teacher, images, "fp32", objective.teacher_taps)
    labels = torch.zeros(2)
    assert objective(seen, taught, labels).item() == pytest.approx(0, abs=1e-9)
    mixed_up = Outputs(seen.logits, tuple(stage.flip(1) for stage in seen.stages))
    assert objective(mixed_up, taught, labels) > 0.1


def halved(model: nn.Module, images: torch.Tensor) -> Pruned:
    criterion, options = criterion_of("filter_l1", {})
    subject = Subject(model, images[:1], images[:0], torch.empty(0, dtype=torch.int64), options)
    space = space_of(model, images[:1], channel_block=1, kinds=["channels"])
    return apply(subject, Structure(widths=widths_by_layer(space, 0.5)), criterion)
