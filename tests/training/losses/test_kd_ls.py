import math
import statistics

import pytest
import torch

from edgekd.errors import EdgekdError
from edgekd.training.losses import kd_ls
from edgekd.training.losses._base import Example
from edgekd.training.losses.kd_ls import kd_ls_loss, standardised
from edgekd.training.outputs import Outputs

GENERATOR = torch.Generator().manual_seed(0)
STUDENT, TEACHER = torch.randn(2, 4, 20, generator=GENERATOR, dtype=torch.float64) * 3 + 1
LABELS = torch.tensor([3, 0, 19, 7])


def softened(row: list[float], temperature: float) -> list[float]:
    mean, deviation = statistics.mean(row), statistics.stdev(row)
    powers = [math.exp((z - mean) / deviation / temperature) for z in row]
    return [p / sum(powers) for p in powers]


def reference(temperature: float) -> float:
    total = 0.0
    for student, teacher in zip(STUDENT.tolist(), TEACHER.tolist(), strict=True):
        q, p = softened(student, temperature), softened(teacher, temperature)
        total += sum(pi * math.log(pi / qi) for pi, qi in zip(p, q, strict=True))
    return temperature**2 * total / len(LABELS)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_is_the_divergence_of_the_standardised_logits(temperature: float) -> None:
    expected = reference(temperature)
    assert kd_ls_loss(STUDENT, TEACHER, temperature).item() == pytest.approx(expected, abs=1e-6)
    # fp32 rounds what T² then enlarges
    rounding = 1e-6 * max(1, temperature**2 / 4)
    assert kd_ls_loss(STUDENT.float(), TEACHER.float(), temperature).item() == pytest.approx(expected, abs=rounding)


def test_standardised_logits_have_mean_zero_and_deviation_one() -> None:
    rows = standardised(STUDENT)
    assert rows.mean(1).tolist() == pytest.approx([0] * 4, abs=1e-9)
    assert rows.std(1).tolist() == pytest.approx([1] * 4, abs=1e-9)


def test_logits_of_two_classes_keep_only_their_order() -> None:
    rows = standardised(torch.tensor([[9.0, -1.0], [0.2, 0.1], [0.0, 5.0]]))
    half = math.sqrt(0.5)
    torch.testing.assert_close(rows, torch.tensor([[half, -half], [half, -half], [-half, half]]))


def test_changes_with_neither_scale_nor_offset() -> None:
    scale, offset = torch.tensor([[0.1], [1.0], [7.0], [30.0]]), torch.tensor([[5.0], [-2.0], [0.0], [1.0]])
    expected = kd_ls_loss(STUDENT, TEACHER, 2).item()
    assert kd_ls_loss(STUDENT * scale + offset, TEACHER, 2).item() == pytest.approx(expected, abs=1e-9)
    assert kd_ls_loss(STUDENT, TEACHER * scale + offset, 2).item() == pytest.approx(expected, abs=1e-9)
    assert kd_ls_loss(TEACHER * scale + offset, TEACHER, 2).item() == pytest.approx(0, abs=1e-9)
    assert expected > 0.1


def test_gradient_is_that_of_the_value() -> None:
    student = STUDENT[:, :6].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda logits: kd_ls_loss(logits, TEACHER[:, :6], 2), (student,))


def test_options_are_those_of_the_formula() -> None:
    student, teacher = Outputs(STUDENT), Outputs(TEACHER)
    assert kd_ls.OPTIONS == {"temperature": 2.0, "min_classes": 20.0}
    for temperature in (2.0, 4.0):
        loss = kd_ls.build({**kd_ls.OPTIONS, "temperature": temperature}, Example(student, teacher))
        assert loss(student, teacher, LABELS).item() == pytest.approx(reference(temperature), abs=1e-6)


def test_few_classes_are_refused_unless_the_recipe_allows_them() -> None:
    student, teacher = Outputs(STUDENT[:, :19]), Outputs(TEACHER[:, :19])
    with pytest.raises(EdgekdError, match="'kd_ls' with 19 classes") as e:
        kd_ls.build(kd_ls.OPTIONS, Example(student, teacher))
    assert "Use 'kd'" in e.value.hint
    assert "min_classes = 19" in e.value.hint
    allowed = kd_ls.build({**kd_ls.OPTIONS, "min_classes": 19.0}, Example(student, teacher))
    assert allowed(student, teacher, LABELS.clamp(max=18)).isfinite()
