"""Single weights of convolutions and linear layers become zero, those with the smallest magnitude (Han et al.,
"Learning both Weights and Connections", NeurIPS 2015, arXiv 1506.02626).

The layers keep their widths, so a dense runtime computes as much as before: what gets smaller is the file that is sent.
Batch norms and biases stay. Edgekd's choice: exactly the ratio goes, not what is below a threshold. `ratio` is of the
weights that the layers have: what narrowing took from them before isn't counted, zeros are.

Options:

- `scope`: "global" ranks the weights of all layers together, "layer" takes the same ratio of each.
- `pattern`: "unstructured", or "2:4" for the sparse tensor cores of NVIDIA GPUs: of every four consecutive input
  channels of one output channel, at one position of the kernel, the two smallest weights go (Mishra et al.,
  "Accelerating Sparse Deep Neural Networks", 2021, arXiv 2104.08378; TensorRT's documentation, "Sparsity": weights
  [K, C, R, S] in fours along C). Its ratio is 0.5; layers whose input channels aren't a multiple of 4 stay dense, as
  do transposed convolutions.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning._base import Student, Subject
from edgekd.pruning.options import choice
from edgekd.pruning.pruner import UNPRUNED
from edgekd.pruning.rank import SCOPES
from edgekd.pruning.scores import FILTERS

OPTIONS = {"scope": "global", "pattern": "unstructured"}
CHOICES = {"scope": SCOPES, "pattern": ("unstructured", "2:4")}
NEEDS_IMAGES = False

_STEP, _MOST = 0.05, 0.95


def levels(subject: Subject) -> tuple[float, ...]:
    """The ratios that give different networks, rising from 0.0."""
    if _pattern(subject) == "2:4":
        fours = _fours(subject.model)
        return (0.0, 0.5) if any(bool(weight[two_smallest(weight)].any()) for weight in fours) else (0.0,)
    zeros = [sum(int((w == 0).sum()) for w in ranked) for ranked in _ranked(subject, subject.model)]
    sizes = [sum(w.numel() for w in ranked) for ranked in _ranked(subject, subject.model)]
    ratios: dict[tuple[int, ...], float] = {}
    for i in range(round(_MOST / _STEP) + 1):
        ratio = round(i * _STEP, 6)
        gone = tuple(max(z, round(ratio * size)) for z, size in zip(zeros, sizes, strict=True))
        ratios.setdefault(gone, ratio)
    return tuple(ratios.values())


def prune(subject: Subject, ratio: float) -> Student:
    """A copy with `ratio` of the weights zero.

    Raises:
        EdgekdError: an option has no such value, or the pattern is "2:4" and the ratio neither 0 nor 0.5.
    """
    student = copy.deepcopy(subject.model).eval()
    if _pattern(subject) == "2:4":
        if ratio not in (0, 0.5):
            hint = 'Set prune.ratio = 0.5, or pattern = "unstructured".'
            raise EdgekdError(f'prune.ratio: the pattern "2:4" takes half of the weights, not {ratio:g}', hint)
        for weight in _fours(student) if ratio else ():
            weight[two_smallest(weight)] = 0
        return Student(student)
    for ranked in _ranked(subject, student):
        _drop_smallest(ranked, ratio)
    return Student(student)


def two_smallest(weight: Tensor) -> Tensor:
    """Where a weight (out, in, ...) has the two smallest of every four inputs: a mask of its shape.

    Of equal ones the first go. `in` is a multiple of 4.
    """
    fours = weight.abs().reshape(len(weight), -1, 4, *weight.shape[2:])  # (out, in / 4, 4, ...)
    smallest = fours.argsort(dim=2, stable=True)[:, :, :2]
    return torch.zeros_like(fours, dtype=torch.bool).scatter_(2, smallest, True).flatten(1, 2)


def _drop_smallest(weights: Sequence[Tensor], ratio: float) -> None:
    """Make `ratio` of all these weights zero, in place; of equal ones the first go."""
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights])
    gone = magnitudes.argsort(stable=True)[: round(ratio * len(magnitudes))]
    is_gone = torch.zeros(len(magnitudes), dtype=torch.bool)
    is_gone[gone] = True
    for weight, part in zip(weights, torch.split(is_gone, [weight.numel() for weight in weights]), strict=True):
        weight[part.view_as(weight)] = 0


def _pattern(subject: Subject) -> str:
    return choice(subject, OPTIONS, CHOICES, "pattern")


def _ranked(subject: Subject, model: nn.Module) -> list[list[Tensor]]:
    """The weights that are ranked together."""
    weights = _weights(_layers(model))
    return [weights] if choice(subject, OPTIONS, CHOICES, "scope") == "global" else [[weight] for weight in weights]


def _layers(model: nn.Module) -> list[nn.Module]:
    """The convolutions and linear layers; of those that share a weight, one.

    Raises:
        UnsupportedModelError: the weight of one is computed, so that zeros in it wouldn't stay.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, FILTERS)}
    for name, layer in layers.items():
        if "weight" not in layer._parameters:
            what = f"single weights can't be pruned: the weight of {name!r} is computed from other tensors"
            hint = "torch.nn.utils.parametrize.remove_parametrizations and remove_weight_norm make plain weights."
            raise UnsupportedModelError(what, f"{hint} {UNPRUNED}")
    return list({id(layer.weight): layer for layer in layers.values()}.values())


def _weights(layers: Iterable[nn.Module]) -> list[Tensor]:
    return [cast(Tensor, layer.weight).detach() for layer in layers]


def _fours(model: nn.Module) -> list[Tensor]:
    """The weights that can have the pattern 2:4."""
    straight = (layer for layer in _layers(model) if not getattr(layer, "transposed", False))
    return [weight for weight in _weights(straight) if weight.shape[1] % 4 == 0]
