"""A verdict: each limit as a bullet on its scale, with its bounds and its margin, and what to do next."""

from edgekd.report import svg
from edgekd.report.advice import next_steps
from edgekd.report.blocks import Block, Drawn, Items, Section, Table, Text
from edgekd.report.cells import number
from edgekd.report.markup import Markup
from edgekd.values import LimitVerdict, Verdict

_HEADER = ["limit", "verdict", "observed", "budget", "margin", "evidence"]
_BEYOND = 1.25
"""The end of a scale, as a multiple of the largest of its values."""


def section(verdict: Verdict) -> Section:
    """The verdict with its evidence, what stands against it, and what to do where it isn't a pass."""
    blocks: list[Block] = [Table(_HEADER, [_row(limit) for limit in verdict.limits])]
    if verdict.reasons:
        blocks.append(Items(verdict.reasons))
    if steps := next_steps(verdict):
        blocks += [Text("**What to do next**"), Items(steps)]
    return Section("Verdict", [*blocks, *_control(verdict)])


def _row(limit: LimitVerdict) -> list[str | Drawn]:
    budget = f"{'≥' if limit.is_floor else '≤'} {number(limit.limit, limit.unit)}"
    return [f"`{limit.name}`", limit.status, _observed(limit), budget, margin(limit), limit.evidence]


def margin(limit: LimitVerdict) -> str:
    """How far what was observed is within its limit, or beyond it: in points where that is its unit, else relative."""
    if limit.observed is None:
        return "–"
    room = limit.observed - limit.limit if limit.is_floor else limit.limit - limit.observed
    if limit.name.startswith("accuracy."):
        shown = f"{abs(room if limit.unit == 'points' else 100 * room):.2f} points"
    else:
        shown = f"{abs(room) / limit.limit:.1%}" if limit.limit else number(abs(room), limit.unit)
    return f"{shown} {'within' if room >= 0 else 'beyond'}"


def _observed(limit: LimitVerdict) -> str | Drawn:
    if limit.observed is None:
        return "–"
    low, high = ("" if bound is None else number(bound, "") for bound in (limit.low, limit.high))
    bounds = f" [{low}, {high}]" if low or high else ""
    return Drawn(f"{number(limit.observed, limit.unit)}{bounds}", _bullet(limit, limit.observed))


def _bullet(limit: LimitVerdict, observed: float) -> Markup:
    """What is allowed and what isn't, the interval, what was observed and the limit, on one scale."""
    bounds = [bound for bound in (limit.low, limit.high) if bound is not None]
    known = [observed, limit.limit, *bounds]
    low, high = min(0.0, *(_BEYOND * value for value in known)), max(_BEYOND * max(known), 1e-9)
    ends = [(value - low) / (high - low) for value in (limit.limit, observed, *bounds)]
    sides = ("beyond", "allowed") if limit.is_floor else ("allowed", "beyond")
    ground = [(0.0, ends[0], sides[0]), (ends[0], 1.0, sides[1])]
    within = [(ends[2], ends[3], "kept")] if len(bounds) == 2 else []
    return svg.bar([*ground, *within], [(ends[0], "at-limit"), (ends[1], "at")])


def _control(verdict: Verdict) -> list[Block]:
    if verdict.control is None:
        return []
    found = verdict.control
    level = f"{100 * found.confidence:.5g} %"
    looks = f"{verdict.looks} look{'s' if verdict.looks > 1 else ''} at growing data"
    return [
        Text(
            f"Control: the reference beside itself, measured as if it were another model, took {found.estimate:.3f} "
            f"[{found.low:.3f}, {found.high:.3f}] of its own latency at {level}. The verdict was reached after {looks}."
        )
    ]
