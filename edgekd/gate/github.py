"""Annotations of a GitHub workflow run: lines that its runner takes as commands.

Escaped as in actions/toolkit, packages/core/src/command.ts. GitHub shows ten annotations of a kind for a step.
"""

from edgekd.gate.findings import UNDECIDED, Finding, findings, plain
from edgekd.values import Verdict

_SHOWN = 10


def annotations(verdict: Verdict, *, tolerate: bool) -> str:
    """Workflow commands, one a line: an error for each limit that makes the command fail, or else a notice.

    Args:
        verdict: what is told.
        tolerate: a limit that isn't decided, or wasn't measured, is a warning instead of an error.
    """
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


def failure(message: str, hint: str) -> str:
    """The workflow command for what went wrong before there was a verdict."""
    (line,) = _commands("error", [("edgekd check", "\n".join(filter(None, (plain(message), plain(hint)))))])
    return line


def _message(finding: Finding) -> str:
    return "\n".join([finding.evidence, *finding.reasons])


def _commands(kind: str, told: list[tuple[str, str]]) -> list[str]:
    if len(told) > _SHOWN:
        left_out = len(told) - (_SHOWN - 1)
        told = [*told[: _SHOWN - 1], ("edgekd", f"and {left_out} more that GitHub wouldn't show")]
    return [f"::{kind} title={_property(title)}::{_data(message)}" for title, message in told]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(plain(text)).replace(":", "%3A").replace(",", "%2C")
