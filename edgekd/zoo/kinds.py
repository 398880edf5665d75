"""Which networks can be trained, pruned and exported: wrappers are taken off, what is no float network is refused."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantizeBase, ObserverBase
from torch.nn.parameter import is_lazy

from edgekd.errors import UnsupportedModelError
from edgekd.zoo.forward import run

Refusal = tuple[str, str] | None
"""Why not, and what to do."""

_PACKED = ("torch.ao.nn.quantized", "torch.ao.nn.sparse.quantized", "torch.ao.nn.intrinsic.quantized")


def plain(model: nn.Module, images: Tensor | None) -> nn.Module:
    """The network itself, in 32 bits and on the CPU, with all of its tensors.

    Args:
        model: as a factory gives it; may be wrapped by torch.compile or DataParallel.
        images: some (B, C, H, W), run once where layers learn their widths from what they read; None refuses those.

    Raises:
        UnsupportedModelError: it can't be trained, copied or stored as it is, with what to give instead.
    """
    model = _unwrapped(model)
    for refusal in (_scripted, _lazy(images), _quantised, _stateful, _without_values, _fixed):
        if refused := refusal(model):
            raise UnsupportedModelError(*refused)
    _forget_computed(model)
    return model.cpu().float()


def _forget_computed(model: nn.Module) -> None:
    """Cut off attributes that were computed from parameters, as torch.nn.utils.weight_norm's hooks do before every
    forward pass: nothing that has a history can be copied.
    """
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                setattr(module, name, value.detach())


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _unwrapped(model: nn.Module) -> nn.Module:
    """What torch's wrappers hold; edgekd compiles and shares work itself."""
    while True:
        # torch._dynamo takes seconds to import, and whoever compiled the network has imported it
        if type(model).__module__.startswith("torch._dynamo") and isinstance(model._orig_mod, nn.Module):
            model = model._orig_mod
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def _first(model: nn.Module, kinds: tuple[type, ...] | type) -> str | None:
    """Where the first module of these kinds is, in words."""
    found = (name for name, module in model.named_modules() if isinstance(module, kinds))
    name = next(found, None)
    return None if name is None else f"its module {name!r}" if name else "the network"


def _scripted(model: nn.Module) -> Refusal:
    where = _first(model, torch.jit.ScriptModule)
    if where is None:
        return None
    what = f"{where} is TorchScript, which can't be pruned, nor copied to be trained"
    return what, "Return the Python module that it was made from; torch.jit.script and torch.jit.trace aren't needed."


def _quantised(model: nn.Module) -> Refusal:
    hint = "Return the float network: edgekd writes INT8 itself, and the recipe's step 'qat' trains for it."
    where = _first(model, (FakeQuantizeBase, ObserverBase))
    if where:
        return f"{where} quantises or observes: the network went through prepare_qat or prepare", hint
    for name, module in model.named_modules():
        if type(module).__module__.startswith(_PACKED):
            return f"its module {name!r} is a quantised {type(module).__name__}, which can't be trained", hint
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_quantized:
            return f"its tensor {name!r} is {tensor.dtype}, which can't be trained", hint
    for name, parameter in model.named_parameters():
        if parameter.is_complex() or parameter.dtype in (torch.int8, torch.uint8):
            what = f"its parameter {name!r} is {parameter.dtype}"
            return what, "edgekd trains real numbers: return a network of float parameters."
    return None


def _stateful(model: nn.Module) -> Refusal:
    """Weights are stored as tensors alone: what a module's own state_dict adds to them would be lost."""
    for key, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            what = f"its state holds {key!r}, a {type(value).__name__} and no tensor"
            return what, "Keep it as a buffer (register_buffer), or build the module without it."
    return None


def _without_values(model: nn.Module) -> Refusal:
    if not any(tensor.is_meta for tensor in _tensors(model)):
        return None
    return "the network has tensors without values, on the device 'meta'", "Make it on the CPU."


def _fixed(model: nn.Module) -> Refusal:
    if next(model.parameters(), None) is not None:
        return None
    return "the network has no parameters, so there is nothing to train or to prune", "Return a network that learns."


def _lazy(images: Tensor | None) -> Callable[[nn.Module], Refusal]:
    """Runs layers that take their widths from what they read, such as nn.LazyLinear, once."""

    def initialised(model: nn.Module) -> Refusal:
        if not any(is_lazy(tensor) for tensor in _tensors(model)):
            return None
        hint = "State the widths, as in nn.Linear(64, 10) for nn.LazyLinear(10)."
        if images is None:
            return "the network has lazy layers, whose widths aren't known before it sees images", hint
        training = model.training
        with torch.no_grad():
            run(model.eval(), images)
        model.train(training)
        unused = any(is_lazy(tensor) for tensor in _tensors(model))
        return ("the network has lazy layers that its forward doesn't use", hint) if unused else None

    return initialised
