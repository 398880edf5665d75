"""Again: what a trained student says about the plan, and whether another one is trained."""

from edgekd.pipeline.selection import Selection
from edgekd.values import Plan
from edgekd.values.result import Dropped

_LITTLE = 0.1
"""Beyond the limit, as a fraction of it: one step of the staircase brings some percent, and no more."""


def gone(plan: Plan, selection: Selection) -> tuple[str, ...]:
    """The variants, by name, that the plan counted on and that dropped out, if what the student is left with does not
    meet the budget.
    """
    if not plan.feasible or selection.meets or selection.variant in plan.variants:
        return ()
    return tuple(variant for variant in plan.variants if variant not in selection.usable)


def dropped_out(variants: tuple[str, ...], selection: Selection) -> str:
    """That they did, and why, in words."""
    reasons = [(variant, each.why) for variant in variants for each in selection.choice.dropped if _is(each, variant)]
    return f"trained, {' and '.join(f'{variant} dropped out ({why})' for variant, why in reasons)}"


def _is(dropped: Dropped, variant: str) -> bool:
    return dropped.name.endswith(f"-{variant}")


def further(plan: Plan, selection: Selection) -> Plan | None:
    """The plan one step further, where the student misses the latency by so little that one step may do."""
    if not plan.feasible or plan.further is None or selection.latency == "pass" or selection.beyond > _LITTLE:
        return None
    if selection.latency == "fail":
        missed = f"it missed the latency by {selection.beyond:.1%}"
    else:
        missed = "its latency is too close to the limit to decide"
    why = f"{plan.why}; trained, {missed}, so one step further"
    return plan.model_copy(update={"proposal": plan.further, "further": None, "why": why})
