"""Reports a running epoch."""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgekd.training import ranks
from edgekd.training.divergence import mean_loss
from edgekd.training.history import Epoch
from edgekd.training.prepare import Run

_REPORT_SECONDS = 0.25


def reporter(run: Run, epoch: int, history: Sequence[Epoch]) -> Callable[[Sequence[Tensor]], None]:
    """Reports the losses of an epoch so far, a few times a second: reading a loss waits for it."""
    schedule = run.schedule
    last = time.monotonic()
    before = schedule.images_until(epoch - 1)
    validated = f"  val {100 * history[-1].validation.top1:.1f} %" if history else ""

    def report(losses: Sequence[Tensor]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _REPORT_SECONDS and len(losses) < schedule.steps_of(epoch):
            return
        last = now
        seen = min(len(losses) * schedule.batch_size, schedule.images_of(epoch))
        seen_losses = torch.stack(list(losses))
        # all ranks must do the same, and know the same only at the end of an epoch
        loss = mean_loss(run, epoch, seen_losses) if ranks.count() == 1 else float(seen_losses.mean())
        detail = f"epoch {epoch}/{schedule.epochs}  loss {loss:.2f}{validated}"
        run.means.progress.advance(before + seen, schedule.images_until(schedule.epochs), detail)

    return report
