"""Annotations of a GitHub workflow run: lines that its runner takes as commands.

Escaped as in actions/toolkit, packages/core/src/command.ts. GitHub shows ten annotations of a kind for a step.
"""

from typing import Final

from edgekd.gate.ci import markdown
from edgekd.gate.ci._findings import UNDECIDED, Finding, findings, plain
from edgekd.gate.judge import Judged

HELP = "Annotate on stderr, and add the summary to $GITHUB_STEP_SUMMARY."
OPTION: Final = "switch"

_SHOWN = 10


def text(judged: Judged, *, tolerate: bool) -> str:
    """Workflow commands, one a line: an error for each limit that makes the command fail, or else a notice.

    A limit that isn't decided, or wasn't measured, is a warning instead of an error where that is tolerated.
    """
    verdict = judged.verdict
    about = f"{verdict.artifact} on {verdict.budget}"
    errors: list[tuple[str, str]] = []
    warnings: list[tuple[str, str]] = []
    for finding in findings(verdict):
        if finding.status != "pass":
            kind = warnings if tolerate and finding.status in UNDECIDED else errors
            kind.append((f"{about}: {finding.name}: {finding.status}", _message(finding)))
    lines = _commands("error", errors) + _commands("warning", warnings)
    if not lines:
        evidence = [plain(limit.evidence) for limit in verdict.limits]
        lines = _commands("notice", [(f"{about}: pass", "\n".join(evidence) or "no limits")])
    return "\n".join(lines)


def appended(judged: Judged, *, tolerate: bool) -> tuple[str, str]:
    """The Markdown summary, for the file that the runner names in $GITHUB_STEP_SUMMARY."""
    return "GITHUB_STEP_SUMMARY", markdown.text(judged, tolerate=tolerate)


def failure(message: str, hint: str) -> str:
    """The workflow command for what went wrong before there was a verdict."""
    (line,) = _commands("error", [("edgekd check", "\n".join(filter(None, (plain(message), plain(hint)))))])
    return line


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
