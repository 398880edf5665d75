import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset
from edgekd.distill.checkpoint import digest
from edgekd.distill.execution import choose_execution
from edgekd.distill.losses import ce, kd
from edgekd.errors import UnsupportedModelError
from edgekd.results import Execution
from edgekd.schema import Recovery, Training


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


STUDENTS = {"fp32 contiguous", "fp32 channels_last", "bf16 contiguous", "bf16 channels_last"}
TEACHERS = {"teacher fp32", "teacher bf16"}


@pytest.mark.usefixtures("two_threads")
def test_takes_the_fastest_of_what_it_timed(few_digits: Dataset, resnet8: nn.Module) -> None:
    settings = Recovery(batch_size=32)
    chosen = choose_execution(resnet8, few_digits, settings, kd.build(settings), copy.deepcopy(resnet8))
    rates = chosen.images_per_second
    assert set(rates) == {"2 threads", "1 threads"} | STUDENTS | TEACHERS
    assert f"{chosen.threads} threads" == max(["2 threads", "1 threads"], key=rates.__getitem__)
    assert f"{chosen.precision} {chosen.memory_format}" == max(STUDENTS, key=rates.__getitem__)
    assert f"teacher {chosen.teacher_precision}" == max(TEACHERS, key=rates.__getitem__)
    assert torch.get_num_threads() == 2


def test_changes_neither_the_model_nor_the_random_numbers(few_digits: Dataset, resnet8: nn.Module) -> None:
    before, random = digest(resnet8), torch.get_rng_state()
    choose_execution(resnet8, few_digits, Training(batch_size=32), ce.build(Training()))
    assert digest(resnet8) == before
    assert all(p.is_contiguous() and p.grad is None for p in resnet8.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_fixed_settings_are_taken_as_they_are(few_digits: Dataset, resnet8: nn.Module) -> None:
    loss = kd.build(Recovery())
    fixed = Recovery(precision="bf16", teacher_precision="bf16", memory_format="channels_last", batch_size=32)
    chosen = choose_execution(resnet8, few_digits, fixed, loss, resnet8)
    assert chosen == Execution(precision="bf16", teacher_precision="bf16", memory_format="channels_last", threads=1)
    half_fixed = Recovery(precision="fp32", teacher_precision="fp32", batch_size=32)
    chosen = choose_execution(resnet8, few_digits, half_fixed, loss, resnet8)
    assert set(chosen.images_per_second) == {"fp32 contiguous", "fp32 channels_last"}
    assert chosen.teacher_precision == "fp32"


class Refusing(nn.Linear):
    """Has no kernel for some precisions."""

    def __init__(self, refuses: Callable[[], bool]) -> None:
        super().__init__(16 * 16, 10)
        self.refuses = refuses

    def forward(self, images: Tensor) -> Tensor:
        if self.refuses():
            raise RuntimeError("no kernel for this type")
        return super().forward(images.flatten(1))


def test_precision_that_the_model_has_no_kernel_for_is_left_out(few_digits: Dataset) -> None:
    model = Refusing(lambda: torch.is_autocast_enabled("cpu"))
    chosen = choose_execution(model, few_digits, Training(batch_size=32), ce.build(Training()))
    assert chosen.precision == "fp32"
    assert set(chosen.images_per_second) == {"fp32 contiguous", "fp32 channels_last"}


def test_model_that_never_runs_is_an_error(few_digits: Dataset) -> None:
    with pytest.raises(UnsupportedModelError, match="no kernel for this type"):
        choose_execution(Refusing(lambda: True), few_digits, Training(batch_size=32), ce.build(Training()))
