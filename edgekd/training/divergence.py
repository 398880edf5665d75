"""What tells that a training diverged."""

from torch import Tensor

from edgekd.errors import EdgekdError
from edgekd.training.evaluate import Score
from edgekd.training.prepare import Run

_GUESSING, _KNOWS = 0.05, 0.2
"""Fractions of the range from chance level to perfect accuracy: what is no more than guessing, and what is more."""
_FORGOTTEN = 0.5
"""Fraction of that range, as far as the network had come."""


class DivergedError(EdgekdError):
    """A training diverged; a lower learning rate may help."""

    seconds = 0.0
    """What was trained until then, where the engine says it."""


def mean_loss(run: Run, epoch: int, values: Tensor) -> float:
    """The mean loss so far, waiting for the device.

    Raises:
        DivergedError: a loss isn't finite.
    """
    finite = values.isfinite()
    if not finite.all():
        step = int(finite.logical_not().nonzero()[0].item())
        raise _diverged(run, f"the loss is {values[step].item()}", epoch, step)
    return float(values.mean().item())


def require_finite_weights(run: Run, epoch: int) -> None:
    """Raises DivergedError if the epoch's last step left a weight that isn't finite."""
    if not all(bool(parameter.isfinite().all()) for parameter in run.learner.model.parameters()):
        raise _diverged(run, "weights are no longer finite", epoch, run.schedule.steps_of(epoch) - 1)


def require_gradients(run: Run, epoch: int, loss: float, validation: Score) -> None:
    """Raises DivergedError if the network is dead: a step that was too long left activations that are 0 for all
    images, so that no weight has a gradient any more, though the network only guesses.
    """
    guessing = 1 / len(run.setup.data.classes)
    gradients = [p.grad for p in run.learner.model.parameters() if p.ndim > 1 and p.grad is not None]
    if loss == 0 or not gradients or validation.top1 - guessing > _GUESSING * (1 - guessing):
        return
    if not any(bool(gradient.any()) for gradient in gradients):
        what = f"all gradients are zero, and the loss stays at {loss:.3g}"
        raise _diverged(run, what, epoch, run.schedule.steps_of(epoch) - 1)


def require_remembered(run: Run, before: Score, validation: Score) -> None:
    """Raises DivergedError if the first epoch took more than half of what the network knew: at such a rate it learns
    everything anew, and what its pruning and repair left is lost. It has to know something.
    """
    guessing = 1 / len(run.setup.data.classes)
    knew, knows = before.top1 - guessing, validation.top1 - guessing
    if knew > _KNOWS * (1 - guessing) and knows < _FORGOTTEN * knew:
        what = f"{validation.top1:.2%} of the validation images are right, and {before.top1:.2%} were before,"
        raise _diverged(run, what, 1, run.schedule.steps_of(1) - 1)


def _diverged(run: Run, what: str, epoch: int, step: int) -> DivergedError:
    rate, peak = run.schedule.rate(epoch, step), run.schedule.peak
    where = f"in epoch {epoch}, step {step + 1} of {run.schedule.steps_of(epoch)}, at a learning rate of {rate:.3g}"
    kept = f" {run.means.checkpoint} contains the previous epochs." if epoch > 1 else ""
    stated = run.setup.settings.learning_rate
    tried = f"; it is {stated:g}" + (
        f", and {peak:g} with clipped gradients was tried as well" if peak != stated else ""
    )
    hint = f"Lower learning_rate in the recipe's [teacher], or in its [recover] for a student{tried}.{kept}"
    return DivergedError(f"training diverged: {what} {where}", hint)
