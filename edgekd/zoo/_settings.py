"""A network's modules with the settings that don't show in the shapes of its tensors, as lines of text."""

import enum
import hashlib
import re
from collections.abc import Iterator
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_DEPTH = 4
_PLAIN = (str, bytes, int, float, complex, enum.Enum, torch.dtype, torch.device, torch.Size, type(None), type(...))
_HOOKS = {"_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"}
_OWN = {*vars(nn.Module()), "training"} - _HOOKS
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")


def settings(model: nn.Module) -> Iterator[str]:
    """A line for each module: its path, its class, what it says of itself, and its attributes."""
    for path, module in model.named_modules(remove_duplicate=False):
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        said = without_addresses(_said(module))
        held = {name: value for name, value in vars(module).items() if name not in _OWN}
        hooks = [list(held.pop(name).values()) for name in sorted(_HOOKS & held.keys())]
        temporary = {name: module._buffers[name] for name in sorted(module._non_persistent_buffers_set)}
        yield f"{path} {kind}({said}) {described({**held, **temporary})} {described(hooks)}"


def _said(module: nn.Module) -> str:
    try:
        return module.extra_repr()
    except Exception:  # the user's own code may raise anything
        return ""


def without_addresses(text: str) -> str:
    """The text as it is in every process."""
    return _ADDRESS.sub("0x", text)


def described(value: Any, depth: int = _DEPTH) -> str:
    """A value in words that are the same in every process; of objects that aren't plain, what they are."""
    if isinstance(value, Tensor | np.ndarray):
        return _array(value)
    if isinstance(value, _PLAIN):
        return repr(value)
    if depth and isinstance(value, dict | list | tuple | set | frozenset):
        return _held(value, depth - 1)
    own: object = ()
    if isinstance(value, FunctionType | MethodType):
        own = [code(value.__code__), value.__defaults__, [_content(cell) for cell in value.__closure__ or ()]]
    elif isinstance(value, partial):
        own = [value.func, value.args, value.keywords]
    elif hasattr(value, "__dict__") and not isinstance(value, nn.Module | type):
        own = vars(value)
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{getattr(value, '__module__', '')}.{name} {described(own, depth - 1) if depth else ''}"


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _held(value: "dict[Any, Any] | list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any]", depth: int) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{described(key, 0)}: {described(value[key], depth)}' for key in value)}}}"
    each = [described(one, depth) for one in value]
    return f"[{', '.join(sorted(each) if isinstance(value, set | frozenset) else each)}]"


def code(of: CodeType) -> str:
    """A function's code, wherever it stands."""
    constants = [code(each) if isinstance(each, CodeType) else described(each) for each in of.co_consts]
    text = f"{of.co_code.hex()} {of.co_names} {of.co_varnames} {constants}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _array(value: "Tensor | np.ndarray[Any, Any]") -> str:
    kind, shape = value.dtype, tuple(value.shape)
    if isinstance(value, Tensor) and value.layout is not torch.strided:
        value = value.detach().to_dense()
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return f"{kind} {shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
