"""Where and how training computes: device, memory format, threads, compilation and random numbers.

It supports GPUs, but has only been run on CPUs.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

import torch
from torch import Tensor, nn

from edgekd import seeds
from edgekd.values.training import Execution

MemoryFormat = Literal["contiguous", "channels_last"]

_MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def training_device() -> torch.device:
    """The GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block, all that is drawn at random, such as dropout, follows `seed`; then the previous states are
    restored.
    """
    device = training_device()
    with seeds.seeded(seed, [device] if device.type == "cuda" else []):
        yield


@contextmanager
def on_threads(threads: int | None) -> Iterator[None]:
    """Within the block, torch uses that many CPU threads; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def place(module: nn.Module, execution: Execution, device: torch.device) -> nn.Module:
    """Move a module to the device and into the memory format, in place."""
    return module.to(device=device).to(memory_format=_MEMORY_FORMATS[execution.memory_format])


def place_images(images: Tensor, execution: Execution, device: torch.device) -> Tensor:
    """The images (B, C, H, W) on the device and in the memory format of the model."""
    return images.to(device, non_blocking=True, memory_format=_MEMORY_FORMATS[execution.memory_format])


def compiled(model: nn.Module) -> nn.Module:
    """The model compiled by torch.compile: the same parameters, faster code for batches of one size."""
    # it warns at every start on a machine without a GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    return cast(nn.Module, torch.compile(model, dynamic=False))
