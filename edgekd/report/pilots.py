"""The pilots of the races of losses and learning rates, as a report and the console show them."""

from edgekd.report.training import students_trainings
from edgekd.values.race import PilotRecord, RaceRecord
from edgekd.values.result import Result

HEADER = ["pilot", "steps", "validation", "loss", ""]


def races(result: Result) -> list[RaceRecord]:
    """The races of the student's trainings, in order."""
    return [by.race for by in students_trainings(result) if by.race]


def pilot_rows(race: RaceRecord) -> list[list[str]]:
    """A row per pilot, after its last round: those of the second round first, by accuracy."""
    ordered = sorted(race.pilots, key=lambda pilot: (len(pilot.rounds), _correct(pilot)), reverse=True)
    return [_row(pilot, race) for pilot in ordered]


def _row(pilot: PilotRecord, race: RaceRecord) -> list[str]:
    what = "goes on" if pilot.name == race.winner else "diverged" if pilot.why else ""
    if not pilot.rounds:
        return [pilot.name, "–", "–", "–", what]
    last, steps = pilot.rounds[-1], sum(one.steps for one in pilot.rounds)
    rate = f"{last.accuracy.top1:.2%} (n = {last.accuracy.images:,})"
    return [pilot.name, f"{steps:,}", rate, f"{last.loss:.3f}", what]


def _correct(pilot: PilotRecord) -> int:
    return pilot.rounds[-1].accuracy.correct if pilot.rounds else -1
