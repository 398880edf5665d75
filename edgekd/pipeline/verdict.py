"""The verdict of a run: what was chosen is measured once more, by the same gate as `check`.

The samples that an artifact was chosen by favour it, so they don't judge it. A verdict is kept like the result of any
stage; an invalid one isn't, so that the next start measures again.
"""

from pathlib import Path

from edgekd.files import sha256
from edgekd.gate.gate import Accuracies, gate
from edgekd.gate.judge import Judged
from edgekd.measuring.document import read_measurement, write
from edgekd.pipeline.job import Job
from edgekd.values import Artifact, File, Value, Verdict

_FILES = ("model.json", "reference.json")


class Kept(Value):
    """A verdict, and the measurements that it was reached on as documents: the choice's and the reference's."""

    verdict: Verdict
    documents: tuple[File, ...]


class _InvalidError(Exception):
    """Carries an invalid verdict past the store."""

    def __init__(self, judged: Judged) -> None:
        super().__init__(judged.verdict.status)
        self.judged = judged


def judged(job: Job, choice: Artifact, reference: Artifact, accuracies: Accuracies) -> Judged:
    """The verdict on the choice beside the reference, on the job's device if there is one.

    Args:
        job: its budget, target, device and protocol.
        choice: with the path of its file.
        reference: with the path of its file.
        accuracies: the choice's and the reference's on the test set.

    Raises:
        EdgekdError: as `gate`.
    """
    artifacts, protocol = (choice, reference), job.recipe.measure

    def ask() -> Judged:
        return gate(
            job.budget,
            *artifacts,
            job.device,
            target=job.target,
            protocol=protocol,
            accuracies=accuracies,
            progress=job.progress,
        )

    if job.device is None:
        return ask()

    def build(folder: Path) -> Kept:
        found = ask()
        if found.verdict.status == "invalid":
            raise _InvalidError(found)
        return Kept(verdict=found.verdict, documents=_written(found, folder))

    job.progress.stage("verdict", f"measuring {choice.name} beside {reference.name}, until every limit is decided")
    inputs = {
        "artifacts": [[artifact.name, artifact.id] for artifact in artifacts],
        "budget": job.budget,
        "accuracies": accuracies,
        "protocol": protocol,
        "target": [job.target.name, job.target.arch, job.target.os, job.target.marker],
        "device": job.device.url,
        "host": job.device.facts.host,
        "runtimes": {one.runtime: job.device.facts.runtimes.get(one.runtime) for one in artifacts},
    }
    try:
        kept, _, _ = job.run.stage("verdict", inputs, Kept, build)
    except _InvalidError as e:
        return e.judged
    return Judged(kept.verdict, *(read_measurement(document.path) for document in kept.documents))


def take_away(found: Judged, root: Path) -> dict[str, str]:
    """Write the samples that a verdict was reached on below the run directory; their paths there, by what they are."""
    return {
        f"measurement of the verdict's {Path(file.path).stem}": f"verdict/{file.path.name}"
        for file in _written(found, root / "verdict")
    }


def _written(found: Judged, folder: Path) -> tuple[File, ...]:
    measurements = [m for m in (found.measurement, found.baseline) if m]
    paths = [folder / name for name, _ in zip(_FILES, measurements, strict=False)]
    for path, measurement in zip(paths, measurements, strict=True):
        write(path, measurement)
    return tuple(File(path=path, sha256=sha256(path)) for path in paths)
