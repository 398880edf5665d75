"""What holds for every loss; a loss's own formula is checked in its own test."""

import pytest
import torch
from torch import Tensor

from edgekd import catalog
from edgekd.distill.losses._base import LossModule
from edgekd.schema import Recovery


@pytest.fixture(params=catalog.names("distill.losses"))
def module(request: pytest.FixtureRequest) -> LossModule:
    return catalog.load("distill.losses", request.param)


def batch(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 6, 5, generator=random, dtype=torch.float64).mul(3).to(dtype)
    return student.requires_grad_(), teacher.requires_grad_(), torch.randint(5, (6,), generator=random)


def test_is_a_finite_scalar_even_for_extreme_logits(module: LossModule) -> None:
    loss = module.build(Recovery())
    student, teacher, labels = batch(torch.float32)
    for scale in (0.0, 1.0, 1e4):
        value = loss(student * scale, teacher * scale, labels)
        assert value.shape == ()
        assert value.isfinite()


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
