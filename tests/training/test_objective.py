import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.errors import EdgekdError
from edgekd.training.forward import forward
from edgekd.training.losses.kd import kd_loss
from edgekd.training.objective import build_objective
from edgekd.values import Losses, Recovery
from edgekd.values.losses import HALF_AND_HALF
from edgekd.zoo.build import build

IMAGES = torch.randn(4, 1, 16, 16)
LABELS = torch.randint(10, (4,))


@pytest.fixture
def student() -> nn.Module:
    return build("resnet8", classes=10, channels=1).eval()


@pytest.fixture
def teacher() -> nn.Module:
    return build("resnet14", classes=10, channels=1).eval()


def test_is_the_weighted_sum_of_its_losses(student: nn.Module, teacher: nn.Module) -> None:
    losses = Recovery.model_validate({"losses": {"ce": 0.25, "kd": {"weight": 2, "temperature": 3}}}).losses
    objective = build_objective(losses, student, teacher, IMAGES)
    assert objective.needs_teacher
    assert objective.student_taps is None
    seen, taught = (forward(model, IMAGES, "fp32", None) for model in (student, teacher))
    expected = 0.25 * F.cross_entropy(seen.logits, LABELS) + 2 * kd_loss(seen.logits, taught.logits, 3)
    torch.testing.assert_close(objective(seen, taught, LABELS), expected)


def test_default_is_half_labels_and_half_teacher(student: nn.Module, teacher: nn.Module) -> None:
    objective = build_objective(HALF_AND_HALF, student, teacher, IMAGES)
    assert [(term.name, term.weight) for term in objective.terms] == [("ce", 0.5), ("kd", 0.5)]
    assert objective.terms[1].loss.temperature == 4


def test_projections_are_parameters_that_the_seed_decides(student: nn.Module, teacher: nn.Module) -> None:
    def first_weights(seed: int) -> torch.Tensor:
        objective = build_objective({"fitnet": {}}, student, teacher, IMAGES, seed=seed)
        return torch.cat([p.detach().flatten() for p in objective.parameters()])

    before = torch.get_rng_state()
    assert torch.equal(first_weights(0), first_weights(0))
    assert not torch.equal(first_weights(0), first_weights(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_loss_of_weight_zero_is_left_out(student: nn.Module) -> None:
    objective = build_objective({"ce": {"weight": 1.0}, "kd": {"weight": 0.0}}, student, None, IMAGES)
    assert not objective.needs_teacher


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"kdd": {}}, "no loss 'kdd'"),
        ({"kd": {"temprature": 2.0}}, "recover.losses: the loss 'kd' has no option 'temprature'"),
        ({"ce": {"weight": 0.0}}, "no loss has a weight above 0"),
        ({}, "no loss has a weight above 0"),
        ({"kd_ls": {}}, "'kd_ls' with 10 classes"),
    ],
)
def test_what_no_loss_can_be_is_refused(student: nn.Module, teacher: nn.Module, losses: Losses, message: str) -> None:
    with pytest.raises(EdgekdError, match=message) as e:
        build_objective(losses, student, teacher, IMAGES)
    assert e.value.hint


def test_loss_that_needs_a_teacher_is_refused(student: nn.Module) -> None:
    with pytest.raises(EdgekdError, match="the loss 'kd' needs a teacher"):
        build_objective({"kd": {}}, student, None, IMAGES)


def test_its_text_distinguishes_objectives(student: nn.Module, teacher: nn.Module) -> None:
    texts = {
        repr(build_objective(losses, student, teacher, IMAGES))
        for losses in ({"kd": {}}, {"kd": {"temperature": 2.0}}, {"kd": {"weight": 2.0}}, {"ce": {}, "kd": {}})
    }
    assert len(texts) == 4
    assert repr(build_objective({"kd": {}}, student, teacher, IMAGES)) in texts
