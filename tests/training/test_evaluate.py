import torch
from torch import nn

from edgekd.data.dataset import Dataset
from edgekd.training.evaluate import Score, evaluate
from edgekd.values.training import Execution


def test_counts_the_images_whose_highest_logit_is_the_label(digits: Dataset, resnet8: nn.Module) -> None:
    images, labels = next(iter(digits.val.batches(len(digits.val))))
    with torch.no_grad():
        expected = int((resnet8.eval()(images).argmax(1) == labels).sum())
    score = evaluate(resnet8.train(), digits.val, batch_size=64)
    assert score == Score(correct=expected, images=len(digits.val))
    assert score.top1 == expected / len(digits.val)


def test_an_image_whose_logits_are_not_finite_is_wrong(digits: Dataset) -> None:
    class Overflows(nn.Module):
        """Right about all images of class 0, whose first logit comes with a NaN."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            given = torch.zeros(len(x), 10)
            given[:, 0], given[::2, 1] = 1.0, float("nan")
            return given

    zeros = digits.val.labels == 0
    score = evaluate(Overflows(), digits.val, batch_size=len(digits.val))
    assert score.correct == int(zeros[1::2].sum()) < int(zeros.sum())


def test_leaves_the_model_as_it_was(digits: Dataset, resnet8: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in resnet8.state_dict().items()}
    evaluate(resnet8.train(), digits.val)
    assert resnet8.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in resnet8.state_dict().items())


def test_runs_in_the_execution_it_is_given(digits: Dataset) -> None:
    seen = []

    class Listening(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            output = super().forward(images.flatten(1))
            seen.append(output.dtype)
            return output

    evaluate(Listening(16 * 16, 10), digits.val, execution=Execution(precision="bf16"))
    assert set(seen) == {torch.bfloat16}
