"""Baseline: the original network's files, and the one among them that drops and ratios refer to."""

from dataclasses import dataclass
from pathlib import Path

from edgekd import catalog
from edgekd.deploy.writers._base import WRITERS
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pipeline.job import Job
from edgekd.pipeline.ladder import ladder, runtimes
from edgekd.values import Artifact
from edgekd.values.network import Network
from edgekd.values.result import Ladder, Rung
from edgekd.variants import require_settings


@dataclass(frozen=True)
class Baseline:
    """The original network in every precision that passed its check."""

    ladder: Ladder
    folder: Path
    reference: Rung

    def placed(self, rung: Rung) -> Artifact:
        """One of its artifacts, where it is."""
        return rung.artifact.below(self.folder)

    @property
    def precisions(self) -> frozenset[str]:
        """Those that can be counted on."""
        return frozenset(rung.artifact.precision for rung in self.ladder.rungs)


def baseline(job: Job, network: Network) -> Baseline:
    """The files of the original network.

    Raises:
        UnsupportedModelError: the reference failed its check, so that nothing could be compared with it.
    """
    found, folder = ladder(job, network, "baseline")
    precision = job.target.reference.precision
    reference = found.of(precision)
    if reference is None:
        why = "; ".join(gone.why for gone in found.dropped if gone.name == f"baseline-{precision}")
        what = f"baseline-{precision}, which all drops and ratios refer to, didn't pass its check: {why}"
        raise UnsupportedModelError(what, _HINT)
    job.progress.note(f"reference: {reference.artifact.name}")
    return Baseline(found, folder, reference)


_HINT = "Rewrite what can't be exported with plain layers, or name another precision in the target's [reference]."


def require_reference(job: Job) -> None:
    """Raises EdgekdError if the target's reference isn't among the precisions that would be written, or a variant has
    a setting that its runtime doesn't have.
    """
    require_settings(job.target)
    writable = {p for runtime in runtimes(job) for p in catalog.load(WRITERS, runtime).tolerances}
    precision, own = job.target.reference.precision, [p for p in job.target.precisions if p in writable]
    if precision not in own:
        written = ", ".join(own) or "none"
        what = f"target {job.target.name}: its reference is {precision}, and it is written in {written}"
        raise EdgekdError(what, f"Add {precision} to its precisions, or name another one in its [reference].")
