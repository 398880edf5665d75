import pytest
import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset
from edgekd.training.ensemble import Ensemble
from edgekd.training.forward import teacher_outputs
from edgekd.training.teacher import frozen
from edgekd.values.training import Execution
from edgekd.zoo.build import build
from edgekd.zoo.identity import digest

CPU = torch.device("cpu")


def settled(model: nn.Module, images: Tensor) -> nn.Module:
    """With batch statistics that aren't the initial 0 and 1."""
    with torch.no_grad():
        for _ in range(3):
            model.train()(images)
    return model


def batch_norms(model: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())


def test_folded_teacher_gives_the_same_logits(digits: Dataset, resnet8: nn.Module) -> None:
    images, _ = next(iter(digits.val.batches(32)))
    teacher = settled(resnet8, images)
    before = digest(teacher)
    folded = frozen(teacher, images, Execution(memory_format="channels_last"), CPU)
    assert batch_norms(folded) == 0
    assert not any(p.requires_grad for p in folded.parameters())
    with torch.no_grad():
        torch.testing.assert_close(folded(images), teacher.eval()(images), rtol=1e-4, atol=1e-4)
    assert digest(teacher) == before


@pytest.mark.slow
def test_compiled_teacher_gives_the_same_logits_with_weights_laid_out_once(digits: Dataset, resnet8: nn.Module) -> None:
    images, _ = next(iter(digits.val.batches(32)))
    teacher = settled(resnet8, images)
    compiled = frozen(teacher, images, Execution(memory_format="channels_last", compiled=True), CPU)
    expected = teacher_outputs(teacher.eval(), images, "fp32").logits
    torch.testing.assert_close(teacher_outputs(compiled, images, "fp32").logits, expected, rtol=1e-4, atol=1e-4)
    # those of convolutions aren't read again
    with torch.no_grad():
        for parameter in compiled.parameters():
            if parameter.ndim == 4:
                parameter.zero_()
    torch.testing.assert_close(teacher_outputs(compiled, images, "fp32").logits, expected, rtol=1e-4, atol=1e-4)


class SharedConvolution(nn.Module):
    """Folding either normalisation into the one convolution spoils the other."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 10, 3)
        self.first, self.second = nn.BatchNorm2d(10), nn.BatchNorm2d(10)

    def forward(self, images: Tensor) -> Tensor:
        first, second = self.first(self.convolution(images)), self.second(self.convolution(2 * images))
        return (first + 3 * second).mean((2, 3))


class Untraceable(nn.Module):
    """Its way depends on its data."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 10, 3), nn.BatchNorm2d(10)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.norm(self.convolution(images)).mean((2, 3))
        return output if images.sum() > 0 else -output


def test_teacher_that_folds_wrongly_or_not_at_all_is_used_as_it_is(digits: Dataset) -> None:
    images, _ = next(iter(digits.val.batches(32)))
    for model in (SharedConvolution(), Untraceable()):
        teacher = settled(model, images)
        norms = batch_norms(teacher)
        copied = frozen(teacher, images, Execution(), CPU)
        assert batch_norms(copied) == norms
        with torch.no_grad():
            assert torch.equal(copied(images), teacher.eval()(images))


def test_teacher_that_is_wanted_whole_is_not_folded(digits: Dataset, resnet8: nn.Module) -> None:
    images, _ = next(iter(digits.val.batches(8)))
    assert batch_norms(frozen(resnet8, images, Execution(), CPU, whole=True)) == batch_norms(resnet8)


def test_ensemble_folds_as_one(digits: Dataset, resnet8: nn.Module) -> None:
    images, _ = next(iter(digits.val.batches(8)))
    both = Ensemble([settled(resnet8, images), settled(build("resnet14", classes=10, channels=1), images)], [1, 3])
    folded = frozen(both, images, Execution(), CPU)
    assert batch_norms(folded) == 0
    with torch.no_grad():
        torch.testing.assert_close(folded(images), both.eval()(images), rtol=1e-4, atol=1e-4)
