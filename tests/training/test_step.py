from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.training.device import on_threads, place, seeded
from edgekd.training.forward import logits, teacher_outputs
from edgekd.training.losses.ce import CrossEntropy
from edgekd.training.objective import Objective, Term
from edgekd.training.outputs import Outputs
from edgekd.training.step import Batch, learner, run_step
from edgekd.values import Training
from edgekd.values.training import Execution
from edgekd.zoo.build import build

CPU = torch.device("cpu")
LABELS = Objective([Term("ce", 1.0, CrossEntropy())])


def test_step_is_sgd_with_nesterov_momentum_and_decay_on_weights_alone() -> None:
    settings = Training(momentum=0.9, weight_decay=0.01)
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    ready = learner(model, LABELS, settings, Execution())
    images, labels = torch.randn(8, 4), torch.randint(3, (8,))
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    momentum = {name: torch.zeros_like(p) for name, p in expected.items()}
    for _ in range(3):
        run_step(ready, Batch(images, labels), 0.1)
        leaves = {name: p.requires_grad_() for name, p in expected.items()}
        output = images @ leaves["weight"].T + leaves["bias"]
        given = torch.autograd.grad(nn.functional.cross_entropy(output, labels), list(leaves.values()))
        for (name, p), g in zip(leaves.items(), given, strict=True):
            decayed = g + (0.01 * p.detach() if name == "weight" else 0)
            momentum[name] = 0.9 * momentum[name] + decayed
            expected[name] = p.detach() - 0.1 * (decayed + 0.9 * momentum[name])
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spec", ["resnet8", "mobilenet_v1:width=0.125"])
def test_every_execution_takes_about_the_same_step(spec: str) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(64, 1, 16, 16), torch.randint(10, (64,))
    weights, losses = [], []
    for execution in (
        Execution(),
        Execution(memory_format="channels_last"),
        Execution(precision="bf16", memory_format="channels_last"),
    ):
        torch.manual_seed(1)
        model = place(build(spec, classes=10, channels=1), execution, CPU)
        ready = learner(model, LABELS, Training(), execution)
        losses.append(run_step(ready, Batch(images, labels), 0.1).item())
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=0.02)
    for other in weights[1:]:
        assert nn.functional.cosine_similarity(weights[0], other, dim=0) > 0.99


