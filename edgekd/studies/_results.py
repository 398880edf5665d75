"""What a study concludes."""

from typing import Literal

from pydantic import Field

from edgekd.studies._base import Published, Scale, Settings
from edgekd.values import Accuracy, Interval, Value


class Plan(Value):
    """All that decides what a study does; a folder holds the results of one."""

    study: str
    data: str
    data_fingerprint: str
    scale: Scale
    seeds: int
    target: str


class Representation(Value):
    """How the features before the last layer compare with the teacher's."""

    cka: float
    """Linear centred kernel alignment with the teacher's features of the test images, 0 to 1."""
    probe: Accuracy
    """Of a linear classifier on the frozen features."""


class Cell(Value):
    """One arm with one seed."""

    seed: int
    test: Accuracy
    val: Accuracy
    training_seconds: float
    """Of all its steps; what asking the teacher took is in it, unless another cell had asked before."""
    representation: Representation | None = None


class Failure(Value):
    """A cell that couldn't be made."""

    arm: str
    seed: int
    message: str


class Costs(Value):
    """What a network costs."""

    parameters: int
    nonzero: int
    """Parameters that aren't zero."""
    macs: int
    disk_bytes: int
    """Of its fp32 file."""
    transfer_bytes: int
    """Of that file after gzip."""
    median_ms: float | None = None
    latency: Interval | None = None
    """Ratio to the teacher's, measured side by side; None where it wasn't measured."""


class Gain(Value):
    """Paired by seed: accuracy with a method less that of its control, in percentage points."""

    control: str
    seeds: int
    """Of which both are there."""
    points: float
    """The mean."""
    interval: Interval | None
    """Student's t of the paired differences; None for one seed, or where all differences are the same."""


class Tradeoff(Value):
    """An arm against its teacher, on the mean over its seeds."""

    drop_points: float
    """Test accuracy that was lost, in percentage points."""
    parameter_ratio: float
    """Of parameters that aren't zero."""
    transfer_ratio: float
    latency_ratio: float | None
    pareto_rank: int
    """1: no other arm of this teacher is at least as good in accuracy, transfer size and latency, and better in one;
    2: the same once those of rank 1 are left out; and so on."""
    score: float | None
    """edgekd's own: halvings of the latency less points of accuracy lost, log2(1 / latency_ratio) − drop_points."""


class TeacherResult(Value):
    """A teacher of a study."""

    model: str
    test: Accuracy
    val: Accuracy
    epochs: int
    costs: Costs


class Compared(Value):
    """One arm with all its cells."""

    name: str
    factors: dict[str, str]
    settings: Settings
    teacher: str
    """The model."""
    chosen: str = ""
    """How its structure was chosen; nothing where its settings state it."""
    cells: tuple[Cell, ...]
    accuracy: float | None
    """The mean over the seeds, a fraction; None where no cell could be made."""
    deviation: float | None
    """The standard deviation over the seeds (n − 1); None for one seed."""
    costs: Costs | None
    gain: Gain | None = None
    tradeoff: Tradeoff | None = None


class StudyResult(Value):
    """What `edgekd study run` concludes: the document of its --json."""

    schema_version: Literal["edgekd.study/1"] = "edgekd.study/1"
    title: str
    paper: str
    published: tuple[Published, ...]
    differs: tuple[str, ...]
    plan: Plan
    folder: str
    device: str | None
    """None: nothing was measured."""
    teachers: tuple[TeacherResult, ...]
    arms: tuple[Compared, ...]
    failures: tuple[Failure, ...]
    files: dict[str, str] = Field(default_factory=dict)
    """Below the folder, by what they are."""
    remarks: tuple[str, ...] = ()
    """What couldn't be compared, written or drawn, and why."""


class Overview(Value):
    """A study as it is planned."""

    name: str
    title: str
    paper: str
    published: tuple[Published, ...]
    differs: tuple[str, ...]
    scale: Scale
    seeds: int
    arms: tuple[dict[str, str], ...]
    """The factors of each."""
    cells: int
    minutes: float
    """About, on two cores of a server."""


class Overviews(Value):
    """What `edgekd study list --json` and `show --json` print."""

    schema_version: Literal["edgekd.studies/1"] = "edgekd.studies/1"
    studies: tuple[Overview, ...]
