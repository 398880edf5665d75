from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.data.dataset import Augmentation, Dataset, View
from edgekd.progress import Silent
from edgekd.training.engine import train
from edgekd.training.losses.ce import CrossEntropy
from edgekd.training.losses.kd import Distillation
from edgekd.training.mixup import Mix, mix
from edgekd.training.objective import Objective, Term, build_objective
from edgekd.training.outputs import Outputs
from edgekd.training.setup import Means, Setup
from edgekd.training.step import Batch, Loss, learner, run_step
from edgekd.values import Training
from edgekd.values.losses import LABELS_ALONE
from edgekd.values.training import Execution

VIEW = View(Augmentation(pad=0, flip=False, mixup=0.4), seed=3, epoch=2)


def test_a_mix_is_a_function_of_seed_epoch_part_and_batch() -> None:
    first, again = mix(VIEW, 5, 32), mix(VIEW, 5, 32)
    assert first is not None
    assert again is not None
    assert first.share == again.share
    assert torch.equal(first.others, again.others)
    others = [mix(replace(VIEW, **change), 5, 32) for change in ({"seed": 4}, {"epoch": 3}, {"part": 1, "parts": 2})]
    shares = {m.share for m in (first, mix(VIEW, 6, 32), *others) if m}
    assert len(shares) == 5
    assert mix(replace(VIEW, augmentation=Augmentation(pad=0, flip=False)), 5, 32) is None


@pytest.mark.parametrize(("alpha", "deviation"), [(0.2, 0.4226), (1.0, 0.2887), (8.0, 0.1213)])
def test_shares_follow_the_beta_distribution(alpha: float, deviation: float) -> None:
    view = replace(VIEW, augmentation=replace(VIEW.augmentation, mixup=alpha))
    shares = [m.share for batch in range(2000) if (m := mix(view, batch, 4))]
    # of Beta(a, a): 1/2 and 1 / sqrt(4 (2 a + 1))
    assert np.mean(shares) == pytest.approx(0.5, abs=0.04)
    assert np.std(shares) == pytest.approx(deviation, abs=0.02)


def test_images_and_labels_are_mixed_by_the_papers_formula() -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(6, 4), torch.randint(3, (6,))
    mixed = Mix(0.3, torch.tensor([5, 0, 3, 1, 2, 4]))
    seen = mixed.images(images)
    assert torch.allclose(seen, 0.3 * images + 0.7 * images[mixed.others])
    model, teacher = nn.Linear(4, 3), nn.Linear(4, 3)
    taught = Outputs(teacher(seen).detach())
    objective = Objective([Term("ce", 0.5, CrossEntropy()), Term("kd", 2.0, Distillation(temperature=4.0))])
    found = Loss(model, objective, "fp32")(seen, taught, labels, mixed)
    # cross entropy with the mixed one-hot labels, and the distillation of the mixed images once
    soft = 0.3 * F.one_hot(labels, 3) + 0.7 * F.one_hot(labels[mixed.others], 3)
    distilled = objective.terms[1].loss(Outputs(model(seen)), taught, labels)
    assert found.item() == pytest.approx((0.5 * F.cross_entropy(model(seen), soft) + 2.0 * distilled).item(), rel=1e-5)
    ready = learner(model, objective, Training(), Execution())
    assert run_step(ready, Batch(seen, labels, taught, mixed), 0.1).item() == pytest.approx(found.item(), rel=1e-6)


class Remembering(nn.Module):
    """A linear network that keeps what it is shown."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(256, classes)
        self.shown: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.shown.append(images.detach().clone())
        output: torch.Tensor = self.linear(images.flatten(1))
        return output


def test_training_sees_mixed_images_and_ends_the_same_again(few_digits: Dataset, tmp_path: Path) -> None:
    data = replace(few_digits, augmentation=replace(few_digits.augmentation, mixup=0.5))
    ends = []
    for run in ("a", "b"):
        torch.manual_seed(0)
        model = Remembering(10)
        objective = build_objective(LABELS_ALONE, model, None, torch.zeros(2, 1, 16, 16))
        model.shown.clear()
        settings = Training(epochs=1, batch_size=50)
        train(Setup(model, objective, data, settings, seed=1), Execution(), Means(tmp_path / run, Silent()))
        ends.append(model)
    view = View(data.augmentation, seed=1, epoch=1)
    for batch, (shown, (images, _)) in enumerate(zip(ends[0].shown, data.train.batches(50, view), strict=True)):
        mixed = mix(view, batch, 50)
        assert mixed is not None
        assert torch.allclose(shown, mixed.images(images), atol=1e-6)
    assert torch.equal(ends[0].linear.weight, ends[1].linear.weight)
