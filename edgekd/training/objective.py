"""The training objective: the weighted sum of a recipe's losses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.training.forward import forward
from edgekd.training.losses._base import LOSSES, Example, Loss
from edgekd.training.outputs import Outputs
from edgekd.training.taps import Taps, find_taps
from edgekd.values import Losses


@dataclass(frozen=True)
class Term:
    """One loss with its weight."""

    name: str
    weight: float
    loss: Loss


class Objective(nn.Module):
    """The sum of its terms; as a module, because some learn a projection with the student.

    Args:
        terms: at least one.
        student: where the student's features are read; None if no loss reads any.
        teacher: the same for the teacher.
        needs_teacher: whether any term needs the teacher.
        features_alone: whether no term reads the student's logits, so that its accuracy does not show what it learns.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        *,
        student: Taps | None = None,
        teacher: Taps | None = None,
        needs_teacher: bool = False,
        features_alone: bool = False,
    ) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.student_taps, self.teacher_taps, self.needs_teacher = student, teacher, needs_teacher
        self.features_alone = features_alone
        self.learned = nn.ModuleDict({t.name: t.loss for t in terms if isinstance(t.loss, nn.Module)})

    def forward(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The batch's mean loss, a scalar."""
        return torch.stack([term.weight * term.loss(student, teacher, labels) for term in self.terms]).sum()

    def __repr__(self) -> str:
        return repr(self.terms)


def build_objective(
    losses: Losses,
    student: nn.Module,
    teacher: nn.Module | None,
    images: Tensor,
    *,
    kept: Mapping[str, tuple[int, ...]] | None = None,
    seed: int = 0,
) -> Objective:
    """The objective of a recipe's losses for these networks.

    Args:
        losses: each loss's weight and options by its name; those of weight 0 are left out.
        student: the student; it is run once.
        teacher: the teacher; it is run once.
        images: example inputs (B, C, H, W) of both.
        kept: the teacher's channels that the student's layers kept, by layer name, if it was pruned from the teacher.
        seed: seed of the projections' initial weights.

    Raises:
        EdgekdError: a loss or option is unknown, or a loss doesn't support these networks.
    """
    chosen = {name: options for name, options in losses.items() if options.get("weight", 1.0) > 0}
    if not chosen:
        raise EdgekdError("recover.losses: no loss has a weight above 0", "Specify one, for example ce = 1.0.")
    modules = {name: catalog.load(LOSSES, name) for name in chosen}
    for name, module in modules.items():
        _require_options(name, chosen[name], module.OPTIONS)
        if module.NEEDS != "labels" and teacher is None:
            raise EdgekdError(f"the loss {name!r} needs a teacher", "Specify one, or use only the loss 'ce'.")
    needs = {module.NEEDS for module in modules.values()}
    features = teacher is not None and "features" in needs
    student_taps = find_taps(student, images) if features else None
    teacher_taps = find_taps(teacher, images) if features and teacher is not None else None
    example = Example(
        _example_outputs(student, student_taps, images),
        None if teacher is None else _example_outputs(teacher, teacher_taps, images),
        _kept_stages(student, student_taps, kept),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        terms = [
            Term(name, given.get("weight", 1.0), modules[name].build(_complete(given, modules[name].OPTIONS), example))
            for name, given in chosen.items()
        ]
    return Objective(
        terms,
        student=student_taps,
        teacher=teacher_taps,
        needs_teacher=needs != {"labels"},
        features_alone=needs == {"features"},
    )


def require_losses(
    losses: Losses, network: nn.Module, images: Tensor, kept: Mapping[str, tuple[int, ...]] | None
) -> None:
    """Raises EdgekdError if a loss doesn't exist, has no such option, or can't compare this network with itself."""
    objective = build_objective(losses, network, network, images, kept=kept)
    outputs = forward(network.eval(), images, "fp32", objective.student_taps)
    objective(outputs, outputs, torch.zeros(len(images), dtype=torch.int64))


def _require_options(name: str, given: Mapping[str, float], known: Mapping[str, float]) -> None:
    for option in given:
        if option != "weight" and option not in known:
            hint = catalog.nearest(option, ["weight", *known])
            raise EdgekdError(f"recover.losses: the loss {name!r} has no option {option!r}", hint)


def _complete(given: Mapping[str, float], defaults: Mapping[str, float]) -> dict[str, float]:
    return {option: given.get(option, default) for option, default in defaults.items()}


def _example_outputs(model: nn.Module, taps: Taps | None, images: Tensor) -> Outputs:
    training = model.training
    try:
        with torch.no_grad():
            return forward(model.eval(), images, "fp32", taps)
    finally:
        model.train(training)


def _kept_stages(
    student: nn.Module, taps: Taps | None, kept: Mapping[str, tuple[int, ...]] | None
) -> tuple[tuple[int, ...] | None, ...]:
    """The teacher's channels that each stage kept: those of its last layer."""
    if taps is None or kept is None:
        return ()
    found = []
    for stage in taps.stages:
        layers = [f"{stage}.{name}" if name else stage for name, _ in student.get_submodule(stage).named_modules()]
        found.append(next((kept[layer] for layer in reversed(layers) if layer in kept), None))
    return tuple(found)
