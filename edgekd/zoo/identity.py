"""The identity of a network by what it computes: results stored for one network must not be used for another one with
the same name.

The digest covers the modules with their settings, the tensors' names, shapes and types, the operations as traced by
torch.fx in evaluation and in training, and the output for a fixed image with fixed weights. If torch.fx can't trace all
operations, it covers the source code instead, and the output in training, with the gradients. It doesn't cover weights:
what depends on them uses `digest`.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from edgekd.zoo._code import operations, sources
from edgekd.zoo._numbers import outputs
from edgekd.zoo._settings import settings


def identity(model: nn.Module, shape: tuple[int, int, int]) -> str:
    """The SHA-256 of what a network computes from images of this shape (channels, height, width), whatever its weights:
    the same in every process. It changes with anything that may change the result, at worst without need.

    The model, its mode and the random states stay as they are.
    """
    with _undisturbed():
        seen = operations(model)
        numbers = outputs(model, shape, training=seen is None)
        if seen is None or numbers is None:
            # what can't be followed is the same only as long as nobody has touched it
            seen = f"{seen}\n{sources(model)}"
    parts = (*settings(model), *_tensors(model), seen, str(numbers))
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def digest(model: nn.Module) -> str:
    """The SHA-256 of a model's weights and buffers with their names, types and shapes."""
    hashed = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()


def _tensors(model: nn.Module) -> Iterator[str]:
    """Every tensor's name, kind and type, and which are one and the same."""
    first: dict[int, str] = {}
    for kind, named in (("parameter", model.named_parameters), ("buffer", model.named_buffers)):
        for name, tensor in named(remove_duplicate=False):
            same = first.setdefault(id(tensor), name)
            shape = "lazy" if isinstance(tensor, nn.UninitializedParameter) else tuple(tensor.shape)
            yield f"{kind} {name} {shape} {tensor.dtype} {tensor.requires_grad} {same}"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Fixed random states and one thread, whose sums are always in the same order; then all is as it was."""
    threads, python, own = torch.get_num_threads(), random.getstate(), np.random.get_state()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        random.setstate(python)
        np.random.set_state(own)
