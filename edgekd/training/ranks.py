"""Distributed training: processes started by `torchrun` train one model on equal parts of every batch.

    torchrun --nproc-per-node 2 -m edgekd compress --target x86-cpu …

Only rank 0 runs the pipeline. The others load the same data and `serve`: they wait for the trainings that rank 0
starts, take part in them, and discard their files. It supports GPUs (nccl), but has only been run on CPUs (gloo).

Rank 0 sends its messages through the rendezvous store, not by a collective operation, which would wait for a rank that
is in another one.
"""

import base64
import io
import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from edgekd.data.dataset import Dataset
from edgekd.errors import EdgekdError
from edgekd.progress import Silent
from edgekd.run import Resources, Workspace
from edgekd.signals import end_with_parent

T = TypeVar("T")

# the others wait while rank 0 times ways of execution and writes files, which may take long for photos
_PATIENCE = timedelta(days=7)
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0
"""Time for rank 0 to report what failed: torchrun terminates it as soon as another rank has ended."""
_SAME_SECONDS = 60.0
"""Time for rank 0 to say that a training failed there as well: it may evaluate longer than another rank."""
_FAILED, _DONE, _GIVEN_UP = "failed", "done", "given up"
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Rank:
    """One of the processes."""

    number: int
    count: int

    @property
    def is_main(self) -> bool:
        """Whether it runs the pipeline: measures, writes files and logs."""
        return self.number == 0


class _Channel:
    """The messages of rank 0 to the others, in order."""

    def __init__(self, store: Store) -> None:
        self._store, self._number = store, 0

    def post(self, message: str) -> None:
        self._store.set(str(self._number), message)
        self._number += 1

    def next(self, timeout_s: float | None = None) -> str | None:
        """Wait for the next message; None after the timeout."""
        until = time.monotonic() + timeout_s if timeout_s is not None else None
        while not self._store.check([str(self._number)]):
            if until is not None and time.monotonic() > until:
                return None
            time.sleep(_POLL_SECONDS)
        self._number += 1
        return self._store.get(str(self._number - 1)).decode()


_channel: _Channel | None = None  # only one, as there is one default process group


def count() -> int:
    """The number of processes; 1 without `torchrun`."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def number() -> int:
    """The rank of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main() -> bool:
    """Whether this is rank 0."""
    return number() == 0


@contextmanager
def joined() -> Iterator[Rank]:
    """Within the block, the processes that `torchrun` started form a process group; without `torchrun` there is only
    rank 0.

    When rank 0 leaves the block, `serve` ends in the other ranks; if rank 0 leaves by an error, `serve` raises one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield Rank(number(), count())
        return
    global _channel
    end_with_parent()  # otherwise the processes train on after torchrun is killed
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    store, own, size = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    group = PrefixStore("group", store)
    distributed.init_process_group("nccl" if gpu else "gloo", store=group, rank=own, world_size=size, timeout=_PATIENCE)
    _channel = channel = _Channel(PrefixStore("edgekd", store))
    try:
        yield Rank(own, size)
    except BaseException:
        if own == 0:
            channel.post(_FAILED)
        raise
    else:
        if own == 0:
            channel.post(_DONE)
        distributed.barrier()  # the store may live in rank 0
    finally:
        _channel = None
        distributed.destroy_process_group()


@contextmanager
def together(function: Callable[[Any, Workspace], object], inputs: object, cache: Path) -> Iterator[None]:
    """What rank 0 does in the block is what this module-level function does with these inputs, and the ranks in `serve`
    call it for that. Does nothing if this isn't rank 0, or if there is only one rank.

    Args:
        function: the function.
        inputs: its inputs; each rank replaces a data set by its own, with rank 0's augmentation.
        cache: the folder that all runs share.
    """
    if _channel is None or not is_main():
        yield
        return
    channel = _channel
    channel.post(_pickled((function, inputs, cache)))
    try:
        yield
    except EdgekdError:
        channel.post(_GIVEN_UP)
        raise


def serve(data: Dataset) -> None:
    """Take part in the trainings that rank 0 starts until it has finished. Where a training fails in all ranks, rank 0
    decides what follows: it may go on without that training.

    Args:
        data: the same as rank 0's.

    Raises:
        EdgekdError: rank 0 failed, or a training fails here alone.
    """
    assert _channel is not None
    channel = _channel
    while (message := channel.next()) != _DONE:
        if message == _FAILED or message is None:
            raise EdgekdError("rank 0 failed, so this rank ends too", "See the message of rank 0.")
        if message != _GIVEN_UP:  # else it failed in rank 0 alone, behind what the ranks do together
            _take_part(channel, message, data)


def _take_part(channel: _Channel, message: str, data: Dataset) -> None:
    """Do what rank 0 does; raises what fails here and not there."""
    patience_s = _GRACE_SECONDS
    try:
        function, inputs, cache = _unpickled(message, data)
        patience_s = _SAME_SECONDS
        with TemporaryDirectory() as folder, Resources() as resources:
            function(inputs, Workspace(Path(folder), Silent(), cache, None, Path(folder), resources))
    except EdgekdError:
        # such as a training that diverged, which all see
        if channel.next(patience_s) != _GIVEN_UP:
            raise
    except Exception:
        channel.next(_GRACE_SECONDS)
        raise


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        if isinstance(value, Dataset):
            return {each.name: getattr(value, each.name) for each in fields(value) if each.name not in _SPLITS}
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: io.BytesIO, data: Dataset) -> None:
        super().__init__(content)
        self._data = data

    def persistent_load(self, stated: Any) -> Dataset:
        if stated["content"] != self._data.content:
            what = f"this rank and rank 0 loaded different images of {self._data.name}"
            raise EdgekdError(what, "All ranks need the same data: train on one machine, or copy the data.")
        return replace(self._data, **stated)


def _pickled(message: object) -> str:
    content = io.BytesIO()
    _Pickler(content).dump(message)
    return base64.b64encode(content.getvalue()).decode()  # the store takes text


def _unpickled(message: str, data: Dataset) -> Any:
    return _Unpickler(io.BytesIO(base64.b64decode(message)), data).load()


def broadcast(value: T) -> T:
    """Rank 0's value, in all ranks, which wait for it."""
    values = [value]
    if count() > 1:
        distributed.broadcast_object_list(values, src=0)
    return values[0]


def parallel(module: nn.Module) -> nn.Module:
    """The module for training by all ranks: gradients are averaged, and buffers are those of rank 0."""
    if count() == 1 or not any(p.requires_grad for p in module.parameters()):
        return module
    # a layer that is skipped in a step has no gradient, for which the other ranks would wait
    return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


def broadcast_buffers(module: nn.Module) -> None:
    """Copy rank 0's buffers, such as the running mean of batch normalisation, to all ranks."""
    if count() > 1:
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)


def mean(values: Tensor) -> Tensor:
    """The mean over all ranks."""
    if count() == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / count()
