"""Who says which channels can go: the dependency graph where it is right, else what is found by trying.

torch-pruning's graph is right for most networks; it fails or mixes channels up on C2f, Res2Net, halves by slices,
PixelShuffle, ShuffleNetV2 and wherever channels are reordered. torch-kirigami 0.2.1 traces with FX, which C2f's
`list(x.chunk(2, 1))` ends, and its planner took 261 s for one Res2Net block. `pruning.probed` follows all of them, but
runs a batch of images for each layer where the graph runs one for all.
"""

import copy
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from edgekd.pruning.graph import Channels, Graph, channels_left
from edgekd.pruning.marks import mixer, mixing_layers
from edgekd.pruning.probed import Probed
from edgekd.pruning.proof import require_proof

_LIMIT_S, _ATTENTION_S = 15, 5
"""Of processor time, so that what else runs doesn't decide. Graphs of networks that can be followed take a few seconds;
where attention mixes all channels they grow for hours, swin_t's by gigabytes.
"""

_found: WeakKeyDictionary[nn.Module, Probed | None] = WeakKeyDictionary()
"""What was found by trying, where the graph isn't right: it takes seconds, and the same is asked often."""


def channels_of(model: nn.Module, copied: nn.Module, example: Tensor) -> Channels:
    """The channels of a network that can go.

    Args:
        model: not changed.
        copied: an equal copy in eval mode, which the channels are taken from.
        example: one input (1, C, H, W).

    Raises:
        UnsupportedModelError: none can.
    """
    if model not in _found:
        _found[model] = None if graph_is_right(model, example) else Probed(copy.deepcopy(model).eval(), example)
    like = _found[model]
    return Graph(copied, example) if like is None else Probed(copied, example, like=like)


def graph_is_right(model: nn.Module, example: Tensor) -> bool:
    """Whether the network is itself without some channels of every group of the graph's; another share of each."""
    original, generator = copy.deepcopy(model).eval(), torch.Generator().manual_seed(0)
    network = copy.deepcopy(original)
    try:
        mixes = mixer(original, example, mixing_layers(original, example)[0])
        with _within(_ATTENTION_S if mixes else _LIMIT_S):
            graph = Graph(network, example)
            kept = {}
            for i, group in enumerate(graph.groups):
                length = group.width // group.parts
                count = max(1, round(length * (0.5, 0.75, 0.35)[i % 3]))
                positions = torch.randperm(length, generator=generator)[:count].sort().values.tolist()
                kept[group.root] = tuple(part * length + p for part in range(group.parts) for p in positions)
            left = channels_left(network, graph.groups, kept)
            for root, channels in kept.items():
                graph.keep(root, channels)
        require_proof(original, network, example, kept=left)
    except Exception:  # the graph, or the network's own forward, may raise anything
        return False
    return bool(kept)


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
