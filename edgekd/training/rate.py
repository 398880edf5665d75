"""The learning rate of a network that was pruned: ALLR, adaptive linear learning-rate restart.

M. Zimmer, C. Spiegel, S. Pokutta, "How I Learned to Stop Worrying and Love Retraining", arXiv:2111.00843, section 3.2:
the more of the weights' norm was lost, and the longer the retraining is, the higher its learning rate begins, at most
at that of the original training.
"""

import math

from edgekd.values import Training
from edgekd.values.network import Network
from edgekd.zoo import networks


def restart_rate(network: Network, original: Network, epochs: int, first: Training) -> float:
    """The highest learning rate for training a network.

    It is `top` · d for a top rate, that of the original training, and d = max(lost / √gone, epochs / epochs of the
    original training), at most 1. `gone` is the share of the original's parameters that aren't there any more, or are
    zero. `lost` is the norm of the weights that were lost, divided by the norm of the original's weights, where the
    squares of both norms add up: √(1 - |network|² / |original|²), over the weights of convolutions and linear layers,
    and 0 if the network's norm is larger. Weights removed at random give lost = √gone, so d = 1; small ones a lower d.

    Args:
        network: the network, not repaired yet: a repair changes its norm. Random weights begin at the top rate.
        original: what it was pruned from. If it is another architecture, or nothing was pruned, only epochs count.
        epochs: of the training.
        first: the original training; epochs and learning rate are stated.
    """
    assert first.epochs is not None
    assert first.learning_rate is not None
    top = _stable(original, first.learning_rate)
    if network.origin == "random":
        return top
    gone = 1 - network.cost.nonzero / original.cost.nonzero
    related = network.architecture == original.architecture and gone > 0
    lost = _lost(network, original) / math.sqrt(gone) if related else 0.0
    return float(f"{top * min(1.0, max(lost, epochs / first.epochs)):.2g}")


def _stable(original: Network, stated: float) -> float:
    """The highest rate that didn't make the original's training diverge, if it was trained here."""
    return (original.training and original.training.learning_rate) or stated


def _lost(network: Network, original: Network) -> float:
    left, whole = _squared_norm(network), _squared_norm(original)
    return math.sqrt(max(0.0, 1 - left / whole)) if whole > 0 else 0.0


def _squared_norm(network: Network) -> float:
    weights = (value for value in networks.load(network).parameters() if value.ndim > 1)
    return sum(float(value.detach().double().square().sum()) for value in weights)
