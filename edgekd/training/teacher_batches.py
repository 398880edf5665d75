"""The teacher's answers to the batches of a training."""

import torch
from torch import Tensor

from edgekd.training.forward import teacher_outputs
from edgekd.training.outputs import Outputs
from edgekd.training.prepare import Run


class TeacherBatches:
    """The teacher's outputs for one epoch's batches, in their order: from the cache, else computed and kept there."""

    def __init__(self, run: Run, epoch: int) -> None:
        view = run.view(epoch)
        self._run, self._view = run, view.epoch
        self._cached = run.cache.read(view.epoch, run.schedule.images_of(epoch) // view.parts) if run.cache else None
        self._start = 0
        self._computed: list[Tensor] = []

    def __call__(self, images: Tensor) -> Outputs | None:
        """The teacher's outputs for the next batch of placed images; None without a teacher."""
        run, start = self._run, self._start
        if run.teacher is None:
            return None
        self._start += len(images)
        if self._cached is not None:
            return Outputs(self._cached[start : self._start].to(images.device, non_blocking=True))
        precision, taps = run.learner.execution.teacher_precision, run.learner.objective.teacher_taps
        outputs = teacher_outputs(run.teacher, images, precision, taps)
        if run.cache and run.cache.keeps:
            self._computed.append(outputs.logits)
        return outputs

    def keep(self) -> None:
        """Keep what was computed in the cache."""
        if self._run.cache and self._computed:
            self._run.cache.keep(self._view, torch.cat(self._computed))
