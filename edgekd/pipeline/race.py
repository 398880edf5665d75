"""Race: all variants of a network are measured shortly, so that what is hopelessly slow is not proven and measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekd.errors import ConnectionLostError, MeasurementError, UnsupportedModelError
from edgekd.gate.judge import judge
from edgekd.measuring.relative import relative
from edgekd.measuring.statistics import ratio
from edgekd.pipeline.goal import Goal
from edgekd.run import Run
from edgekd.values import Artifact, Interval, Measurement

_QUICKEST: Mapping[str, Any] = {"launches": 1, "seconds": 0.2, "block_seconds": 0.02, "warmup_seconds": 0.2}
"""One launch: what is far behind is measured in another one again."""

_AGAIN: Mapping[str, Any] = {**_QUICKEST, "seconds": 0.3}
"""Another protocol, since the same one on the same files would be found among what was measured."""

_ROUNDS = 2

_OPENED: Mapping[str, Any] = {"launches": 1, "seconds": 0.02, "block_seconds": 0.02, "warmup_seconds": 0.02}

HOPELESS = 1.5
"""Times the latency of the fastest: what two quick measurements get wrong is less."""

HOPELESS_WHEN_PRUNED = 2.0
"""Of the original network, whose remaining variants are those of its pruned candidates: narrower layers gain less from
integers, so that the order of variants may change on the way.
"""


@dataclass(frozen=True)
class _Round:
    """Short measurements of one session, by the artifact's id."""

    reference: Measurement
    by_id: Mapping[str, Measurement]

    def fastest(self, artifacts: Collection[Artifact]) -> Artifact | None:
        """The fastest of those that took part."""
        found = [artifact for artifact in artifacts if artifact.id in self.by_id]
        return min(found, key=lambda one: self.ratio(one).estimate, default=None)

    def ratio(self, artifact: Artifact) -> Interval:
        """An artifact's latency divided by the reference's."""
        return ratio(self.by_id[artifact.id], self.reference)

    def behind(self, artifact: Artifact, other: Artifact) -> Interval:
        """An artifact's latency divided by another's."""
        return relative(self.by_id[artifact.id], self.by_id[other.id], self.reference)


@dataclass(frozen=True)
class Race:
    """What is known of a network's variants; nothing where there is no device or it was disturbed."""

    rounds: tuple[_Round, ...] = ()
    """The second one, of those that the first left far behind, with the fastest."""
    over: frozenset[str] = frozenset()
    """The ids of those that miss a limit of the budget other than latency, such as a size: for their sake nothing
    slower is left out."""

    def hopeless(self, artifact: Artifact, rivals: Collection[Artifact], times: float) -> str | None:
        """Why an artifact is left out: in both rounds it certainly takes more than so many times as long as the fastest
        rival. None if it isn't.

        Args:
            artifact: one of the network's.
            rivals: those of them that may be kept.
            times: as above.
        """
        if len(self.rounds) < _ROUNDS:
            return None
        why = ""
        for each in self.rounds:
            fastest = each.fastest([rival for rival in rivals if rival.id not in self.over])
            if fastest is None or artifact.id not in each.by_id:
                return None
            behind = each.behind(artifact, fastest)
            if behind.low <= times:
                return None
            why = f"{behind.estimate:.1f} times the latency of {fastest.variant.name}, the fastest"
        return f"left out after a quick race: {why}"

    def ratios(self, artifacts: Collection[Artifact]) -> dict[str, float]:
        """Latencies divided by the reference's, by the variant's name, of those that took part."""
        first = self.rounds[0] if self.rounds else None
        raced = [artifact for artifact in artifacts if first and artifact.id in first.by_id]
        return {one.variant.name: first.ratio(one).estimate for one in raced} if first else {}

    def slow_runtimes(self, artifacts: Collection[Artifact], times: float) -> frozenset[str]:
        """The runtimes of which all artifacts are left out as `hopeless`, with each other as rivals."""
        hopeful = {one.runtime for one in artifacts if self.hopeless(one, artifacts, times) is None}
        return frozenset(artifact.runtime for artifact in artifacts) - hopeful


def race(run: Run, goal: Goal, reference: Artifact, artifacts: Sequence[Artifact]) -> Race:
    """Measure a network's artifacts shortly, interleaved with the reference, and those that are far behind once more.

    What a runtime can't run is not measured: its check says why. Nor is anything where the device is disturbed: the
    race saves time, and decides nothing that can't be decided without it.

    Args:
        run: keeps the measurements.
        goal: with a device.
        reference: the original network's artifact.
        artifacts: the network's; the reference may be one of them.

    Raises:
        ConnectionLostError: the device was lost.
    """
    others = [artifact for artifact in artifacts if artifact.id != reference.id]
    if not others:
        return Race()
    run.progress.stage("race", f"measuring {len(others) + 1} files shortly")
    try:
        first = _round(run, goal, [reference, *others], _QUICKEST)
        if first is None:
            return Race()
        if not (suspects := _suspects(first, artifacts)):
            return Race((first,))
        fastest = first.fastest(artifacts)
        again = [one for one in others if one in suspects or one == fastest]
        second = _round(run, goal, [reference, *again], _AGAIN)
    except ConnectionLostError:
        raise
    except MeasurementError as e:
        run.progress.note(f"no variant is left out for its latency before it is checked: {e.message}")
        return Race()
    if second is None:
        return Race((first,))
    over = frozenset(one for one, found in first.by_id.items() if _is_over(goal, found, first.reference))
    return Race((first, second), over)


def _suspects(first: _Round, artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Those that may be hopeless, whatever the others turn out to be."""
    fastest = first.fastest(artifacts)
    if fastest is None:
        return []
    taking_part = [artifact for artifact in artifacts if artifact.id in first.by_id]
    return [artifact for artifact in taking_part if first.behind(artifact, fastest).low > HOPELESS]


def _round(run: Run, goal: Goal, artifacts: Sequence[Artifact], protocol: Mapping[str, Any]) -> _Round | None:
    """The artifacts that run, beside the first, the reference; None where that one doesn't."""
    reference = artifacts[0]
    try:
        found = goal.compared(run, artifacts, **protocol)
    except UnsupportedModelError:
        artifacts = [artifact for artifact in artifacts if _runs(run, goal, artifact)]
        if reference not in artifacts:
            return None
        found = goal.compared(run, artifacts, **protocol)
    by_id = {artifact.id: measurement for artifact, measurement in zip(artifacts, found, strict=True)}
    return _Round(by_id[reference.id], by_id)


def _runs(run: Run, goal: Goal, artifact: Artifact) -> bool:
    try:
        return bool(goal.compared(run, [artifact], **_OPENED))
    except UnsupportedModelError:
        return False


def _is_over(goal: Goal, measurement: Measurement, baseline: Measurement) -> bool:
    budget = goal.budget.only(lambda needs: not (needs.guides_search or needs.trained))
    return any(limit.status == "fail" for limit in judge(budget, measurement, baseline).limits)
