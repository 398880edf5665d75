import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.memory_images import dataset_in_memory
from edgekd.errors import UnsupportedModelError
from edgekd.training.execution import choose_execution
from edgekd.training.losses.ce import CrossEntropy
from edgekd.training.objective import Objective, Term, build_objective
from edgekd.training.outputs import Outputs
from edgekd.training.setup import Setup
from edgekd.values import Recovery, Training
from edgekd.values.training import Execution
from edgekd.zoo.identity import digest


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


LABELS = Objective([Term("ce", 1.0, CrossEntropy())])
STUDENTS = {"fp32 contiguous", "fp32 channels_last", "bf16 contiguous", "bf16 channels_last"}
CONVOLUTIONS = {"native convolutions", "depthwise convolutions", "matrices convolutions"}
TEACHERS = {"teacher fp32", "teacher bf16"}


@pytest.mark.alone
@pytest.mark.usefixtures("two_threads")
def test_takes_the_fastest_of_what_it_timed(few_digits: Dataset, resnet8: nn.Module) -> None:
    settings, teacher = Recovery(batch_size=32), copy.deepcopy(resnet8)
    objective = build_objective({"kd": {}, "fitnet": {}}, resnet8, teacher, torch.randn(2, 1, 16, 16))
    chosen = choose_execution(Setup(resnet8, objective, few_digits, settings, 0, teacher))
    rates = chosen.images_per_second
    kinds = CONVOLUTIONS if chosen.precision == "bf16" else set()
    assert set(rates) == {"2 threads", "1 threads"} | STUDENTS | TEACHERS | kinds
    assert f"{chosen.threads} threads" == max(["2 threads", "1 threads"], key=rates.__getitem__)
    assert f"{chosen.precision} {chosen.memory_format}" == max(STUDENTS, key=rates.__getitem__)
    assert f"teacher {chosen.teacher_precision}" == max(TEACHERS, key=rates.__getitem__)
    assert torch.get_num_threads() == 2


def test_changes_neither_the_model_nor_the_random_numbers(few_digits: Dataset, resnet8: nn.Module) -> None:
    before, random = digest(resnet8), torch.get_rng_state()
    choose_execution(Setup(resnet8, LABELS, few_digits, Training(batch_size=32), 0))
    assert digest(resnet8) == before
    assert all(p.is_contiguous() and p.grad is None for p in resnet8.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_fixed_settings_are_taken_as_they_are(few_digits: Dataset, resnet8: nn.Module) -> None:
    objective = build_objective({"kd": {}}, resnet8, resnet8, torch.randn(2, 1, 16, 16))
    ways = {"precision": "bf16", "teacher_precision": "bf16", "memory_format": "channels_last"}
    fixed = Recovery(**ways, convolutions="depthwise", batch_size=32)
    chosen = choose_execution(Setup(resnet8, objective, few_digits, fixed, 0, resnet8))
    assert chosen == Execution(**ways, convolutions="depthwise", threads=1)
    half_fixed = Recovery(precision="fp32", teacher_precision="fp32", batch_size=32)
    chosen = choose_execution(Setup(resnet8, objective, few_digits, half_fixed, 0, resnet8))
    assert set(chosen.images_per_second) == {"fp32 contiguous", "fp32 channels_last"}
    assert chosen.teacher_precision == "fp32"


def test_the_kinds_of_convolutions_are_timed_in_bf16_alone(few_digits: Dataset, resnet8: nn.Module) -> None:
    pinned = Training(batch_size=32, precision="bf16", memory_format="channels_last", threads=1)
    chosen = choose_execution(Setup(resnet8, LABELS, few_digits, pinned, 0))
    rates = chosen.images_per_second
    assert set(rates) == CONVOLUTIONS
    assert f"{chosen.convolutions} convolutions" == max(rates, key=rates.__getitem__)
    stated = pinned.model_copy(update={"precision": "fp32", "convolutions": "matrices"})
    assert choose_execution(Setup(resnet8, LABELS, few_digits, stated, 0)) == Execution(
        memory_format="channels_last", threads=1
    )


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
    chosen = choose_execution(Setup(model, LABELS, few_digits, Training(batch_size=32), 0))
    assert chosen.precision == "fp32"
    assert set(chosen.images_per_second) == {"fp32 contiguous", "fp32 channels_last"}


def test_model_that_never_runs_is_an_error(few_digits: Dataset) -> None:
    with pytest.raises(UnsupportedModelError, match="no kernel for this type"):
        choose_execution(Setup(Refusing(lambda: True), LABELS, few_digits, Training(batch_size=32), 0))


def test_short_training_is_not_compiled_unless_it_is_stated(few_digits: Dataset, resnet8: nn.Module) -> None:
    pinned = Training(batch_size=32, precision="fp32", memory_format="contiguous", threads=1, epochs=2)
    assert not choose_execution(Setup(resnet8, LABELS, few_digits, pinned, 0)).compiled
    stated = pinned.model_copy(update={"compiled": True})
    assert choose_execution(Setup(resnet8, LABELS, few_digits, stated, 0)).compiled


@pytest.mark.slow
@pytest.mark.parametrize("ways", [{}, {"precision": "fp32", "memory_format": "contiguous"}])
def test_long_training_is_compiled_where_that_is_faster(
    few_digits: Dataset, resnet8: nn.Module, ways: dict[str, Any]
) -> None:
    long = Training(batch_size=32, threads=1, epochs=1_000_000, **ways)
    chosen = choose_execution(Setup(resnet8, LABELS, few_digits, long, 0))
    rates = chosen.images_per_second
    assert chosen.compiled == (rates["compiled"] > rates["not compiled"])
    features = build_objective({"at": {}}, resnet8, resnet8, torch.randn(2, 1, 16, 16))
    assert "compiled" not in choose_execution(Setup(resnet8, features, few_digits, long, 0, resnet8)).images_per_second


@pytest.mark.parametrize(("side", "images"), [(16, 32), (64, 32), (224, 10), (512, 8)])
def test_large_images_are_timed_a_few_at_a_time(side: int, images: int) -> None:
    seen: list[int] = []
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=16), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    pixels = torch.zeros(32, 1, side, side, dtype=torch.uint8).numpy()
    split = pixels, torch.arange(32) % 2
    data = dataset_in_memory(
        "large", ("a", "b"), dict.fromkeys(("train", "val", "test"), split), Augmentation(pad=0, flip=False)
    )

    class Watched(CrossEntropy):
        def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
            seen.append(len(labels))
            return super().__call__(student, teacher, labels)

    choose_execution(Setup(network, Objective([Term("ce", 1.0, Watched())]), data, Training(batch_size=32), 0))
    assert set(seen) == {images}
