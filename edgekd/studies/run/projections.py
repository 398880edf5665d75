"""What students have learned to see: their features before the last layer against the teacher's."""

from torch import nn

from edgekd.pipeline.job import Job
from edgekd.studies._results import Representation
from edgekd.studies.run.features import embeddings, linear_cka, plane, probe
from edgekd.studies.run.teachers import TEST_IMAGES, TrainedTeacher
from edgekd.values import Accuracy, Value
from edgekd.values.network import Network

_PROBE_IMAGES = 5000
_SHOWN_IMAGES = 500


class Projection(Value):
    """A network's features of test images."""

    representation: Representation
    points: tuple[tuple[float, float], ...]
    """Of some of them, in the plane of most variance."""
    labels: tuple[int, ...]


def projected(job: Job, network: Network, model: nn.Module, teacher: TrainedTeacher) -> Projection:
    """The features of a student beside the teacher's of the same images; raises as `features.embeddings`."""
    inputs = {"student": network.key(), "teacher": teacher.network.key(), "data": [job.data.name, job.images]}
    return job.run.stage("projection", inputs, Projection, lambda _: _projected(job, model, teacher))[0]


def _projected(job: Job, model: nn.Module, teacher: TrainedTeacher) -> Projection:
    features, labels = embeddings(model, job.data.test, TEST_IMAGES)
    learned = embeddings(model, job.data.train, _PROBE_IMAGES)
    right = (probe(*learned, features) == labels).sum()
    accuracy = Accuracy(correct=int(right), images=len(labels), dataset=job.data.name, split="test")
    shown = plane(features)[:_SHOWN_IMAGES]
    return Projection(
        representation=Representation(cka=linear_cka(features, teacher.features), probe=accuracy),
        points=tuple((round(x, 4), round(y, 4)) for x, y in shown.tolist()),
        labels=tuple(labels[:_SHOWN_IMAGES].tolist()),
    )
