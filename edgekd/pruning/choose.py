"""Who says which channels can go: the dependency graph where it is right, else what is found by trying.

torch-pruning's graph is right for most networks; it fails or mixes channels up on C2f, Res2Net, halves by slices,
PixelShuffle, ShuffleNetV2 and wherever channels are reordered. torch-kirigami 0.2.1 traces with FX, which C2f's
`list(x.chunk(2, 1))` ends, and its planner took 261 s for one Res2Net block. `pruning.probed` follows all of them, but
runs a batch of images for each layer where the graph runs one for all.
"""

import copy
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from edgekd.pruning.graph import Channels, Graph, Group, channels_left
from edgekd.pruning.known_groups import Found
from edgekd.pruning.marks import mixer, mixing_layers
from edgekd.pruning.probed import Probed
from edgekd.pruning.proof import require_proof

_LIMIT_S, _ATTENTION_S = 15, 5
"""Of processor time, so that what else runs doesn't decide. Graphs of networks that can be followed take a few seconds;
where attention mixes all channels they grow for hours, swin_t's by gigabytes.
"""

_Way = Callable[[nn.Module], Channels]
"""Gives the channels of an equal copy of a network, in eval mode, which they are taken from."""

_right: WeakKeyDictionary[nn.Module, _Way] = WeakKeyDictionary()
"""The way that is right for a network: finding it takes up to seconds, and the same is asked often."""


def channels_of(model: nn.Module, copied: nn.Module, example: Tensor) -> Channels:
    """The channels of a network that can go.

    Args:
        model: not changed.
        copied: an equal copy in eval mode, which the channels are taken from; all its weights get gradients.
        example: one input (1, C, H, W).

    Raises:
        UnsupportedModelError: none can.
    """
    if model not in _right:
        _right[model] = _right_way(copy.deepcopy(model).eval(), example)
    return _right[model](copied.requires_grad_(True))


def _right_way(original: nn.Module, example: Tensor) -> _Way:
    """The dependency graph's groups, cut by ourselves, which takes no time, or by torch-pruning where that fails; what
    is found by trying where the graph isn't right.
    """
    network = copy.deepcopy(original)
    try:
        seconds = _ATTENTION_S if mixer(original, example, mixing_layers(original, example)[0]) else _LIMIT_S
        with _within(seconds):
            groups = Graph(network, example).groups
        for way in (Found(network, groups).of, lambda copied: Graph(copied, example)):
            if groups and _is_right(way, original, example, seconds):
                return way
    except Exception:  # the graph, or the network's own forward, may raise anything
        pass
    found = Probed(original, example)
    return lambda copied: Probed(copied, example, like=found)


def _is_right(way: _Way, original: nn.Module, example: Tensor, seconds: int) -> bool:
    """Whether the network is itself without some channels of every group; another share of each."""
    generator, network = torch.Generator().manual_seed(0), copy.deepcopy(original)
    try:
        with _within(seconds):
            channels = way(network)
            kept = {group.root: _some(group, i, generator) for i, group in enumerate(channels.groups)}
            left = channels_left(network, channels.groups, kept)
            for root, stays in kept.items():
                channels.keep(root, stays)
        require_proof(original, network, example, kept=left)
    except Exception:  # torch-pruning, or the network's own forward, may raise anything
        return False
    return True


def _some(group: Group, number: int, generator: torch.Generator) -> tuple[int, ...]:
    length = group.width // group.parts
    count = max(1, round(length * (0.5, 0.75, 0.35)[number % 3]))
    positions = torch.randperm(length, generator=generator)[:count].sort().values.tolist()
    return tuple(part * length + p for part in range(group.parts) for p in positions)


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    """Raise TimeoutError where it computes longer; only in a main thread, and where there are such signals."""
    if not hasattr(signal, "SIGVTALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
