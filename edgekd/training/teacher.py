"""Prepares a teacher for training: frozen, with folded batch normalisations if the logits stay the same."""

import copy

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from edgekd.training.device import compiled, place
from edgekd.values.training import Execution


def frozen(
    teacher: nn.Module, images: Tensor, execution: Execution, device: torch.device, *, whole: bool = False
) -> nn.Module:
    """A copy of the teacher that only infers, placed on the device, with its batch normalisations folded into the
    convolutions before them if on the `images` (B, C, H, W) that gives the same logits to fp32's accuracy; not if it
    is wanted `whole`, for its features: folding takes the modules apart.
    """
    plain = copy.deepcopy(teacher).eval().requires_grad_(False)
    folded = None if whole else _folded(plain, images)
    placed = place(folded or plain, execution, device)
    return _Compiled(placed) if execution.compiled and not whole else placed


class _Compiled(nn.Module):
    """A network that no longer learns, as torch.compile runs it with its weights laid out for the kernels once."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = compiled(model)

    def forward(self, images: Tensor) -> Tensor:
        # compiling loads it, which takes two seconds that other trainings needn't
        from torch._inductor import config

        # as an option of torch.compile it comes too late: the weights are inputs of the graph by then
        with config.patch(freezing=True):
            logits: Tensor = self._model(images)
        return logits


def _folded(teacher: nn.Module, images: Tensor) -> nn.Module | None:
    try:
        folded = fuse(teacher)
        with torch.inference_mode():
            expected, given = teacher.cpu()(images), folded.cpu()(images)
            same = torch.allclose(given, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    except Exception:
        # Tracing runs the model's own code on stand-ins for tensors, which can raise anything; unfolded is always right
        return None
    return folded if same else None
