"""Several processes that train one model on equal parts of every batch, as `torchrun` starts them.

    torchrun --nproc-per-node 2 -m edgekd compress --target x86-cpu …

Rank 0 alone runs the pipeline. The others load the same data and `serve`: they wait for the trainings that rank 0
begins, take part in them, and throw away what they write. Written for GPUs (nccl) as well, but only run on CPUs (gloo).

Rank 0 sends its messages through the store by which the ranks found each other, not through a collective operation,
which would wait for a rank that is in another one.
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

# what rank 0 does in a training without the others, timing ways of execution and writing, may take long on photos
_PATIENCE = timedelta(days=7)
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0
"""For rank 0 to say what is wrong with the training: torchrun ends it as soon as another rank has ended."""
_FAILED, _DONE = "failed", "done"
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
    """The messages of rank 0 to the others, in their order."""

    def __init__(self, store: Store) -> None:
        self._store, self._number = store, 0

    def post(self, message: str) -> None:
        self._store.set(str(self._number), message)
        self._number += 1

    def next(self, timeout_s: float | None = None) -> str | None:
        """The next message, waiting for it; None where it doesn't come in time."""
        until = time.monotonic() + timeout_s if timeout_s is not None else None
        while not self._store.check([str(self._number)]):
            if until is not None and time.monotonic() > until:
                return None
            time.sleep(_POLL_SECONDS)
        self._number += 1
        return self._store.get(str(self._number - 1)).decode()


_channel: _Channel | None = None  # there is one, as there is one default process group


def count() -> int:
    """How many processes train together; 1 without `torchrun`."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def number() -> int:
    """Which of them this one is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main() -> bool:
    """Whether this is rank 0."""
    return number() == 0


@contextmanager
def joined() -> Iterator[Rank]:
    """Within this context the processes that `torchrun` started know each other; without it there is rank 0 alone.

    When rank 0 leaves it, the others' `serve` ends: with an error if rank 0 leaves by one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield Rank(number(), count())
        return
    global _channel
    end_with_parent()  # torchrun, once killed, would leave its processes training
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


def summon(function: Callable[[Any, Workspace], object], inputs: object, cache: Path) -> None:
    """Have the ranks that `serve` call this function of a module with the same inputs, while rank 0 runs it
    itself; nothing where this isn't rank 0, or there is no other.

    Args:
        function: what they call.
        inputs: what they give it; in place of a data set each gives its own, as rank 0 augments it.
        cache: the folder that all runs share.
    """
    if _channel is not None and is_main():
        _channel.post(_pickled((function, inputs, cache)))


def serve(data: Dataset) -> None:
    """Take part in what rank 0 begins until it is done.

    Args:
        data: the same as rank 0's.

    Raises:
        EdgekdError: rank 0 failed; or what it began can't be taken part in, as it raises there.
    """
    assert _channel is not None
    channel = _channel
    while (message := channel.next()) != _DONE:
        if message == _FAILED or message is None:
            raise EdgekdError("rank 0 failed, so this rank ends too", "See the message of rank 0.")
        try:
            function, inputs, cache = _unpickled(message, data)
            with TemporaryDirectory() as folder, Resources() as resources:
                function(inputs, Workspace(Path(folder), Silent(), cache, None, Path(folder), resources))
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
    """Rank 0's value, in all ranks; each waits for it."""
    values = [value]
    if count() > 1:
        distributed.broadcast_object_list(values, src=0)
    return values[0]


def parallel(module: nn.Module) -> nn.Module:
    """The module as all ranks train it: their gradients are averaged, rank 0's buffers are all's."""
    if count() == 1 or not any(p.requires_grad for p in module.parameters()):
        return module
    # layers that are skipped in some steps have no gradient there, which the others would wait for
    return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


def broadcast_buffers(module: nn.Module) -> None:
    """Give all ranks rank 0's buffers, such as a batch normalisation's running mean."""
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
