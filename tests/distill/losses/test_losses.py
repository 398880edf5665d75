"""What holds for every loss; a loss's own formula is checked in its own test."""

import pytest
import torch
from torch import Tensor

from edgekd import catalog
from edgekd.distill.losses._base import LossModule, centred_unit
from edgekd.errors import EdgekdError
from edgekd.schema import Recovery

CLASSES = 24  # some losses refuse few


@pytest.fixture(params=catalog.names("distill.losses"))
def module(request: pytest.FixtureRequest) -> LossModule:
    return catalog.load("distill.losses", request.param)


def batch(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 6, CLASSES, generator=random, dtype=torch.float64).mul(3).to(dtype)
    return student.requires_grad_(), teacher.requires_grad_(), torch.randint(CLASSES, (6,), generator=random)


def test_is_a_finite_scalar_even_for_extreme_logits(module: LossModule) -> None:
    loss = module.build(Recovery())
    student, teacher, labels = batch(torch.float32)
    for scale in (0.0, 1.0, 1e4):
        value = loss(student * scale, teacher * scale, labels)
        assert value.shape == ()
        assert value.isfinite()


def test_gradient_stays_bounded_where_all_logits_are_equal(module: LossModule) -> None:
    student, teacher, labels = batch(torch.float32)
    constant = torch.full_like(student, 0.3, requires_grad=True)
    module.build(Recovery())(constant, teacher.detach(), labels).backward()
    assert constant.grad is not None
    assert constant.grad.abs().max() < 10
    constant = torch.full_like(teacher, 0.3)
    module.build(Recovery())(student, constant, labels).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 10


def test_one_image_is_a_batch(module: LossModule) -> None:
    student, teacher, labels = batch(torch.float32)
    value = module.build(Recovery())(student[:1], teacher[:1], labels[:1])
    value.backward()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_gradient_goes_to_the_student_alone(module: LossModule) -> None:
    student, teacher, labels = batch(torch.float32)
    module.build(Recovery())(student, teacher, labels).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() > 0
    assert teacher.grad is None


def test_gradient_is_that_of_the_value(module: LossModule) -> None:
    student, teacher, labels = batch(torch.float64)
    loss = module.build(Recovery())
    assert torch.autograd.gradcheck(lambda logits: loss(logits, teacher.detach(), labels), (student,))


@pytest.mark.parametrize("autocast", [False, True])
def test_bf16_logits_lose_nothing_more(module: LossModule, autocast: bool) -> None:
    student, teacher, labels = batch(torch.bfloat16)
    loss = module.build(Recovery())
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = loss(student, teacher, labels)
    exact = loss(student.double(), teacher.double(), labels)
    assert value.dtype is torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)


def test_settings_are_told_apart_in_a_checkpoint(module: LossModule) -> None:
    assert repr(module.build(Recovery())) == repr(module.build(Recovery()))
    if module.needs_teacher:
        assert repr(module.build(Recovery())) != repr(module.build(Recovery(temperature=2)))


def test_unknown_option_is_refused_with_the_nearest(module: LossModule) -> None:
    with pytest.raises(EdgekdError, match=r"recover\.options: the loss 'any' has no 'betta'") as e:
        module.build(Recovery(loss="any", options={"betta": 1.0}))
    assert e.value.hint


def test_no_teacher_and_one_of_other_classes_are_errors(module: LossModule) -> None:
    student, teacher, labels = batch(torch.float32)
    loss = module.build(Recovery())
    if not module.needs_teacher:
        assert loss(student, None, labels).isfinite()
        return
    with pytest.raises(EdgekdError, match="needs a teacher"):
        loss(student, None, labels)
    with pytest.raises(EdgekdError, match="23 classes, the student 24"):
        loss(student, teacher[:, 1:], labels)


def test_centred_unit_has_neither_offset_nor_scale() -> None:
    values = torch.tensor([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0], [1e-10, 2e-10, 6e-10]])
    expected = torch.tensor([-2.0, -1.0, 3.0]) / 14**0.5
    torch.testing.assert_close(centred_unit(values, 1), torch.stack([expected, torch.zeros(3), expected]))
    torch.testing.assert_close(centred_unit(values.T * 7 - 3, 0).T[0], expected)
