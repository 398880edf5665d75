"""torchvision's classification models, with random weights."""

import inspect
import typing
from collections.abc import Callable, Collection
from typing import Any

import torchvision
from torch import nn

from edgekd import catalog
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.values import Preprocessing

# auxiliary heads make the forward pass of training return a tuple; the default initialisation of those that have
# them is announced to change and is slow
_SETTINGS = {"aux_logits": False, "init_weights": True}
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def build(name: str, *, classes: int, channels: int) -> nn.Module:
    """The model of that name; unless images have 3 channels its first convolution is one of as many as they have."""
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        lister = "`torchvision.models.list_models(module=torchvision.models)` in Python lists them."
        raise EdgekdError(f"torchvision has no model {name!r}", catalog.closest(name, known, lister))
    builder = torchvision.models.get_model_builder(name)
    settings = {key: value for key, value in _SETTINGS.items() if key in _takes(builder)}
    model: nn.Module = builder(weights=None, num_classes=classes, **settings)
    if "aux_logits" in settings:
        model.register_load_state_dict_pre_hook(_leave_auxiliary_heads)  # type: ignore[no-untyped-call]
    if channels != 3:
        _replace_first_convolution(model, name, channels)
    return model


def preprocessing(name: str) -> Preprocessing | None:
    """How the images were prepared that torchvision's own weights of that model are for: of several, those of the
    smallest images, which are the ones that `build` makes the model for; of these the first that were published.

    torchvision's googlenet and inception_v3 turn what was normalised by ImageNet's mean and deviation into values from
    -1 to 1 themselves where they have weights (`transform_input`). `build` leaves that out of the graph, so these are
    what their images are normalised to.
    """
    published = [weights.transforms() for weights in torchvision.models.get_model_weights(name)]
    how = min(published, key=lambda how: int(how.crop_size[0]), default=None)
    if how is None:
        return None
    own = "transform_input" in _takes(torchvision.models.get_model_builder(name))
    mean, std = ((0.5,) * 3, (0.5,) * 3) if own else (tuple(how.mean), tuple(how.std))
    return Preprocessing(
        height=how.crop_size[0],
        width=how.crop_size[0],
        resize=how.resize_size[0],
        crop="center",
        interpolation=how.interpolation.value,
        colour="rgb",
        mean=mean,
        std=std,
    )


def _takes(builder: Callable[..., nn.Module]) -> Collection[str]:
    """The settings of the class that a builder makes."""
    return inspect.signature(typing.get_type_hints(builder)["return"]).parameters


def _leave_auxiliary_heads(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Without the heads that only training has, which published weights hold."""
    for name in [name for name in state if name.removeprefix(prefix).startswith(_AUXILIARY)]:
        del state[name]


def _replace_first_convolution(model: nn.Module, name: str, channels: int) -> None:
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            if layer.in_channels != 3 or layer.groups != 1:
                break
            parent, _, attribute = path.rpartition(".")
            setattr(model.get_submodule(parent), attribute, _with_inputs(layer, channels))
            return
    hint = "Use images of 3 channels, or a factory of your own: package.module:factory."
    raise UnsupportedModelError(f"torchvision:{name} can't be made for images of {channels} channels", hint)


def _with_inputs(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    shape: dict[str, Any] = {
        key: getattr(layer, key) for key in ("out_channels", "kernel_size", "stride", "padding", "dilation")
    }
    return nn.Conv2d(channels, **shape, bias=layer.bias is not None, padding_mode=layer.padding_mode)
