"""What students have learned to see: their features before the last layer against the teacher's."""

from dataclasses import dataclass

from edgekd.data.dataset import Dataset
from edgekd.run import Run, Workspace
from edgekd.studies._results import Representation
from edgekd.studies.run.features import embeddings, linear_cka, plane, probe
from edgekd.values import Accuracy, Value
from edgekd.values.network import Network
from edgekd.zoo import networks

_TEST_IMAGES = 2000
"""Of which features are compared."""
_PROBE_IMAGES = 5000
_SHOWN_IMAGES = 500


class Projection(Value):
    """A network's features of test images."""

    representation: Representation
    points: tuple[tuple[float, float], ...]
    """Of some of them, in the plane of most variance."""
    labels: tuple[int, ...]


@dataclass(frozen=True)
class _Beside:
    student: Network
    teacher: Network
    data: Dataset
    dataset: str
    """What the images are called."""


def projected(run: Run, student: Network, teacher: Network, data: Dataset) -> Projection:
    """The features of a student beside the teacher's of the same images; raises as `features.embeddings`."""
    return run.stage("projection", _Beside(student, teacher, data, data.name), _projected)


def _projected(inputs: _Beside, at: Workspace) -> Projection:
    model, data = networks.load(inputs.student), inputs.data
    features, labels = embeddings(model, data.test, _TEST_IMAGES)
    learned = embeddings(model, data.train, _PROBE_IMAGES)
    right = (probe(*learned, features) == labels).sum()
    accuracy = Accuracy(correct=int(right), images=len(labels), dataset=inputs.dataset, split="test")
    of_teacher, _ = embeddings(networks.load(inputs.teacher), data.test, _TEST_IMAGES)
    shown = plane(features)[:_SHOWN_IMAGES]
    return Projection(
        representation=Representation(cka=linear_cka(features, of_teacher), probe=accuracy),
        points=tuple((round(x, 4), round(y, 4)) for x, y in shown.tolist()),
        labels=tuple(labels[:_SHOWN_IMAGES].tolist()),
    )
