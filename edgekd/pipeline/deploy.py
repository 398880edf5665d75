"""Deploy: a network as artifacts, one for each variant, each proven to be the network by the runtime that runs it."""

from collections.abc import Iterator
from dataclasses import dataclass

from edgekd.errors import UnsupportedModelError
from edgekd.pipeline.deployment import Deployment
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.graph import made_of
from edgekd.pipeline.partial import with_partial
from edgekd.pipeline.proof import Check, check, proven
from edgekd.pipeline.race import HOPELESS, HOPELESS_WHEN_PRUNED, Race, race
from edgekd.pipeline.select import keeps_accuracy
from edgekd.pipeline.written import Exported, write_variants
from edgekd.run import Run
from edgekd.values import Artifact
from edgekd.values.network import Network
from edgekd.values.result import Checked, Deployed, Dropped


@dataclass(frozen=True)
class Baseline:
    """The original network's artifacts, and the one among them that drops and ratios refer to."""

    deployed: Deployed
    reference: Checked


@dataclass(frozen=True)
class Contest:
    """What a network's variants compete for."""

    goal: Goal | None = None
    """What one of them is to meet, with its device; None: they aren't measured."""
    reference: Checked | None = None
    """The original network's artifact, which the budget's limits refer to; None: it is among those to deploy."""
    hopeless: float = HOPELESS
    """Times the latency of the fastest, see `race`."""


_NONE = Contest()


def baseline(run: Run, network: Network, how: Deployment, goal: Goal | None = None) -> Baseline:
    """The artifacts of the original network.

    Raises:
        UnsupportedModelError: the reference failed its check, so that nothing could be compared with it.
    """
    deployed = deploy(run, "baseline", network, how, Contest(goal, hopeless=HOPELESS_WHEN_PRUNED))
    found, reference = deployed.of(how.reference), f"baseline-{how.reference.name}"
    if found is None:
        why = "; ".join(gone.why for gone in deployed.dropped if gone.name == reference)
        what = f"{reference}, which all drops and ratios refer to, did not pass its check: {why}"
        hint = "Rewrite what can't be exported with plain layers, or name another variant in the target's [reference]."
        raise UnsupportedModelError(what, hint)
    run.progress.note(f"reference: {found.artifact.name}")
    return Baseline(deployed, found)


def deploy(run: Run, name: str, network: Network, how: Deployment, contest: Contest = _NONE) -> Deployed:
    """A network in every variant in which it passed its check, run by the goal's device, or by this machine for None.

    On a device, variants that are hopelessly slow are left out by a quick race before they are checked.

    Raises:
        UnsupportedModelError: it can't be exported, its own outputs aren't finite, or no artifact passed its check.
    """
    run.progress.stage("deploy", f"writing {name} in {len(how.variants)} variants and checking each")
    making = made_of(run, name, network, how)
    exported = write_variants(run, name, making, how.variants)
    raced, layers = Race(), dict[str, tuple[str, ...]]()
    reference = contest.reference.artifact if contest.reference else exported.of(how.reference)
    if contest.goal and contest.goal.device and reference:
        raced = race(run, contest.goal, reference, exported.artifacts)
        slow = raced.slow_runtimes(exported.artifacts, contest.hopeless)
        exported, layers = with_partial(run, contest.goal, name, making, exported, slow=slow)
    found = _Proving(run, name, network, how, contest, exported, raced).deployed()
    for gone in found.dropped:
        run.progress.note(f"{gone.name}: dropped: {gone.why}")
    if not found.artifacts:
        why = "; ".join(f"{gone.name}: {gone.why}" for gone in found.dropped)
        raise UnsupportedModelError(f"no export of {name} passed its check: {why}", "See the numbers above.")
    return found.model_copy(update={"layers": layers, "raced": raced.ratios(exported.artifacts)})


@dataclass(frozen=True)
class _Proving:
    """Proves the variants of a network that are worth it."""

    run: Run
    name: str
    network: Network
    how: Deployment
    contest: Contest
    exported: Exported
    raced: Race

    def deployed(self) -> Deployed:
        """Each is left out for a rival that passed its own check alone: where that one fails, the others are proven,
        beginning with the reference variant: where the network itself loses the accuracy, no variant keeps it.
        """
        checks = dict[str, Check]()
        while True:
            rivals = [artifact for artifact in self.exported.artifacts if self._may_be_kept(artifact, checks)]
            left_out = dict(self._left_out(rivals, checks))
            due = [a for a in self.exported.artifacts if a.id not in checks and a.id not in left_out]
            if not due:
                return self._result(checks, left_out)
            if checks:
                due = [artifact for artifact in due if artifact.variant == self.how.reference] or due
            device = self.contest.goal.device if self.contest.goal else None
            found = check(self.run, self.name, self.network, tuple(due), how=self.how, device=device).checks
            checks |= {artifact.id: one for artifact, one in zip(due, found, strict=True)}

    def _left_out(self, rivals: list[Artifact], checks: dict[str, Check]) -> Iterator[tuple[str, str]]:
        """Ids with reasons; never the reference that is to be deployed."""
        for artifact in self.exported.artifacts:
            is_reference = self.contest.reference is None and artifact.variant == self.how.reference
            why = self.raced.hopeless(artifact, rivals, self.contest.hopeless)
            if why and artifact.id not in checks and not is_reference:
                yield artifact.id, why

    def _may_be_kept(self, artifact: Artifact, checks: dict[str, Check]) -> bool:
        """Whether it isn't known to fail its check, or to lose more accuracy than the budget allows."""
        if artifact.id not in checks:
            return True
        found, goal, reference = self._checked(artifact, checks), self.contest.goal, self._reference(checks)
        if found is None or goal is None or reference is None:
            return found is not None
        own = self._own_reference(checks)
        if own and not keeps_accuracy(goal.budget, reference, own):
            return True
        return keeps_accuracy(goal.budget, reference, found)

    def _reference(self, checks: dict[str, Check]) -> Checked | None:
        return self.contest.reference or self._own_reference(checks)

    def _own_reference(self, checks: dict[str, Check]) -> Checked | None:
        """The network in the reference variant."""
        own = self.exported.of(self.how.reference)
        return self._checked(own, checks) if own else None

    def _checked(self, artifact: Artifact, checks: dict[str, Check]) -> Checked | None:
        """The artifact with its check; None if it isn't checked, or failed."""
        return proven(artifact, self.exported.exporter, checks.get(artifact.id))

    def _result(self, checks: dict[str, Check], left_out: dict[str, str]) -> Deployed:
        passed, dropped = [], list(self.exported.dropped)
        for artifact in self.exported.artifacts:
            if found := self._checked(artifact, checks):
                passed.append(found)
            else:
                why = left_out.get(artifact.id) or checks[artifact.id].failed or ""
                dropped.append(Dropped(name=artifact.name, why=why))
        failed = [a.variant for a in self.exported.artifacts if a.id in checks and _is_inexact(checks[a.id])]
        return Deployed(artifacts=tuple(passed), dropped=tuple(dropped), inexact=tuple(failed))


def _is_inexact(check: Check) -> bool:
    return check.parity is not None and check.accuracy is None
