"""A verdict as a page: one HTML file that needs nothing else."""

from collections.abc import Sequence
from typing import Final

from edgekd.gate.judge import Judged, Outcome, Unjudged, exit_code
from edgekd.gate.status import worst
from edgekd.report.blocks import Document, Section, Table
from edgekd.report.gated import sections
from edgekd.report.page import page

HELP = "Write a page (HTML), the verdict first."
OPTION: Final = "file"


def text(outcomes: Sequence[Outcome], *, tolerate: bool) -> str:
    """The whole page: of several devices first how each came out."""
    if len(outcomes) == 1 and isinstance(outcomes[0], Judged):
        verdict = outcomes[0].verdict
        title = f"{verdict.artifact} on budget {verdict.budget}"
        return page(Document(title, _sections(outcomes[0]), verdict.status))
    status = worst(*(one.verdict.status if isinstance(one, Judged) else "not measured" for one in outcomes))
    every = [_devices(outcomes), *(section for one in outcomes for section in _sections(one))]
    return page(Document(f"Verdicts on {len(outcomes)} devices", every, status))


def _sections(outcome: Outcome) -> list[Section]:
    if isinstance(outcome, Unjudged):
        return []
    return sections(outcome.verdict, outcome.measurement, outcome.baseline, outcome.device)


def _devices(outcomes: Sequence[Outcome]) -> Section:
    rows = [[one.device, *_came_out(one), str(int(exit_code(one)))] for one in outcomes]
    return Section("Devices", [Table(["device", "verdict", "why", "exit code"], rows)])


def _came_out(outcome: Outcome) -> tuple[str, str]:
    if isinstance(outcome, Unjudged):
        return "not measured", ": ".join(filter(None, (outcome.failure.message, outcome.failure.hint)))
    verdict = outcome.verdict
    missed = [one.evidence for one in verdict.limits if one.status != "pass"]
    return verdict.status, "; ".join([*verdict.reasons, *missed])
