"""Finds in a checkpoint the weights that fit a network, under whatever name and prefix they were saved."""

import copy
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_DEEPEST = 3
_SHOWN = 4
# what torch's wrappers put into names: DataParallel, torch.compile
_WRAPPERS = ("module", "_orig_mod")


@dataclass(frozen=True)
class State:
    """Weights by name, as they were found."""

    where: str
    """Keys that lead to them in the file; empty for the file itself."""
    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    """What torch's state dicts say of modules by their paths, such as the version of their format."""


@dataclass(frozen=True)
class Fit:
    """How names and shapes of a state compare with a network's."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    differing: tuple[str, ...]
    """Those of another shape."""

    def __bool__(self) -> bool:
        return not (self.missing or self.unexpected or self.differing)


def states(content: Any, where: str = "", depth: int = 0) -> Iterator[State]:
    """Everything in a checkpoint that is a state dict, and no tensors besides."""
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping) or not content:
        return
    if all(isinstance(value, Tensor) for value in content.values()):
        tensors = {str(name): value for name, value in content.items()}
        yield State(where, tensors, dict(getattr(content, "_metadata", {})))
    elif depth < _DEEPEST:
        for key, value in content.items():
            yield from states(value, f"{where}.{key}" if where else str(key), depth + 1)


def fit(model: nn.Module, state: State) -> Fit:
    """Compare a state with the network's own."""
    own = model.state_dict()
    tensors = state.tensors
    return Fit(
        # checkpoints from before PyTorch 0.4.1 lack this counter, which inference doesn't need
        missing=tuple(name for name in own if name not in tensors and not name.endswith("num_batches_tracked")),
        unexpected=tuple(name for name in tensors if name not in own),
        differing=tuple(name for name in own if name in tensors and tensors[name].shape != own[name].shape),
    )


def fitting(model: nn.Module, found: Iterable[State]) -> tuple[list[State], State]:
    """Every state that fits the network, with its names, and the one that comes nearest."""
    fits, nearest, least = [], None, 0
    for state in found:
        for renamed in _renamed(state):
            compared = fit(model, renamed)
            if compared or _taken_by_hooks(model, renamed):
                fits.append(renamed)
                break
            wrong = len(compared.missing) + len(compared.unexpected) + len(compared.differing)
            if nearest is None or wrong < least:
                nearest, least = renamed, wrong
    return fits, nearest or fits[0]


def _renamed(state: State) -> Iterator[State]:
    """The state with its own names, then without what wrappers and trainers put before or into them."""
    yield state
    peeled = _without_counter(state)
    for _ in range(_DEEPEST):
        first = {name.partition(".")[0] for name in peeled.tensors}
        if len(first) > 1 or any("." not in name for name in peeled.tensors):
            break
        peeled = _with_names(peeled, {name: name.partition(".")[2] for name in _names(peeled)})
        yield peeled
    for wrappers in (("_orig_mod",), _WRAPPERS):
        within = {name: ".".join(part for part in name.split(".") if part not in wrappers) for name in _names(state)}
        if len({within[name] for name in state.tensors}) == len(state.tensors):
            yield _with_names(state, within)


def _names(state: State) -> list[str]:
    return [*state.tensors, *state.metadata]


def _with_names(state: State, names: Mapping[str, str]) -> State:
    tensors = {names[name]: value for name, value in state.tensors.items()}
    return State(state.where, tensors, {names[path]: value for path, value in state.metadata.items()})


def _without_counter(state: State) -> State:
    """Without what torch.optim.swa_utils.AveragedModel adds to the weights that it averages."""
    return State(state.where, {n: t for n, t in state.tensors.items() if n != "n_averaged"}, state.metadata)


def loadable(model: nn.Module, state: State) -> "OrderedDict[str, Tensor]":
    """What `load_state_dict` takes: where a file says nothing of the modules' formats, they are today's."""
    given = OrderedDict(state.tensors)
    given._metadata = {**getattr(model.state_dict(), "_metadata", {}), **state.metadata}  # type: ignore[attr-defined]
    return given


def _taken_by_hooks(model: nn.Module, state: State) -> bool:
    """Whether the network's modules translate these names themselves, as torch's weight_norm does older ones."""
    if not any(module._load_state_dict_pre_hooks for module in model.modules()):
        return False
    tried = copy.deepcopy(model)
    try:
        with torch.no_grad():
            missing, unexpected = tried.load_state_dict(loadable(tried, state), strict=False)
    except Exception:  # of other shapes, or not for these hooks, which may be the user's own
        return False
    return not unexpected and all(name.endswith("num_batches_tracked") for name in missing)


def few(names: Iterable[str]) -> str:
    """The first ones, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
