"""A stage that learns features alone: the validation accuracy of its untrained last layer says nothing."""

import pytest
import torch

from edgekd.progress import Silent
from edgekd.training.engine import train
from edgekd.training.objective import build_objective
from edgekd.training.setup import Means, Setup
from edgekd.values import Recovery
from edgekd.values.training import Execution
from edgekd.zoo.build import build


def trained(data, losses, checkpoint, *, epochs):
    torch.manual_seed(0)
    student, teacher = (build("resnet8", classes=10, channels=1) for _ in range(2))
    objective = build_objective(losses, student, teacher, torch.zeros(2, 1, 16, 16))
    settings = Recovery(epochs=epochs, batch_size=64, learning_rate=0.05)
    setup = Setup(student, objective, data, settings, 0, teacher)
    return train(setup, Execution(), Means(checkpoint, Silent())), student


def test_it_ends_with_its_last_epoch(few_digits, tmp_path):
    losses = {"fitnet": {"weight": 1.0}}
    found, student = trained(few_digits, losses, tmp_path / "c.pt", epochs=4)
    assert found.best_epoch == 4
    assert found.history[3].loss < found.history[0].loss
    last = torch.load(tmp_path / "c.pt", weights_only=True)["model"]
    assert all(torch.equal(value, last[key]) for key, value in student.state_dict().items())


@pytest.mark.parametrize(
    ("losses", "alone"), [({"fitnet": {}}, True), ({"fitnet": {}, "kd": {}}, False), ({"ce": {}}, False)]
)
def test_one_that_looks_at_logits_too_is_judged_by_them(few_digits, losses, alone):
    student, teacher = (build("resnet8", classes=10, channels=1) for _ in range(2))
    assert build_objective(losses, student, teacher, torch.zeros(2, 1, 16, 16)).features_alone is alone
