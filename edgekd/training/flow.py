"""What the modules of a network read and give in one forward pass, and which of that its additions read."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode

from edgekd.zoo.forward import run

_ADDITIONS = frozenset({"add", "add_", "__add__", "__radd__", "__iadd__"})

Key = tuple[int, int]
"""A tensor and the version of its contents, which operations in place change."""


@dataclass(frozen=True)
class Flow:
    """One forward pass of a network."""

    reads: Mapping[str, tuple[Key, ...]]
    """What each module takes as its first argument, call by call."""
    gives: Mapping[str, tuple[Key, ...]]
    """What each module gives; those of the innermost modules come first."""
    additions: tuple[tuple[Key, Key], ...]
    """The two inputs of each addition of activations of the same shape."""
    convolutions: Mapping[Key, str]
    """The convolution that makes a value, where nothing but a batch normalisation comes between."""
    depths: Mapping[Key, int]
    """How many operations there are at most between the images and each value."""
    uses: Mapping[Key, int]
    """How many operations read a value."""

    def skip(self, addition: tuple[Key, Key]) -> int | None:
        """Which input of an addition isn't the output of the convolution that a runtime fuses it with: of two
        convolutions, the shorter branch is the shortcut. None where no input is a convolution's.
        """
        fusable = [
            (self.depths[key], index)
            for index, key in enumerate(addition)
            if key in self.convolutions and self.uses[key] == 1
        ]
        return 1 - max(fusable)[1] if fusable else None


def flow(model: nn.Module, images: Tensor) -> Flow:
    """The flow of images (B, C, H, W) through a network in its present mode; raises as `zoo.forward.run`."""
    seen = _Seen()
    with ExitStack() as stack, torch.no_grad(), seen:
        for name, module in model.named_modules():
            for handle in seen.watch(name, module):
                stack.callback(handle.remove)
        run(model, images)
    return Flow(seen.reads, seen.gives, tuple(seen.additions), seen.convolutions, seen.depths, seen.uses)


@dataclass(eq=False)
class _Seen(TorchFunctionMode):
    """Notes what it sees; it holds the tensors, so that none takes the place of another."""

    reads: dict[str, tuple[Key, ...]] = field(default_factory=dict)
    gives: dict[str, tuple[Key, ...]] = field(default_factory=dict)
    additions: list[tuple[Key, Key]] = field(default_factory=list)
    convolutions: dict[Key, str] = field(default_factory=dict)
    depths: dict[Key, int] = field(default_factory=dict)
    uses: Counter[Key] = field(default_factory=Counter)
    held: list[Tensor] = field(default_factory=list)

    def watch(self, name: str, module: nn.Module) -> list[Any]:
        """Note what a module reads and gives."""
        before: list[tuple[Key, ...]] = []

        def reads(_: nn.Module, given: tuple[Any, ...]) -> None:
            keys = tuple(self._key(each) for each in given[:1] if isinstance(each, Tensor))
            before.append(keys)
            self.reads[name] = (*self.reads.get(name, ()), *keys)

        def gives(_: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            read = before.pop()
            if isinstance(output, Tensor):
                key = self._key(output)
                self.gives[name] = (*self.gives.get(name, ()), key)
                self._note_convolution(name, module, read, key)

        return [module.register_forward_pre_hook(reads, prepend=True), module.register_forward_hook(gives)]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        tensors = [each for each in args if isinstance(each, Tensor)]
        keys = [self._key(each) for each in tensors]
        output = func(*args, **(kwargs or {}))
        if not isinstance(output, Tensor) or not keys or getattr(func, "__name__", "") == "__get__":
            return output
        self.uses.update(keys)
        if getattr(func, "__name__", "") in _ADDITIONS and len(tensors) == 2 and tensors[0].shape == tensors[1].shape:
            self.additions.append((keys[0], keys[1]))
        depth = 1 + max(self.depths.get(key, 0) for key in keys)
        self.depths.setdefault(self._key(output), depth)
        return output

    def _key(self, tensor: Tensor) -> Key:
        self.held.append(tensor)
        return id(tensor), tensor._version

    def _note_convolution(self, name: str, module: nn.Module, read: tuple[Key, ...], key: Key) -> None:
        if isinstance(module, _ConvNd):
            self.convolutions[key] = name
        elif isinstance(module, _BatchNorm) and read and read[0] in self.convolutions:
            self.convolutions[key] = self.convolutions[read[0]]
