"""The widths of one layer, read and changed.

Widths of the common layers go by their own names (`out_channels`, `num_features` …). Any other module that holds
tensors of its own, such as ConvNeXt's layer scale, has their sizes listed as `TENSOR.AXIS`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError


def _conv_shapes(layer: Any) -> dict[str, tuple[int, ...]]:
    first, second = (
        (layer.in_channels, layer.out_channels) if layer.transposed else (layer.out_channels, layer.in_channels)
    )
    return {"weight": (first, second // layer.groups, *layer.kernel_size), "bias": (layer.out_channels,)}


def _linear_shapes(layer: Any) -> dict[str, tuple[int, ...]]:
    return {"weight": (layer.out_features, layer.in_features), "bias": (layer.out_features,)}


def _norm_shapes(layer: Any) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (layer.num_features,))


def _group_norm_shapes(layer: Any) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(("weight", "bias"), (layer.num_channels,))


# the layers whose widths are attributes: those, and the shapes that its tensors have by them
_KINDS: Mapping[type[nn.Module], tuple[tuple[str, ...], Callable[[Any], dict[str, tuple[int, ...]]]]] = {
    nn.modules.conv._ConvNd: (("in_channels", "out_channels", "groups"), _conv_shapes),
    nn.Linear: (("in_features", "out_features"), _linear_shapes),
    nn.modules.batchnorm._NormBase: (("num_features",), _norm_shapes),
    nn.GroupNorm: (("num_channels", "num_groups"), _group_norm_shapes),
    nn.PReLU: (("num_parameters",), lambda layer: {"weight": (layer.num_parameters,)}),
}


def _tensors(layer: nn.Module) -> dict[str, Tensor]:
    own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
    return dict(own)


def widths(layer: nn.Module) -> dict[str, int]:
    """The widths of one layer, without the layers inside it; empty if it holds no tensor of its own."""
    for kind, (attributes, _) in _KINDS.items():
        if isinstance(layer, kind):
            return {name: getattr(layer, name) for name in attributes}
    return {f"{name}.{axis}": size for name, t in _tensors(layer).items() for axis, size in enumerate(t.shape)}


def resize(layer: nn.Module, sizes: Mapping[str, int]) -> None:
    """Set the layer's widths, with new random weights."""
    for kind, (_, shapes_of) in _KINDS.items():
        if isinstance(layer, kind):
            for name, width in sizes.items():
                setattr(layer, name, width)
            shapes = shapes_of(layer)
            for name, tensor in _tensors(layer).items():
                if name in shapes:
                    set_tensor(layer, name, tensor.new_empty(shapes[name]))
            layer.reset_parameters()  # type: ignore[operator]  # every one of these kinds has it
            return
    for name, tensor in _tensors(layer).items():
        set_tensor(layer, name, _cut(tensor, [sizes[f"{name}.{axis}"] for axis in range(tensor.dim())]))
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        layer.normalized_shape = tuple(layer.weight.shape)


def _cut(tensor: Tensor, sizes: list[int]) -> Tensor:
    """The first entries along every axis, because the initialisation of an unknown kind of tensor is unknown."""
    if any(size > old for size, old in zip(sizes, tensor.shape, strict=True)):
        what = f"a tensor of {tuple(tensor.shape)} can't be enlarged to {tuple(sizes)}"
        raise UnsupportedModelError(what, "Prune the network again.")
    return tensor.detach()[tuple(slice(size) for size in sizes)].clone()


def set_tensor(layer: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace one of the layer's parameters or buffers by a tensor of any shape."""
    if name in layer._buffers:
        layer._buffers[name] = tensor
    else:
        setattr(layer, name, nn.Parameter(tensor, requires_grad=layer._parameters[name].requires_grad))  # type: ignore[union-attr]
