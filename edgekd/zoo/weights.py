"""Weights of a network in a file.

What is written is safetensors. A pickle can run any code when it is loaded, so one is read only on demand.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.files import write_bytes

_SHOWN = 4
# what torch's wrappers put before every key: DataParallel, torch.compile
_WRAPPERS = ("module.", "_orig_mod.")


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the weights and buffers as safetensors, all or nothing.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    # copies, because safetensors refuses tensors that share memory, as tied weights do
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors))


def load_weights(model: nn.Module, path: Path, *, trust_checkpoint: bool = False) -> None:
    """Fill the model with the weights of a `.safetensors`, `.pt` or `.pth` file.

    The file holds a state dict, bare or under "state_dict" or "model"; a prefix that torch's wrappers put before every
    key is taken off. With `trust_checkpoint` a pickle of anything, a whole network too, is loaded, which runs its code.

    Raises:
        StorageError: the file is missing, truncated or no checkpoint, or it is a pickle that isn't trusted.
        UnsupportedModelError: its keys or shapes aren't the model's.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise StorageError(f"{path}: {what}", "Give the path of a .safetensors, .pt or .pth file.")
    try:
        if path.suffix == ".safetensors":
            content: Any = safetensors.torch.load_file(path)
        elif path.suffix in (".pt", ".pth"):
            content = _read_torch(path, trust_checkpoint)
        else:
            raise StorageError(
                f"{path}: not a kind of checkpoint that can be read", "Give a .safetensors, .pt or .pth."
            )
    except safetensors.SafetensorError as e:
        raise StorageError(f"{path}: truncated, or not a safetensors file: {e}", "Write or copy it again.") from e
    except OSError as e:
        raise StorageError(f"{path}: can't be read: {e.strerror or e}", "Check the file and its permissions.") from e
    _fill(model, _state(content, path), path)


def _read_torch(path: Path, trust: bool) -> Any:
    try:
        with warnings.catch_warnings():
            # what they say of odd files, the errors below say in words for users
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=not trust)
    except OSError:
        raise
    except Exception as e:  # torch raises many kinds for a damaged file, and a trusted pickle runs any code
        raise StorageError(*_explanation(path, e, trust)) from e


def _explanation(path: Path, error: Exception, trust: bool) -> tuple[str, str]:
    """Message and hint for what torch.load raised."""
    text = str(error)
    if not trust and isinstance(error, pickle.UnpicklingError) and _holds_pickle(path):
        found = re.search(r"GLOBAL (\S+)", text)
        what = f"{path}: a pickle of more than tensors ({found[1] if found else 'other objects'})"
        hint = "Save its state_dict alone, or pass --trust-checkpoint if you trust whoever made the file."
        return f"{what}, refused because loading it can run any code", hint
    if "TorchScript" in text:
        hint = "Save the state_dict of the network that it was made from."
        return f"{path}: a TorchScript archive, not a checkpoint", hint
    if trust and isinstance(error, ImportError | AttributeError):
        hint = "Run where Python finds the modules it was made with, or save its state_dict alone."
        return f"{path}: a pickle of classes that aren't here: {text}", hint
    reason = (text.strip() or type(error).__name__).splitlines()[0]
    return f"{path}: truncated, or not a checkpoint: {reason}", "Write or copy it again."


def _holds_pickle(path: Path) -> bool:
    """Whether the file is of torch's format, or a bare pickle of protocol 2 or later."""
    with path.open("rb") as f:
        return f.read(1) == b"\x80" or zipfile.is_zipfile(path)


def _state(content: Any, path: Path) -> dict[str, Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping | nn.Module):
            content = content[key]
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        holds = f"has the keys {_few(map(str, content))}" if isinstance(content, Mapping) else type(content).__name__
        hint = 'Give a file with a state dict, bare or under "state_dict" or "model".'
        raise StorageError(f"{path}: holds no state dict: {holds}", hint)
    state = {str(key): value for key, value in content.items()}
    while wrapper := next((w for w in _WRAPPERS if all(key.startswith(w) for key in state)), ""):
        state = {key.removeprefix(wrapper): value for key, value in state.items()}
    return state


def _fill(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    own = model.state_dict()
    # checkpoints from before PyTorch 0.4.1 lack this counter, which inference doesn't need
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    differing = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": differing}
    texts = [f"{len(keys)} {what}: {_few(keys)}" for what, keys in problems.items() if keys]
    if texts:
        hint = "Give the model, with its parameters and number of classes, that these weights were trained for."
        raise UnsupportedModelError(f"{path}: the weights don't fit the model: {'; '.join(texts)}", hint)
    model.load_state_dict(state, strict=False)


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
