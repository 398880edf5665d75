"""Recalibration: batch norms get the statistics of a pruned network's own activations."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from edgekd.zoo.forward import run

Norm = nn.modules.batchnorm._BatchNorm

_ACTIVATIONS = 128_000_000
"""Bytes that the largest activation of all images may take: they go through the network together, since a layer is
fitted on what the fitted ones before it give.
"""
_FEWEST = 8


def images_for(model: nn.Module, image: Tensor, most: int) -> int:
    """How many images the network can be repaired with within bounds of memory; `image` is one, (1, C, H, W)."""
    return max(_FEWEST, min(most, _ACTIVATIONS // largest_output(model, image)))


def largest_output(model: nn.Module, image: Tensor) -> int:
    """Bytes of the largest tensor that a layer gives for one image."""
    most = image.nbytes

    def saw(output: object) -> None:
        nonlocal most
        if isinstance(output, Tensor):
            most = max(most, output.nbytes)

    with ExitStack() as stack, torch.no_grad():
        for layer in model.modules():
            stack.callback(layer.register_forward_hook(lambda _, __, output: saw(output)).remove)
        model(image)
    return most


def norms(model: nn.Module) -> dict[str, Norm]:
    """The batch norms that have statistics, by name."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Norm)}
    return {name: layer for name, layer in layers.items() if layer.running_mean is not None}


def recalibrated(model: nn.Module, images: Tensor) -> tuple[str, ...]:
    """Give batch norms the statistics of these images (N, C, H, W), in place; raises as the network does.

    Returns:
        The norms that keep their old statistics, since their new ones aren't finite.
    """
    model.eval()
    with measuring(norms(model)) as odd, torch.no_grad():
        run(model, images)
    return tuple(odd)


@contextmanager
def measuring(layers: Mapping[str, Norm]) -> Iterator[list[str]]:
    """Within this context norms normalise by what they read, and take its statistics; yields the names of those that
    keep theirs, which is known at the end.
    """
    before = {name: {key: value.clone() for key, value in layer.state_dict().items()} for name, layer in layers.items()}
    momenta = {name: layer.momentum for name, layer in layers.items()}
    odd: list[str] = []
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None  # the mean over its runs
        layer.train()
    try:
        yield odd
    finally:
        for name, layer in layers.items():
            layer.momentum = momenta[name]
            layer.eval()
            if not layer.num_batches_tracked:  # it didn't run
                layer.load_state_dict(before[name])
            elif not _is_finite(layer.running_mean, layer.running_var):
                odd.append(name)
                layer.load_state_dict(before[name])


def _is_finite(*statistics: Tensor | None) -> bool:
    return all(statistic is not None and bool(statistic.isfinite().all()) for statistic in statistics)
