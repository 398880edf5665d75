"""Race: all variants of a network are measured shortly, so that what is hopelessly slow is not proven and measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgekd.errors import MeasurementError, UnsupportedModelError
from edgekd.gate.judge import judge
from edgekd.measuring.relative import relative
from edgekd.measuring.statistics import ratio
from edgekd.pipeline.goal import Goal
from edgekd.run import Run
from edgekd.values import Artifact, Interval, Measurement

_QUICKEST: Mapping[str, Any] = {"launches": 1, "seconds": 0.2, "block_seconds": 0.02, "warmup_seconds": 0.2}
"""One launch: launches differ by some percent, which decides who is the fastest, but not who is far behind it."""

_OPENED: Mapping[str, Any] = {"launches": 1, "seconds": 0.02, "block_seconds": 0.02, "warmup_seconds": 0.02}

HOPELESS = 1.5
"""Times the latency of the fastest: what the quick measurement gets wrong is far less."""

HOPELESS_WHEN_PRUNED = 2.0
"""Of the original network, whose remaining variants are those of its pruned candidates: narrower layers gain less from
integers, so that the order of variants may change on the way.
"""


@dataclass(frozen=True)
class Race:
    """Short measurements of a network's variants; of none, where there is no device or it was disturbed."""

    reference: Measurement | None = None
    by_id: Mapping[str, Measurement] = field(default_factory=dict)
    """By the artifact's id."""
    over: frozenset[str] = frozenset()
    """The ids of those that miss a limit of the budget other than latency, such as a size: for their sake nothing
    slower is left out."""

    def hopeless(self, artifact: Artifact, rivals: Collection[Artifact], times: float) -> str | None:
        """Why an artifact is left out: the fastest rival is certainly more than so many times as fast; None if not.

        Args:
            artifact: one of the network's.
            rivals: those of them that may be kept.
            times: as above.
        """
        raced = [rival for rival in rivals if rival.id in self.by_id and rival.id not in self.over]
        if artifact.id not in self.by_id or not raced:
            return None
        assert self.reference
        fastest = min(raced, key=lambda rival: self._against_reference(rival).estimate)
        behind = relative(self.by_id[artifact.id], self.by_id[fastest.id], self.reference)
        if behind.low <= times:
            return None
        latency = f"{behind.estimate:.1f} times the latency of {fastest.variant.name}, the fastest"
        return f"left out after a quick race: {latency}"

    def slow_runtimes(self, artifacts: Collection[Artifact], times: float) -> frozenset[str]:
        """The runtimes of which all artifacts are left out as `hopeless`, with each other as rivals."""
        hopeful = {one.runtime for one in artifacts if self.hopeless(one, artifacts, times) is None}
        return frozenset(artifact.runtime for artifact in artifacts) - hopeful

    def _against_reference(self, artifact: Artifact) -> Interval:
        assert self.reference
        return ratio(self.by_id[artifact.id], self.reference)


def race(run: Run, goal: Goal, reference: Artifact, artifacts: Sequence[Artifact]) -> Race:
    """Measure a network's artifacts shortly, interleaved with the reference.

    What a runtime can't run is not measured: its check says why. Nor is anything where the device is disturbed: the
    race saves time, and decides nothing that can't be decided without it.

    Args:
        run: keeps the measurements.
        goal: with a device.
        reference: the original network's artifact.
        artifacts: the network's; the reference may be one of them.
    """
    others = [artifact for artifact in artifacts if artifact.id != reference.id]
    if not others:
        return Race()
    run.progress.stage("race", f"measuring {len(others) + 1} files shortly")
    try:
        measured = _measured(run, goal, [reference, *others])
    except MeasurementError as e:
        run.progress.note(f"no variant is left out for its latency before it is checked: {e.message}")
        return Race()
    if reference.id not in measured:
        return Race()
    baseline = measured[reference.id]
    over = frozenset(one for one, measurement in measured.items() if _is_over(goal, measurement, baseline))
    own = {artifact.id for artifact in artifacts}
    return Race(baseline, {one: m for one, m in measured.items() if one in own}, over)


def _measured(run: Run, goal: Goal, artifacts: Sequence[Artifact]) -> dict[str, Measurement]:
    """The measurements of those that run, by id."""
    try:
        found = goal.compared(run, artifacts, **_QUICKEST)
    except UnsupportedModelError:
        running = [artifact for artifact in artifacts if _runs(run, goal, artifact)]
        found = goal.compared(run, running, **_QUICKEST) if artifacts[0] in running else ()
        artifacts = running
    return {artifact.id: measurement for artifact, measurement in zip(artifacts, found, strict=False)}


def _runs(run: Run, goal: Goal, artifact: Artifact) -> bool:
    try:
        return bool(goal.compared(run, [artifact], **_OPENED))
    except UnsupportedModelError:
        return False


def _is_over(goal: Goal, measurement: Measurement, baseline: Measurement) -> bool:
    budget = goal.budget.only(lambda needs: not (needs.guides_search or needs.trained))
    return any(limit.status == "fail" for limit in judge(budget, measurement, baseline).limits)
