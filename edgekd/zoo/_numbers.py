"""What comes out of a network whose weights are drawn by their names, rounded to what every process computes alike."""

import copy
import math
import random
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_IMAGES = 2
_DIGITS = 3
"""After the point, of a number relative to the greatest one beside it."""


def outputs(model: nn.Module, shape: tuple[int, int, int], *, training: bool) -> str | None:
    """What the network gives for a random image, and where that is asked for, in training for several, with the norms
    of its gradients; None where it can't be copied or run.
    """
    try:
        own = copy.deepcopy(model).cpu()
        _draw(own)
        images = torch.rand(_IMAGES, *shape, generator=_generator("images")) * 4 - 2
        with torch.no_grad():
            found = list(_leaves(_run(own.eval(), images[:1])))
        if training:
            with torch.enable_grad():
                trained = list(_leaves(_run(own.train(), images)))
                found += [*trained, _gradients(own, trained)]
        return "\n".join(_rounded(tensor) for tensor in found)
    except Exception:  # the user's own code may raise anything; the failure is reported elsewhere
        return None


def _run(model: nn.Module, images: Tensor) -> Any:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # the state that a user's code may draw from
    return model(images.clone())


def _draw(model: nn.Module) -> None:
    """Weights of a size that lets signals through, and variances above 0; what isn't stored with the weights stays."""
    temporary = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        for name in module._non_persistent_buffers_set
    }
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            lazy = isinstance(tensor, nn.UninitializedParameter)
            if tensor.is_floating_point() and not lazy and name not in temporary:
                tensor.copy_(_drawn(name, tensor))


def _drawn(name: str, like: Tensor) -> Tensor:
    values = torch.randn(like.shape, generator=_generator(name))
    if like.ndim > 1:
        return values * math.sqrt(2 * len(like) / max(1, like.numel()))
    return values.abs() * 0.5 + 0.5 if name.endswith(("weight", "var")) else values * 0.1


def _generator(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(name.encode("utf-8", "surrogateescape")))


def _leaves(value: Any) -> Iterator[Tensor]:
    """The tensors of numbers in whatever a network gives."""
    if isinstance(value, Tensor):
        yield value.float() if not value.is_floating_point() else value
    elif isinstance(value, dict):
        for key in value:
            yield from _leaves(value[key])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    elif hasattr(value, "__dict__"):
        yield from _leaves(vars(value))


def _gradients(model: nn.Module, given: list[Tensor]) -> Tensor:
    """The norm of each parameter's gradient, of a fixed sum of what was given."""
    total = sum((tensor * _drawn(f"sum {i}", tensor)).sum() for i, tensor in enumerate(given) if tensor.requires_grad)
    if isinstance(total, Tensor):
        total.backward()  # type: ignore[no-untyped-call]
    found = [p.grad.norm() if p.grad is not None else torch.zeros(()) for p in model.parameters()]
    return torch.stack(found).detach() if found else torch.zeros(1)


def _rounded(tensor: Tensor) -> str:
    """The last digits of a float differ from one processor to the next."""
    values = tensor.detach().double().nan_to_num(nan=1e30, posinf=1e31, neginf=-1e31).flatten()
    most = float(values.abs().max()) if values.numel() else 0.0
    # adding 0 turns −0 into 0
    return f"{most:.{_DIGITS}g} {((values / (most or 1.0)).round(decimals=_DIGITS) + 0.0).tolist()}"
