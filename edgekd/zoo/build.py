"""Builds the network that a model's name stands for, with random weights.

Names: `resnet32`, `mobilenet_v1:width=0.5,blocks512=1`, `torchvision:resnet18`, `timm:NAME`, `package.module:factory`.
"""

import difflib
import inspect
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from edgekd import catalog
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.values import Preprocessing
from edgekd.zoo.architectures._base import ARCHITECTURES
from edgekd.zoo.kinds import plain
from edgekd.zoo.libraries._base import LIBRARIES

_GIVEN = ("classes", "channels")
_MISSPELLED = 0.8
"""How like a known name, of 1, the module of a factory is for that one to be meant."""


def models() -> dict[str, Callable[..., nn.Module]]:
    """The built-in models by name."""
    modules = [catalog.load(ARCHITECTURES, name) for name in catalog.names(ARCHITECTURES)]
    return {name: make for module in modules for name, make in module.MODELS.items()}


def build(spec: str, *, classes: int, channels: int, size: tuple[int, int] | None = None) -> nn.Module:
    """The model of that name for images of `channels` channels, giving (N, classes).

    Args:
        spec: its name.
        classes: how many it tells apart.
        channels: of the images.
        size: their height and width, for lazy layers, which are run once; without it a network of those is refused.

    Raises:
        EdgekdError: the name, a parameter or its value is wrong, or a library isn't installed.
        UnsupportedModelError: what the user's factory gives isn't a network, or not one that can be worked on.
    """
    model = _maker(spec)(classes=classes, channels=channels)
    try:
        return plain(model, None if size is None else torch.zeros(1, channels, *size))
    except UnsupportedModelError as e:
        raise UnsupportedModelError(f"model {spec}: {e.message}", e.hint) from e


def require_known(spec: str) -> None:
    """Raises EdgekdError unless there is such a model; one of a library is only known once it is built."""
    _maker(spec)


def _maker(spec: str) -> Callable[..., nn.Module]:
    """What makes the network of that name, given `classes` and `channels`."""
    name, _, rest = spec.partition(":")
    libraries = catalog.names(LIBRARIES)
    if name in libraries:
        return partial(catalog.load(LIBRARIES, name).build, rest)
    known = models()
    if name in known:
        return partial(_built_in, name, known[name], _settings(name, known[name], rest))
    if not rest or "=" in rest:
        hint = catalog.nearest(name, [*known, *(f"{library}:NAME" for library in libraries), "package.module:factory"])
        raise EdgekdError(f"no model {name!r}", hint)
    meant = difflib.get_close_matches(name, [*libraries, *known], n=1, cutoff=_MISSPELLED)
    try:
        factory = catalog.function(spec, f"Did you mean {meant[0]!r}?" if meant else "")
    except EdgekdError as e:
        raise EdgekdError(f"model {spec!r}: {e.message}", e.hint) from e
    return partial(_from_factory, spec, factory)


def preprocessing(spec: str) -> Preprocessing | None:
    """How the images of a library's own weights for a model were prepared; None for models of no library."""
    name, _, rest = spec.partition(":")
    if name not in catalog.names(LIBRARIES):
        return None
    return catalog.load(LIBRARIES, name).preprocessing(rest)


def _built_in(
    name: str, make: Callable[..., nn.Module], settings: dict[str, int | float], *, classes: int, channels: int
) -> nn.Module:
    try:
        return make(classes=classes, channels=channels, **settings)
    except ValueError as e:
        raise EdgekdError(f"model {name}: {e}", "Correct the value behind the model's name.") from e


def _settings(name: str, make: Callable[..., nn.Module], rest: str) -> dict[str, int | float]:
    """The parameters written behind a built-in model's name, each of the type of its default."""
    defaults = {k: p.default for k, p in inspect.signature(make).parameters.items() if k not in _GIVEN}
    known = ", ".join(f"{key}={value}" for key, value in defaults.items())
    hint = f"{name} has these parameters, here with their defaults: {known}" if known else f"{name} has no parameters."
    settings: dict[str, int | float] = {}
    for part in rest.split(",") if rest else []:
        key, is_given, text = (piece.strip() for piece in part.partition("="))
        if not is_given or key not in defaults or key in settings:
            what = "twice the parameter" if key in settings else "no parameter" if is_given else "no KEY=VALUE in"
            raise EdgekdError(f"model {name}: {what} {key!r}", hint)
        kind = type(defaults[key])
        try:
            settings[key] = kind(text)
        except ValueError as e:
            what = "a whole number" if kind is int else "a number"
            raise EdgekdError(f"model {name}: {key} must be {what}, not {text!r}", hint) from e
    return settings


def _from_factory(spec: str, factory: Callable[..., object], *, classes: int, channels: int) -> nn.Module:
    given = {"classes": classes, "channels": channels}
    parameters = inspect.signature(factory).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        given = {p.name: given[p.name] for p in parameters if p.name in given}
    try:
        model = factory(**given)
    except (Exception, SystemExit) as e:  # the user's own code may raise anything
        hint = "The factory is called with as many of classes= and channels= as it takes, and nothing else."
        raise UnsupportedModelError(f"model {spec}: the factory failed: {type(e).__name__}: {e}", hint) from e
    if not isinstance(model, nn.Module):
        what = f"model {spec}: the factory gave a {type(model).__name__}, not a torch.nn.Module"
        raise UnsupportedModelError(what, "Return the network itself.")
    return model
