"""What holds for every loss; a loss's own formula is checked in its own test."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.training.losses._base import LOSSES, Example, Loss, LossModule, centred_unit
from edgekd.training.outputs import Outputs

CLASSES = 24  # some losses refuse few
STUDENT = {"stages": ((4, 8), (6, 4), (10, 2)), "embedding": 10}
TEACHER = {"stages": ((6, 9), (6, 4), (16, 3)), "embedding": 16}
KEPT = ((0, 2, 3, 5), None, (0, 1, 2, 3, 4, 5, 6, 9, 12, 15))
LABELS = torch.tensor([3, 0, 23, 7, 7, 11])
ONLY_GUARDS = {"min_classes"}


def seen(sizes: dict, dtype: torch.dtype, seed: int) -> Outputs:
    random = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(6, *shape, generator=random, dtype=torch.float64).mul(3).to(dtype).requires_grad_()

    stages = tuple(drawn(channels, side, side) for channels, side in sizes["stages"])
    return Outputs(drawn(CLASSES), stages, drawn(sizes["embedding"]))


def batch(dtype: torch.dtype = torch.float32) -> tuple[Outputs, Outputs]:
    return seen(STUDENT, dtype, 0), seen(TEACHER, dtype, 1)


def everywhere(function: Callable[[Tensor], Tensor], whose: Outputs) -> Outputs:
    assert whose.embedding is not None
    return Outputs(function(whose.logits), tuple(function(s) for s in whose.stages), function(whose.embedding))


def leaves(whose: Outputs) -> list[Tensor]:
    assert whose.embedding is not None
    return [whose.logits, *whose.stages, whose.embedding]


def built(module: LossModule, **options: float) -> Loss:
    torch.manual_seed(0)
    return module.build({**module.OPTIONS, **options}, Example(*batch(), KEPT))


def in_double(loss: Loss) -> Loss:
    return copy.deepcopy(loss).double() if isinstance(loss, nn.Module) else loss


@pytest.fixture(params=catalog.names(LOSSES))
def module(request: pytest.FixtureRequest) -> LossModule:
    return catalog.load(LOSSES, request.param)


def test_is_a_finite_scalar_even_for_extreme_values(module: LossModule) -> None:
    student, teacher = batch()
    loss = built(module)
    for scale in (0.0, 1.0, 1e4):
        value = loss(*(everywhere(lambda t, by=scale: t * by, whose) for whose in (student, teacher)), LABELS)
        assert value.shape == ()
        assert value.isfinite()


@pytest.mark.parametrize("constant", [0.0, 0.3])
def test_gradient_stays_bounded_where_all_is_equal(module: LossModule, constant: float) -> None:
    student, teacher = batch()
    loss = built(module)
    flat = everywhere(lambda t: torch.full_like(t, constant, requires_grad=True), student)
    loss(flat, teacher.detached(), LABELS).backward()
    loss(student, everywhere(lambda t: torch.full_like(t, constant), teacher), LABELS).backward()
    gradients = [leaf.grad for whose in (flat, student) for leaf in leaves(whose) if leaf.grad is not None]
    assert gradients
    assert all(gradient.abs().max() < 10 for gradient in gradients)


def test_one_image_is_a_batch(module: LossModule) -> None:
    student, teacher = batch()
    value = built(module)(*(everywhere(lambda t: t[:1], whose) for whose in (student, teacher)), LABELS[:1])
    value.backward()
    assert value.isfinite()
    assert all(leaf.grad.isfinite().all() for leaf in leaves(student) if leaf.grad is not None)


def test_gradient_goes_to_student_and_projections_alone(module: LossModule) -> None:
    student, teacher = batch()
    loss = built(module)
    loss(student, teacher, LABELS).backward()
    learned = list(loss.parameters()) if isinstance(loss, nn.Module) else []
    reached = [leaf.grad for leaf in [*leaves(student), *learned] if leaf.grad is not None]
    assert len(reached) > len(learned)
    assert all(gradient.isfinite().all() for gradient in reached)
    assert all(gradient.abs().max() > 0 for gradient in reached)
    assert all(leaf.grad is None for leaf in leaves(teacher))
    on_features = module.NEEDS == "features"
    assert (student.logits.grad is None) == on_features
    assert any(leaf.grad is not None for leaf in leaves(student)[1:]) == on_features


def test_gradient_is_that_of_the_value(module: LossModule) -> None:
    student, teacher = batch(torch.float64)
    loss = in_double(built(module))
    learned = tuple(loss.parameters()) if isinstance(loss, nn.Module) else ()

    def value(logits: Tensor, first: Tensor, second: Tensor, third: Tensor, embedding: Tensor, *_: Tensor) -> Tensor:
        return loss(Outputs(logits, (first, second, third), embedding), teacher.detached(), LABELS)

    assert torch.autograd.gradcheck(value, (*leaves(student), *learned), fast_mode=True)


@pytest.mark.parametrize("autocast", [False, True])
def test_bf16_values_lose_nothing_more(module: LossModule, autocast: bool) -> None:
    student, teacher = batch(torch.bfloat16)
    loss = built(module)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = loss(student, teacher, LABELS)
    exact = in_double(loss)(*(everywhere(Tensor.double, whose) for whose in (student, teacher)), LABELS)
    assert value.dtype is torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)


def test_options_are_distinguished_in_a_checkpoint(module: LossModule) -> None:
    assert repr(built(module)) == repr(built(module))
    assert "\n" not in repr(built(module))
    for option in module.OPTIONS.keys() - ONLY_GUARDS:
        assert repr(built(module, **{option: module.OPTIONS[option] + 1})) != repr(built(module))


def test_needed_teacher_that_is_missing_or_knows_other_classes_is_an_error(module: LossModule) -> None:
    student, teacher = batch()
    loss = built(module)
    if module.NEEDS == "labels":
        assert loss(student, None, LABELS).isfinite()
        return
    with pytest.raises(EdgekdError, match="needs a teacher"):
        loss(student, None, LABELS)
    with pytest.raises(EdgekdError, match="23 classes, the student 24"):
        loss(student, replace(teacher, logits=teacher.logits[:, 1:]), LABELS)


@pytest.mark.parametrize("whose", [0, 1])
def test_networks_without_features_are_refused_where_features_are_needed(module: LossModule, whose: int) -> None:
    both = list(batch())
    both[whose] = Outputs(both[whose].logits)
    if module.NEEDS != "features":
        assert module.build(module.OPTIONS, Example(*both))(*both, LABELS).isfinite()
        return
    with pytest.raises(EdgekdError, match=f"the loss '{module.__name__.rpartition('.')[2]}'") as e:
        module.build(module.OPTIONS, Example(*both, KEPT))
    assert "'kd'" in e.value.hint


def test_projections_follow_the_seed_and_the_features_device(module: LossModule) -> None:
    first, again = built(module), built(module)
    torch.manual_seed(1)
    other = module.build(module.OPTIONS, Example(*batch(), KEPT))
    if not isinstance(first, nn.Module):
        return
    for name, weight in first.named_parameters():
        assert torch.equal(weight, again.get_parameter(name))
        assert not torch.equal(weight, other.get_parameter(name))
    on_meta = (everywhere(lambda t: t.to("meta"), whose) for whose in batch())
    elsewhere = module.build(module.OPTIONS, Example(*on_meta, KEPT))
    assert isinstance(elsewhere, nn.Module)
    assert {tensor.device.type for tensor in elsewhere.state_dict().values()} == {"meta"}


def test_centred_unit_has_neither_offset_nor_scale() -> None:
    values = torch.tensor([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0], [1e-10, 2e-10, 6e-10]])
    expected = torch.tensor([-2.0, -1.0, 3.0]) / 14**0.5
    torch.testing.assert_close(centred_unit(values, 1), torch.stack([expected, torch.zeros(3), expected]))
    torch.testing.assert_close(centred_unit(values.T * 7 - 3, 0).T[0], expected)
