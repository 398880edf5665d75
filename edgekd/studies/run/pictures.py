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


class Picture(Value):
    """A network's features of test images."""

    representation: Representation
    points: tuple[tuple[float, float], ...]
    """Of some of them, in the plane of most variance."""
    labels: tuple[int, ...]


def picture(job: Job, network: Network, model: nn.Module, teacher: TrainedTeacher) -> Picture:
    """The features of a student beside the teacher's of the same images; raises as `features.embeddings`."""
    inputs = {"student": network.key(), "teacher": teacher.network.key(), "data": [job.data.name, job.images]}
    return job.run.stage("picture", inputs, Picture, lambda _: _picture(job, model, teacher))[0]


def _picture(job: Job, model: nn.Module, teacher: TrainedTeacher) -> Picture:
    features, labels = embeddings(model, job.data.test, TEST_IMAGES)
    learned = embeddings(model, job.data.train, _PROBE_IMAGES)
    right = (probe(*learned, features) == labels).sum()
    accuracy = Accuracy(correct=int(right), images=len(labels), dataset=job.data.name, split="test")
    shown = plane(features)[:_SHOWN_IMAGES]
    return Picture(
        representation=Representation(cka=linear_cka(features, teacher.features), probe=accuracy),
        points=tuple((round(x, 4), round(y, 4)) for x, y in shown.tolist()),
        labels=tuple(labels[:_SHOWN_IMAGES].tolist()),
    )
