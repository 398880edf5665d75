"""Prunes an opened network and writes it: what can't be used, or not be rebuilt from its files, is refused."""

import contextlib
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.apply import Pruned, apply
from edgekd.pruning.child.opening import Opened, output_of
from edgekd.pruning.child.protocol import PrunedFiles, PruneRequest
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.process import UNPRUNED
from edgekd.pruning.proof import require_proof
from edgekd.values import Cost, Structure
from edgekd.zoo.cost import macs, nonzero, parameters
from edgekd.zoo.definition import Definition, layers_of, load_pruned
from edgekd.zoo.weights import save_weights

_IMAGES = 2
"""For the proof: it compares every value of every layer, so that few images tell as much as many."""


def write_pruned(opened: Opened, request: PruneRequest) -> PrunedFiles:
    """Prune, write the network to the folder, and say where it is and what it costs.

    Raises:
        UnsupportedModelError: nothing could be pruned, or the pruned network isn't sound or can't be rebuilt.
        StorageError: the folder isn't writable or the disk is full.
        EdgekdError: the criterion's options, or the images, don't do.
    """
    criterion, options = criterion_of(request.judging.criterion, request.judging.options)
    pruned = apply(opened.subject(options), request.structure, criterion)
    output = _checked_output(opened, pruned.model)
    # what was pruned before may be there already
    if not request.structure.is_whole and not opened.before and not _is_smaller(pruned.model, opened.model):
        what = f"the structure prunes nothing of {opened.asked.model}"
        raise UnsupportedModelError(what, "Specify a structure that is smaller than the network.")
    weights, definition = request.folder / "weights.safetensors", request.folder / "structure.json"
    try:
        save_weights(pruned.model, weights)
        _definition(opened, pruned, request.structure).write(definition)
        _check_stored(opened, weights, definition, output)
        _check_proof(opened, pruned)
    except BaseException:
        for unsound in (weights, definition):
            with contextlib.suppress(OSError):
                unsound.unlink()
        raise
    asked = opened.asked
    cost = Cost(
        parameters=parameters(pruned.model),
        nonzero=nonzero(pruned.model),
        macs=macs(pruned.model, (asked.channels, asked.height, asked.width)),
    )
    return PrunedFiles(weights=weights, definition=definition, cost=cost)


def _is_smaller(pruned: nn.Module, model: nn.Module) -> bool:
    return parameters(pruned) < parameters(model) or nonzero(pruned) < nonzero(model)


def _definition(opened: Opened, pruned: Pruned, structure: Structure) -> Definition:
    """What the network is rebuilt from: its architecture and all that was ever taken from it."""
    asked, before = opened.asked, opened.before
    earlier = before.kept if before else {}
    now = {
        layer: tuple(earlier[layer][i] for i in channels) if layer in earlier else channels
        for layer, channels in pruned.kept.items()
    }
    layers = layers_of(pruned.model)
    return Definition(
        model=asked.model,
        classes=asked.classes,
        channels=asked.channels,
        height=asked.height,
        width=asked.width,
        kept={layer: channels for layer, channels in {**earlier, **now}.items() if layer in layers},
        removed=(*(before.removed if before else ()), *pruned.removed),
        zeros=max(structure.zeros, before.zeros if before else 0.0),
        layers=layers,
    )


def _checked_output(opened: Opened, pruned: nn.Module) -> Tensor:
    output: Tensor = output_of(pruned, opened.example)
    what = f"pruned, {opened.asked.model} gives"
    if output.shape != opened.output.shape:
        shapes = f"{tuple(output.shape)} where it gave {tuple(opened.output.shape)}"
        raise UnsupportedModelError(f"{what} {shapes}", UNPRUNED)
    if not output.isfinite().all():
        raise UnsupportedModelError(f"{what} infinities or NaN", UNPRUNED)
    return output


def _check_stored(opened: Opened, weights: Path, definition: Path, output: Tensor) -> None:
    rebuilt = output_of(load_pruned(Definition.read(definition), weights), opened.example)
    if not torch.allclose(rebuilt, output, rtol=1e-5, atol=1e-6):
        off = float((rebuilt - output).abs().max())
        message = f"{opened.asked.model}: the stored network's outputs are off by {off:g}"
        raise UnsupportedModelError(message, UNPRUNED)


def _check_proof(opened: Opened, pruned: Pruned) -> None:
    if not pruned.kept and not pruned.removed and layers_of(pruned.model) == layers_of(opened.model):
        return  # single weights went, or none
    images = torch.cat([opened.images[:_IMAGES], opened.example])  # real ones may be blank
    try:
        require_proof(opened.model, pruned.model, images, kept=pruned.kept, removed=pruned.removed)
    except UnsupportedModelError as e:
        raise UnsupportedModelError(f"{opened.asked.model} can't be pruned: {e.message}", e.hint) from e
