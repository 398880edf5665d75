"""What to do with weights of another number of classes: a factory that takes them and changes the head."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from edgekd.zoo.build import preprocessing
from edgekd.zoo.states import State

_NORMALISED: dict[tuple[float, ...], str] = {(0.485, 0.456, 0.406): "imagenet", (0.5, 0.5, 0.5): "0.5"}
"""What `--normalize` calls a library's means."""

_FACTORY = """\
They are of {theirs} classes, the data has {ours}. Keep all but the last layer: put this into with_head.py, \
and train with --model with_head:make in place of --weights{normalised}. What was learned stays with a low \
[teacher] learning_rate in a recipe, such as 0.01.
    import pathlib
    import torch
    from edgekd.zoo.build import build
    from edgekd.zoo.weights import load_weights
    def make(classes, channels):
        model = build({spec!r}, classes={theirs}, channels=channels)
        load_weights(model, pathlib.Path({path!r}))
        model.set_submodule({layer!r}, torch.nn.{head})
        return model"""


def factory_that_changes_the_head(
    model: nn.Module, state: State, differing: Sequence[str], path: Path, spec: str
) -> str | None:
    """How to use a state whose tensors fit the model but for those of one layer, which gives other classes; None where
    that isn't it.
    """
    layer = differing[0].rpartition(".")[0]
    if not layer or not spec:
        return None
    own = model.state_dict()
    given = {state.tensors[name].shape[:1] for name in differing}
    of_one = {name.rpartition(".")[0] for name in differing} == {layer} and len(given) == 1
    if not of_one or any(state.tensors[name].shape[1:] != own[name].shape[1:] for name in differing):
        return None
    head = _new(model.get_submodule(layer))
    if head is None:
        return None
    theirs, ours = next(iter(given))[0], own[differing[0]].shape[0]
    names = {"theirs": theirs, "ours": ours, "spec": spec, "path": str(path.resolve()), "layer": layer, "head": head}
    return _FACTORY.format(**names, normalised=_normalised(spec))


def _normalised(spec: str) -> str:
    """The option that feeds it as its library feeds its own weights; empty where no library says how."""
    how = preprocessing(spec)
    stated = _NORMALISED.get(how.mean) if how else None
    return f", and --normalize {stated}" if stated else ""


def _new(layer: nn.Module) -> str | None:
    """Python that makes such a layer for `classes`."""
    if isinstance(layer, nn.Linear):
        rest = "" if layer.bias is not None else ", bias=False"
        return f"Linear({layer.in_features}, classes{rest})"
    if isinstance(layer, nn.Conv2d):
        rest = "" if layer.bias is not None else ", bias=False"
        return f"Conv2d({layer.in_channels}, classes, {layer.kernel_size}{rest})"
    return None