def test_loss_may_use_the_teachers_logits_as_they_come() -> None:
    model, teacher = nn.Linear(4, 3), nn.Linear(4, 3)

    def squared_difference(student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        assert teacher is not None
        return ((student.logits - teacher.logits) * teacher.logits).square().mean()

    objective = Objective([Term("odd", 1.0, squared_difference)], needs_teacher=True)
    ready = learner(model, objective, Training(), Execution())
    images = torch.randn(8, 4)
    outputs = teacher_outputs(teacher, images, "fp32")
    assert run_step(ready, Batch(images, torch.zeros(8, dtype=torch.int64), outputs), 0.1).isfinite()
    assert teacher.weight.grad is None


def test_pruned_weights_stay_zero_and_the_others_learn() -> None:
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight[:, 1] = 0
    before = model.weight.detach().clone()
    ready = learner(model, LABELS, Training(), Execution(), keep_zeros=True)
    for _ in range(3):
        run_step(ready, Batch(torch.randn(8, 4), torch.randint(3, (8,))), 0.1)
    assert (model.weight[:, 1] == 0).all()
    assert (model.weight != before).sum() == 9
    ready = learner(model, LABELS, Training(), Execution())
    run_step(ready, Batch(torch.randn(8, 4), torch.randint(3, (8,))), 0.1)
    assert (model.weight[:, 1] != 0).any()


def test_random_numbers_inside_follow_the_seed_and_outside_continue() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(1):
        first = torch.rand(2)
    with seeded(1):
        assert torch.equal(torch.rand(2), first)
    assert torch.equal(torch.rand(2), expected)


def test_threads_are_set_inside_alone() -> None:
    before = torch.get_num_threads()
    with on_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        with on_threads(None):
            assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


class Two(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


def test_output_that_is_not_logits_is_an_error() -> None:
    images = torch.randn(2, 1, 4, 4)
    with pytest.raises(UnsupportedModelError, match="tuple"):
        logits(Two(), images, "fp32")
    with pytest.raises(UnsupportedModelError, match=r"\(2, 1, 4, 4\)"):
        logits(nn.Identity(), images, "fp32")


class Skipping(nn.Module):
    """Leaves its middle layer out of the runs that it is told."""

    def __init__(self, skipped: set[int]) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.skipped, self.runs = skipped, 0

    def forward(self, images: Tensor) -> Tensor:
        self.runs += 1
        seen = self.first(images)
        if self.runs not in self.skipped:
            seen = seen + self.middle(seen)
        logits: Tensor = self.last(seen)
        return logits


@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("skipped", [{1}, {1, 2}, {2}, {1, 3}])
def test_layers_that_are_left_out_of_some_steps_learn_as_in_plain_sgd(skipped: set[int], momentum: float) -> None:
    settings = Training(momentum=momentum, weight_decay=0.01)
    torch.manual_seed(0)
    model, plain = Skipping(skipped), Skipping(skipped)
    plain.load_state_dict(model.state_dict())
    ready = learner(model, LABELS, settings, Execution())
    weights = {"params": [p for p in plain.parameters() if p.ndim > 1], "weight_decay": 0.01}
    others = {"params": [p for p in plain.parameters() if p.ndim <= 1], "weight_decay": 0.0}
    loop = torch.optim.SGD([weights, others], lr=0.1, momentum=momentum, nesterov=momentum > 0, foreach=False)
    images, labels = torch.randn(8, 4), torch.randint(3, (8,))
    for _ in range(4):
        run_step(ready, Batch(images, labels), 0.1)
        loop.zero_grad()
        nn.functional.cross_entropy(plain(images), labels).backward()
        loop.step()
    for learned, expected in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(learned, expected, rtol=1e-5, atol=1e-6)


class FailingBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        raise AssertionError("no gradient here")


def test_what_the_networks_backward_pass_raises_is_reported() -> None:
    class Odd(nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            given: Tensor = FailingBackward.apply(super().forward(images))
            return given

    ready = learner(Odd(4, 3), LABELS, Training(), Execution())
    with pytest.raises(UnsupportedModelError, match="backward pass fails: AssertionError: no gradient here"):
        run_step(ready, Batch(torch.randn(8, 4), torch.randint(3, (8,))), 0.1)


@pytest.mark.parametrize("clip", [None, 1e-3, 1e3])
def test_gradients_are_clipped_to_a_norm_of_all_together(clip: float | None) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    before = [p.detach().clone() for p in model.parameters()]
    ready = replace(learner(model, LABELS, Training(momentum=0, weight_decay=0), Execution()), clip=clip)
    run_step(ready, Batch(torch.randn(8, 4), torch.randint(3, (8,))), 1.0)
    changes = [p.detach() - old for p, old in zip(model.parameters(), before, strict=True)]
    norm = torch.cat([change.flatten() for change in changes]).norm().item()
    assert norm == pytest.approx(1e-3, rel=1e-3) if clip == 1e-3 else norm > 0.1


def test_a_step_trains_in_the_convolutions_of_its_execution() -> None:
    model = nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 64, 1, bias=False),
        nn.Flatten(),
        nn.Linear(256, 3),
    )
    images = torch.randn(4, 8, 2, 2)
    for kind, depthwise, matrices in (("native", False, False), ("depthwise", True, False), ("matrices", True, True)):
        ready = learner(model, LABELS, Training(), Execution(precision="bf16", convolutions=kind))
        loss = ready.loss(images, None, torch.zeros(4, dtype=torch.int64))
        names = {node.name() for node in ancestors(loss.grad_fn)}
        assert any("_Depthwise" in name for name in names) == depthwise
        assert any("matrix_convolution" in name for name in names) == matrices


def ancestors(node):
    yield node
    for earlier, _ in node.next_functions:
        if earlier is not None:
            yield from ancestors(earlier)
