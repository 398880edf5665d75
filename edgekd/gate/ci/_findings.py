"""What a verdict says, in plain text, for those who write it down for others to read."""

from dataclasses import dataclass

from edgekd.values import Status, Verdict

UNDECIDED: tuple[Status, ...] = ("inconclusive", "not measured")
"""What `--on-inconclusive` may let pass."""


@dataclass(frozen=True)
class Finding:
    """A limit, how it was judged and why; or, as "measurement", why the whole of it is worth nothing."""

    name: str
    status: Status
    evidence: str
    reasons: tuple[str, ...] = ()


def findings(verdict: Verdict) -> list[Finding]:
    """One for each limit, and one for the verdict where no limit explains it: a file's size is what it is, but if the
    measurement is invalid, so is the verdict.
    """
    found = []
    for limit in verdict.limits:
        unsaid = tuple(plain(reason) for reason in verdict.reasons if reason not in limit.evidence)
        reasons = unsaid if limit.status == "invalid" else ()
        found.append(Finding(plain(limit.name), limit.status, plain(limit.evidence), reasons))
    if verdict.status != "pass" and verdict.status not in {finding.status for finding in found}:
        reasons = tuple(plain(reason) for reason in verdict.reasons)
        evidence = reasons[0] if reasons else f"the verdict is {verdict.status}"
        found.append(Finding("measurement", verdict.status, evidence, reasons[1:]))
    return found


def on(device: str) -> str:
    """What names a device after an artifact; nothing where there is only one."""
    return f" on {plain(device)}" if device else ""


def plain(text: str) -> str:
    """Text on one line of printable characters. Names come from files: they may hold line breaks, control characters,
    marks that turn the writing round, and bytes that aren't text.
    """
    shown = (c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return " ".join("".join(shown).split())


def figure(value: float, unit: str) -> str:
    """A number to four digits, with its unit; bytes and large numbers in full."""
    number = f"{value:,.0f}" if unit == "bytes" or abs(value) >= 1e4 else f"{value:.4g}"
    return f"{number} {unit}".rstrip()
