"""Selection: a trained student's artifacts are measured in one session with the reference, and one is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge, latency_status
from edgekd.measuring.session import unmeasured
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.select import keeps_accuracy, select
from edgekd.run import Run
from edgekd.values import Measurement, Status
from edgekd.values.result import Checked, Choice, Deployed

_LONGER = 3
"""Times as many launches where the first measurement of a finished model leaves its latency open."""


@dataclass(frozen=True)
class Selection:
    """The artifacts of a trained student beside the reference, and which of them is kept."""

    options: tuple[Checked, ...]
    """The reference, then the student's artifacts."""
    measurements: tuple[Measurement, ...]
    """In the order of the options."""
    choice: Choice
    chosen: int
    """Which of the options it is; an unpruned student's may be the reference itself."""
    usable: frozenset[str]
    """The variants, by name, in which the student passed its check and keeps the validation accuracy."""
    meets: bool
    """Whether the choice misses no limit but that of accuracy, which the test set decides."""
    latency: Status
    """The verdict on the choice's latency."""
    beyond: float
    """How far the choice's latency is beyond its limit, as a fraction of it; 0 or less where it isn't."""

    @property
    def variant(self) -> str:
        """The choice's, by name."""
        return self.choice.variant.name


def measured_and_selected(run: Run, goal: Goal, reference: Checked, student: Deployed) -> Selection:
    """Measure the reference and every artifact of the student, interleaved, and choose one."""
    # where nothing was pruned, one of the student's artifacts is the reference itself
    options = (reference, *(checked for checked in student.artifacts if checked != reference))
    measurements, choice = _measured(run, goal, options, student)
    at = _chosen(options, student, choice)
    chosen, baseline = measurements[at], measurements[0]
    return Selection(
        options=options,
        measurements=measurements,
        choice=choice,
        chosen=at,
        usable=frozenset(
            checked.artifact.variant.name
            for checked in student.artifacts
            if keeps_accuracy(goal.budget, reference, checked)
        ),
        meets=_meets(goal.budget, chosen, baseline),
        latency=latency_status(goal.budget, chosen, baseline),
        beyond=_beyond(goal.budget, chosen, baseline),
    )


def _chosen(options: Sequence[Checked], student: Deployed, choice: Choice) -> int:
    return options.index(next(each for each in student.artifacts if each.artifact.variant == choice.variant))


def _meets(budget: Budget, measurement: Measurement, reference: Measurement) -> bool:
    limits = judge(budget.only(lambda needs: not needs.trained), measurement, reference).limits
    return all(limit.status in ("pass", "not measured") for limit in limits)


def _beyond(budget: Budget, measurement: Measurement, reference: Measurement) -> float:
    limits = judge(budget.only(lambda needs: needs.guides_search), measurement, reference).limits
    return max((limit.observed / limit.limit - 1 for limit in limits if limit.observed is not None), default=0.0)


def _measured(
    run: Run, goal: Goal, options: Sequence[Checked], student: Deployed
) -> tuple[tuple[Measurement, ...], Choice]:
    """The measurement of each option and the choice by them: measured again, longer, where that is inconclusive."""
    launches, reference, budget = goal.protocol.launches, options[0], goal.budget
    artifacts = [option.artifact for option in options]
    if goal.device is None:
        nothing = tuple(unmeasured(one, target=goal.target, protocol=goal.protocol) for one in artifacts)
        return nothing, select(budget, reference, student, ())
    run.progress.stage("measure", f"measuring {len(options)} artifacts in turns")
    for count in (launches, _LONGER * launches):
        measurements = goal.measured(run, artifacts, launches=count)
        theirs = [measurements[options.index(each)] for each in student.artifacts]
        choice = select(budget, reference, student, [measurements[0], *theirs])
        chosen = measurements[_chosen(options, student, choice)]
        if latency_status(budget, chosen, measurements[0]) != "inconclusive":
            break
        if count == launches:
            run.progress.note(f"the latency of {choice.artifact} is too close to the limit to decide: measuring longer")
    return measurements, choice
