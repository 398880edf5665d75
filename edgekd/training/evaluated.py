"""Evaluation as a stage: how many validation images a stored network classifies correctly."""

from dataclasses import dataclass

from edgekd.data.dataset import Dataset
from edgekd.run import Run, Workspace
from edgekd.training.evaluate import Score, evaluate
from edgekd.values import Accuracy
from edgekd.values.network import Network
from edgekd.zoo import networks


@dataclass(frozen=True)
class _Evaluating:
    network: Network
    data: Dataset


def evaluated(run: Run, network: Network, data: Dataset) -> Network:
    """The network with its accuracy on the validation images."""
    score = run.stage("evaluated", _Evaluating(network, data), _evaluate)
    accuracy = Accuracy(correct=score.correct, images=score.images, dataset=data.name, split="val")
    return network.model_copy(update={"accuracy": accuracy})


def _evaluate(inputs: _Evaluating, at: Workspace) -> Score:
    return evaluate(networks.load(inputs.network), inputs.data.val)
