"""What each step of a recipe brought, as a report and the console show it."""

from edgekd.values import Accuracy
from edgekd.values.result import Result

HEADER = ["step", "what", "validation", "points"]


def brought_rows(result: Result) -> list[list[str]]:
    """A row per step, after the network that the student began as, and before the chosen file; none without steps.
    Points are those since the last row that was kept.
    """
    if not result.brought:
        return []
    before = result.teacher.accuracy if result.recipe.student is None else None
    rows = [["–", "the original network", _rate(before), "–"]] if before else []
    for one in result.brought:
        what = one.what if one.kept else f"{one.what}; not kept"
        rows.append([one.step, f"{what}: {one.note}" if one.note else what, *_since(before, one.accuracy)])
        before = one.accuracy if one.kept else before
    chosen = next(tried for tried in result.tried if tried.name == result.choice.artifact)
    return [*rows, ["file", chosen.artifact.variant.name, *_since(before, chosen.val)]]


def _since(before: Accuracy | None, now: Accuracy) -> list[str]:
    return [_rate(now), f"{100 * (now.top1 - before.top1):+.2f}" if before else "–"]


def _rate(accuracy: Accuracy) -> str:
    return f"{accuracy.top1:.2%} (n = {accuracy.images:,})"
