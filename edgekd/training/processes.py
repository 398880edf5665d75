"""Several processes that train one model on equal parts of every batch, as `torchrun` starts them.

    torchrun --nproc-per-node 2 -m edgekd compress --target x86-cpu …

All of them go the same way. The first one (rank 0) alone writes, measures and speaks; the others take part in training
and read what it wrote. Written for GPUs (nccl) as well, but only run on CPUs (gloo).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from edgekd.signals import end_with_parent

V = TypeVar("V")

# what the first process does alone may take hours: measuring, training of another stage that it finds begun
_PATIENCE = timedelta(days=7)


def count() -> int:
    """How many processes train together; 1 without `torchrun`."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def together() -> Iterator[None]:
    """Within this context the processes that `torchrun` started know each other; without it nothing changes."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield
        return
    end_with_parent()  # torchrun, once killed, would leave its processes training
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


class Crew:
    """The processes of this run, as `store.Store` asks for them."""

    def __init__(self) -> None:
        self._alone = False

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return rank() == 0

    def agree(self, value: V) -> V:
        """The first process's value, in all of them; each waits for it."""
        return value if self._alone else agreed(value)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within this context the first process doesn't tell the others anything: they wait."""
        before, self._alone = self._alone, True
        try:
            yield
        finally:
            self._alone = before


def agreed(value: V) -> V:
    """The first process's value, in all of them; each waits for it."""
    values = [value]
    if count() > 1:
        distributed.broadcast_object_list(values, src=0)
    return values[0]


def joined(module: nn.Module) -> nn.Module:
    """The module as all processes train it: their gradients are averaged, the first one's buffers are all's."""
    if count() == 1 or not any(p.requires_grad for p in module.parameters()):
        return module
    # layers that are skipped in some steps have no gradient there, which the others would wait for
    return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


def same_buffers(module: nn.Module) -> None:
    """Give all processes the first one's buffers, such as a batch normalisation's running mean."""
    if count() > 1:
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)


def mean(values: Tensor) -> Tensor:
    """The mean over all processes."""
    if count() == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / count()
