"""Again: what a trained student says about the plan, and whether another one is trained."""

from edgekd.pipeline.finish import Finished
from edgekd.values.result import Plan

_LITTLE = 0.1
"""Beyond the limit, as a fraction of it: one step of the staircase brings some percent, and no more."""


def gone(plan: Plan, finished: Finished) -> tuple[str, ...]:
    """The precisions that the plan counted on and that dropped out, if what the student is left with doesn't meet the
    budget.
    """
    if not plan.feasible or finished.meets or finished.precision in plan.precisions:
        return ()
    return tuple(precision for precision in plan.precisions if precision not in finished.usable)


def dropped_out(precisions: tuple[str, ...]) -> str:
    """That they did, in words."""
    return f"trained, {' and '.join(precisions)} failed its check or lost too much accuracy"


def further(plan: Plan, finished: Finished) -> Plan | None:
    """The plan one step further, where the student misses the latency by so little that one step may do."""
    ratio = plan.further()
    if not plan.feasible or ratio is None or finished.latency == "pass" or finished.beyond > _LITTLE:
        return None
    if finished.latency == "fail":
        missed = f"it missed the latency by {finished.beyond:.1%}"
    else:
        missed = "its latency is too close to the limit to tell"
    return plan.model_copy(update={"ratio": ratio, "why": f"{plan.why}; trained, {missed}, so one step further"})
