"""Reads checkpoint files by what they hold, whatever they are called: safetensors, and pickles of PyTorch's formats."""

import pickle
import re
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch

from edgekd.errors import StorageError

_TORCH_NAMES = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".pkl")


def read_checkpoint(path: Path, *, trust: bool) -> Any:
    """What the file holds; a pickle of more than tensors, which can run any code, only if it is trusted.

    Raises:
        StorageError: the file is missing, truncated or no checkpoint, or it is a pickle that isn't trusted.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file" if not path.exists() else "not a regular file"
        raise StorageError(
            f"{path}: {what}", "Give the path of a checkpoint, such as a .safetensors, .pt or .pth file."
        )
    try:
        kind = _kind(path)
        if kind == "safetensors":
            return safetensors.torch.load_file(path)
        if kind == "torch":
            return _read_torch(path, trust)
    except safetensors.SafetensorError as e:
        raise StorageError(f"{path}: truncated, or not a safetensors file: {e}", "Write or copy it again.") from e
    except OSError as e:
        raise StorageError(f"{path}: can't be read: {e.strerror or e}", "Check the file and its permissions.") from e
    hint = "Give a safetensors file, or one that torch.save wrote (.pt, .pth, .pth.tar, .ckpt, .bin)."
    raise StorageError(f"{path}: not a kind of checkpoint that can be read", hint)


def _kind(path: Path) -> Literal["safetensors", "torch"] | None:
    """By its first bytes, or by its name if those match neither, so that a damaged file is reported as damaged."""
    with path.open("rb") as f:
        start = f.read(9)
    if start[8:] == b"{":  # behind the length of a JSON header
        return "safetensors"
    if start[:1] == b"\x80" or zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        return "torch"
    if path.suffix == ".safetensors":
        return "safetensors"
    return "torch" if path.suffix in _TORCH_NAMES else None


def _read_torch(path: Path, trust: bool) -> Any:
    try:
        # as an open file: by a path's name, torch would choose another format
        with path.open("rb") as file, warnings.catch_warnings():
            # what they say of odd files, the errors below say in words for users
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=not trust)
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
