"""A network's modules with the settings that don't show in the shapes of its tensors, as lines of text."""

import enum
import hashlib
import re
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_DEPTH = 4
_HOOKS = {"_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"}
_OWN = {*vars(nn.Module()), "training"} - _HOOKS
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")


def settings(model: nn.Module) -> Iterator[str]:
    """A line for each module: its path, its class, what it says of itself, and its attributes."""
    for path, module in model.named_modules(remove_duplicate=False):
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        said = without_addresses(module.extra_repr())
        held = {name: value for name, value in vars(module).items() if name not in _OWN}
        hooks = [list(held.pop(name).values()) for name in sorted(_HOOKS & held.keys())]
        temporary = {name: module._buffers[name] for name in module._non_persistent_buffers_set}
        yield f"{path} {kind}({said}) {described({**held, **temporary})} {described(hooks)}"


def without_addresses(text: str) -> str:
    """The text as it is in every process."""
    return _ADDRESS.sub("0x", text)


def described(value: Any, depth: int = _DEPTH) -> str:
    """A value in words that are the same in every process; of objects that aren't plain, what they are."""
    if isinstance(value, Tensor | np.ndarray):
        return _array(value)
    if isinstance(value, str | bytes | int | float | complex | enum.Enum | torch.dtype | torch.device | torch.Size | None):
        return repr(value)
    if isinstance(value, FunctionType | MethodType):
        return f"{value.__module__}.{value.__qualname__} {code(value.__code__)}"
    if depth and isinstance(value, dict):
        held = (f"{described(key, 0)}: {described(each, depth - 1)}" for key, each in value.items())
        return f"{{{', '.join(held)}}}"
    if depth and isinstance(value, list | tuple):
        return f"[{', '.join(described(each, depth - 1) for each in value)}]"
    if depth and isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(described(each, depth - 1) for each in value))}}}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    held = vars(value) if depth and not isinstance(value, nn.Module | type) and hasattr(value, "__dict__") else {}
    return f"{type(value).__module__} {name} {described(held, depth - 1) if held else ''}"


def code(of: CodeType) -> str:
    """A function's code, wherever it stands."""
    constants = [code(each) if isinstance(each, CodeType) else repr(each) for each in of.co_consts]
    text = f"{of.co_code.hex()} {of.co_names} {of.co_varnames} {sorted(constants)}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _array(value: "Tensor | np.ndarray[Any, Any]") -> str:
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy() if value.numel() else value
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
