"""Annotations of a GitHub workflow run: lines that its runner takes as commands.

Escaped as in actions/toolkit, packages/core/src/command.ts. GitHub shows ten annotations of a kind for a step.
"""

from collections.abc import Sequence
from typing import Final

from edgekd.gate.ci import markdown
from edgekd.gate.ci._findings import UNDECIDED, Finding, findings, on, plain
from edgekd.gate.judge import Outcome, Unjudged

HELP = "Annotate on stderr, and add the summary to $GITHUB_STEP_SUMMARY."
OPTION: Final = "switch"

_SHOWN = 10
_KINDS = ("error", "warning", "notice")


def text(outcomes: Sequence[Outcome], *, tolerate: bool) -> str:
    """Workflow commands, one a line: an error for each limit that makes the command fail, or else a notice.

    A limit that isn't decided, or wasn't measured, is a warning instead of an error where that is tolerated.
    """
    annotated = [annotation for outcome in outcomes for annotation in _annotations(outcome, tolerate)]
    by_kind = {kind: [(title, message) for k, title, message in annotated if k == kind] for kind in _KINDS}
    return "\n".join(line for kind, shown in by_kind.items() for line in _commands(kind, shown))


def _annotations(outcome: Outcome, tolerate: bool) -> list[tuple[str, str, str]]:
    """Kind, title and message of each."""
    if isinstance(outcome, Unjudged):
        return [("error", f"edgekd check{on(outcome.device)}", _said(outcome.failure.message, outcome.failure.hint))]
    verdict = outcome.verdict
    about = f"{verdict.artifact} on {verdict.budget}{on(outcome.device)}"
    found = [
        (
            "warning" if tolerate and finding.status in UNDECIDED else "error",
            f"{about}: {finding.name}: {finding.status}",
            _message(finding),
        )
        for finding in findings(verdict)
        if finding.status != "pass"
    ]
    evidence = [plain(limit.evidence) for limit in verdict.limits]
    return found or [("notice", f"{about}: pass", "\n".join(evidence) or "no limits")]


def appended(outcomes: Sequence[Outcome], *, tolerate: bool) -> tuple[str, str]:
    """The Markdown summary, for the file that the runner names in $GITHUB_STEP_SUMMARY."""
    return "GITHUB_STEP_SUMMARY", markdown.text(outcomes, tolerate=tolerate)


def failure(message: str, hint: str) -> str:
    """The workflow command for what went wrong before there was a verdict."""
    (line,) = _commands("error", [("edgekd check", _said(message, hint))])
    return line


def _said(message: str, hint: str) -> str:
    return "\n".join(filter(None, (plain(message), plain(hint))))


def _message(finding: Finding) -> str:
    return "\n".join([finding.evidence, *finding.reasons])


def _commands(kind: str, shown: list[tuple[str, str]]) -> list[str]:
    if len(shown) > _SHOWN:
        left_out = len(shown) - (_SHOWN - 1)
        shown = [*shown[: _SHOWN - 1], ("edgekd", f"and {left_out} more that GitHub wouldn't show")]
    return [f"::{kind} title={_property(title)}::{_data(message)}" for title, message in shown]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(plain(text)).replace(":", "%3A").replace(",", "%2C")
