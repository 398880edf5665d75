"""Records inputs and outputs of a network's submodules."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def watching(network: nn.Module, names: Iterable[str], note: Callable[[str, Any, Any], None]) -> Iterator[None]:
    """Within the block, and without gradients, `note` receives name, input and output of each call of these submodules.

    The input is None unless there is exactly one.
    """
    came: dict[str, Any] = {}

    def before(name: str, _: nn.Module, given: tuple[Any, ...]) -> None:
        came[name] = _copied(given[0]) if len(given) == 1 else None

    def after(name: str, _: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        note(name, came[name], _copied(output))

    with ExitStack() as hooks, torch.inference_mode():
        for name in names:
            block = network.get_submodule(name)
            hooks.enter_context(block.register_forward_pre_hook(partial(before, name)))
            hooks.enter_context(block.register_forward_hook(partial(after, name)))
        yield


def maps(network: nn.Module, example: Tensor, names: Iterable[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Input and output (N, C, H, W) of the submodules that are called once, with one feature map, and return one."""
    calls: dict[str, list[tuple[Any, Any]]] = {name: [] for name in names}
    with watching(network, calls, lambda name, before, after: calls[name].append((before, after))):
        network(example)
    return {name: seen[0] for name, seen in calls.items() if len(seen) == 1 and all(map(_is_map, seen[0]))}


def _copied(value: Any) -> Any:
    # layers may modify their input, the previous block's output, in place
    return value.clone() if isinstance(value, Tensor) else value


def _is_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 4
