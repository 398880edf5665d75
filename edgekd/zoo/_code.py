"""A network's operations as torch.fx sees them; its source code, where it can't see all of them."""

import copy
import hashlib
import inspect
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np
import torch
from torch import fx, nn

from edgekd.zoo._settings import code, without_addresses

_SEEN_THROUGH = {"torch", "operator", "_operator", "builtins", "math"}
"""Whose functions do what their names say; of others, torch.fx shows the name alone."""
_ZOO = Path(__file__).parent


def operations(model: nn.Module) -> str | None:
    """The graph in evaluation and in training; None where the network branches on its data or on chance, or calls
    functions that the graph shows by their names alone.
    """
    before = _random_states()
    try:
        # a copy, since tracing leaves constants in it
        graphs = [_graph(copy.deepcopy(model).train(mode)) for mode in (False, True)]
    except Exception:  # tracing runs the model's own code on stand-ins for tensors, which can raise anything
        return None
    if _random_states() != before or any(_hides(node) for graph in graphs for node in graph.nodes):
        return None
    return without_addresses("\n".join(str(graph) for graph in graphs))


def _random_states() -> list[object]:
    """What changes when the network draws a number as it is traced: stochastic depth then shows one of its ways."""
    return [random.getstate(), torch.get_rng_state().tolist(), repr(np.random.get_state())]


def _graph(model: nn.Module) -> fx.Graph:
    stated = inspect.signature(model.forward).parameters.values()
    # what isn't given is its default, as when the network is run
    defaults = {p.name: p.default for p in stated if p.default is not p.empty}
    return fx.Tracer().trace(model, defaults)


def _hides(node: fx.Node) -> bool:
    if node.op != "call_function":
        return False
    module = getattr(node.target, "__module__", None) or ""
    return module.partition(".")[0] not in _SEEN_THROUGH


def sources(model: nn.Module) -> str:
    """The code of all that is loaded from beside the network's classes; of installed libraries, the version."""
    kinds = {kind for module in model.modules() for kind in type(module).__mro__}
    found = {_source(sys.modules.get(kind.__module__), kind) for kind in kinds if kind is not object}
    scripted = [m.code for m in model.modules() if isinstance(m, torch.jit.ScriptModule) and hasattr(m, "code")]
    return "\n".join([*sorted(found), *scripted])


def _source(module: ModuleType | None, kind: type) -> str:
    package = kind.__module__.partition(".")[0]
    version = getattr(sys.modules.get(package), "__version__", None)
    file = getattr(module, "__file__", None)
    if file is None:
        own = (function for function in vars(kind).values() if isinstance(function, FunctionType))
        return f"{kind.__qualname__} {sorted(code(function.__code__) for function in own)}"
    if package == "edgekd":
        return f"edgekd {_digest(_ZOO.rglob('*.py'))}"
    if version is not None and _installed(Path(file)):
        return f"{package} {version}"
    depth = kind.__module__.count(".") + Path(file).name.startswith("__init__.")
    folder = Path(file).resolve().parents[depth]
    loaded = (path for path in _loaded() if path.is_relative_to(folder) and not _installed(path.relative_to(folder)))
    return f"{package} {_digest(loaded)}"


def _installed(path: Path) -> bool:
    return any(part in ("site-packages", "dist-packages") for part in path.parts)


def _loaded() -> Iterator[Path]:
    """The files of all modules; some name none, or one that isn't there."""
    for module in list(sys.modules.values()):
        if file := getattr(module, "__file__", None):
            path = Path(file)
            if path.is_absolute() and path.is_file():
                yield path.resolve()


def _digest(files: Iterable[Path]) -> str:
    hashed = hashlib.sha256()
    for file in sorted(set(files)):
        hashed.update(file.name.encode("utf-8", "surrogateescape") + file.read_bytes())
    return hashed.hexdigest()
