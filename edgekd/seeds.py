"""Random numbers of users' code, such as a factory: they follow a seed, whichever library they are drawn from."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


def draw_from(seed: int) -> None:
    """From now on, the global random numbers of torch, numpy and Python follow `seed`: not negative, below 2 ** 63."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextmanager
def seeded(seed: int, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """As `draw_from` within the block; then the previous states are restored, also those of these GPUs."""
    python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[*devices]):
            draw_from(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)
