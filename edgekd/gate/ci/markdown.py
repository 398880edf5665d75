"""A verdict as Markdown, for a job's summary or a comment on a merge request."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from edgekd.gate.ci._findings import figure, plain
from edgekd.gate.evidence import launches
from edgekd.gate.judge import Judged, Outcome, Unjudged
from edgekd.measuring import summary
from edgekd.measuring.disturbance import spoiled
from edgekd.values import Interval, LimitVerdict, Measurement, Status, Verdict

HELP = "Write a summary in Markdown."
OPTION: Final = "file"

_MARKS: dict[Status, str] = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "not measured": "➖", "invalid": "⚠️"}

# GitHub refuses a summary of more than 1 MiB as a whole: with these it stays below, whatever the names hold
_LONGEST_TEXT = 300
_MOST_LINES = 30
_LONGEST = 900_000  # bytes, of several verdicts

_MARKUP = re.compile(r"[\\`*_~\[\]|$<>&@#!]|:(?=//)")
_REFERENCES = "@#!&:"


def text(outcomes: Sequence[Outcome], *, tolerate: bool) -> str:
    """Each verdict with its limits and their evidence, and folded away what was measured and how.

    Of very many devices not all are shown, and of each at most 30 limits and 30 reasons. The figures of a measurement
    are left out if they aren't the target's, or are invalid.
    """
    sections: list[str] = []
    for outcome in outcomes:
        sections.append(_section(outcome))
        if len(sections) > 1 and sum(len(section.encode()) for section in sections) > _LONGEST:
            return "\n".join([*sections[:-1], f"and {len(outcomes) - len(sections) + 1} more devices\n"])
    return "\n".join(sections)


def _section(outcome: Outcome) -> str:
    if isinstance(outcome, Unjudged):
        failure = outcome.failure
        title = f"### {_MARKS['invalid']} no verdict on {_text(outcome.device)}: exit code {failure.exit_code}"
        return "\n\n".join([title, _list(map(_text, filter(None, (failure.message, failure.hint))))]) + "\n"
    return _judged(outcome)


def _judged(judged: Judged) -> str:
    verdict = judged.verdict
    about = f"{_text(verdict.artifact)} on budget {_text(verdict.budget)}"
    device = f" on {_text(judged.device)}" if judged.device else ""
    parts = [
        f"### {_MARKS[verdict.status]} {verdict.status}: {about}{device}",
        _limits(verdict.limits[:_MOST_LINES]),
        _list(f"**{limit.status}** {_text(limit.evidence)}" for limit in verdict.limits[:_MOST_LINES]),
        _list(f"**invalid** {_text(reason)}" for reason in verdict.reasons[:_MOST_LINES]),
        _control(verdict.control),
        _details(verdict, judged.measurement, judged.baseline),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _limits(limits: Sequence[LimitVerdict]) -> str:
    if not limits:
        return ""
    rows = [[_text(limit.name), _observed(limit), _budget(limit), limit.status] for limit in limits]
    return _table([["limit", "observed", "budget", "status"], *rows])


def _observed(limit: LimitVerdict) -> str:
    if limit.observed is None:
        return "–"
    bounds = [
        f"{sign} {figure(bound, '')}" for sign, bound in (("≥", limit.low), ("≤", limit.high)) if bound is not None
    ]
    return _text(figure(limit.observed, limit.unit) + (f", {' and '.join(bounds)}" if bounds else ""))


def _budget(limit: LimitVerdict) -> str:
    sign = "≥" if limit.is_floor else "≤"
    return _text(f"{sign} {figure(limit.limit, limit.unit)}")


def _control(control: Interval | None) -> str:
    if control is None:
        return ""
    found = f"{control.estimate:.3f} ({control.low:.3f} to {control.high:.3f} at {_percent(control.confidence)})"
    return f"Control: the baseline ÷ itself, measured as if it were another model, is {found}."


def _details(verdict: Verdict, measurement: Measurement, baseline: Measurement | None) -> str:
    found = [measurement, baseline] if baseline else [measurement]
    # both files often have the same name
    names = [_text(m.artifact.name) + (" (baseline)" if m is baseline else "") for m in found]
    how = [_list(_text(line) for line in summary.conditions(measurement, found)), _protocol(verdict, measurement)]
    if all(m.on_target and m.launches and not spoiled(m) for m in found):
        rows = [[_text(cell) for cell in row] for row in summary.rows(found)[1:]]
        how += [_table([["", *names], *rows]), summary.BOUNDS]
    how.append(_list(f"{name}: {_text(_hashes(m))}" for name, m in zip(names, found, strict=True)))
    return "\n\n".join(["<details><summary>What was measured, and how</summary>", *how, "</details>"])


def _hashes(m: Measurement) -> str:
    return "SHA-256 " + ", ".join(file.sha256 for file in m.artifact.files)


def _protocol(verdict: Verdict, m: Measurement) -> str:
    protocol = m.protocol
    looks = f"{verdict.looks} look{'s' if verdict.looks > 1 else ''}"
    return (
        f"Target {_text(m.target)}; {launches(m)}, {protocol.seconds:g} s timed in each in blocks of "
        f"{protocol.block_seconds:g} s; bounds at {_percent(verdict.confidence)} each, {looks}."
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.5g} %"


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _text(text: str) -> str:
    """Text that is shown as it is, wherever in Markdown it stands: no markup, HTML, links, mentions or formulas."""
    shown = plain(text[:_LONGEST_TEXT])
    return _MARKUP.sub(lambda found: _coded(found[0]), shown) + ("…" if len(text) > _LONGEST_TEXT else "")


def _coded(character: str) -> str:
    # a character reference never is markup: CommonMark, Entity and numeric character references
    coded = f"&#{ord(character)};"
    # @who would be notified, and issue #1, merge request !1 and what a URL leads to would show that they were named:
    # a space of no width prevents it
    return f"{coded}&#8203;" if character in _REFERENCES else coded
