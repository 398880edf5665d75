"""The pilots of the races of losses and learning rates, as a report and the console show them."""

from collections.abc import Sequence

from edgekd.report.blocks import Block, Picture, Table, Text
from edgekd.report.pictures import pairs
from edgekd.report.training import students_trainings
from edgekd.values.race import PilotRecord, RaceRecord
from edgekd.values.result import Result

HEADER = ["pilot", "steps", "validation", "loss", ""]


def races(result: Result) -> list[RaceRecord]:
    """The races of the student's trainings, in order."""
    return [by.race for by in students_trainings(result) if by.race]


def told(race: RaceRecord) -> list[Block]:
    """The table of a race, its result in a sentence, and how far each pilot came in each round."""
    found: list[Block] = [Table(HEADER, pilot_rows(race)), Text(f"The race: {race.told()}.")]
    ran = [pilot for pilot in _ordered(race) if pilot.rounds]
    return [*found, *([_picture(ran, race.winner)] if ran else [])]


def pilot_rows(race: RaceRecord) -> list[list[str]]:
    """A row per pilot, after its last round: those of the second round first, by accuracy."""
    return [_row(pilot, race) for pilot in _ordered(race)]


def _ordered(race: RaceRecord) -> list[PilotRecord]:
    return sorted(race.pilots, key=lambda pilot: (len(pilot.rounds), _correct(pilot)), reverse=True)


def _picture(pilots: Sequence[PilotRecord], winner: str | None) -> Picture:
    """The accuracy of pilots after their first round and their last one."""
    rows = []
    for pilot in pilots:
        rates = [f"{one.accuracy.top1:.2%}" for one in pilot.rounds]
        before, *after = (100 * one.accuracy.top1 for one in pilot.rounds)
        told = f"{pilot.name}: {', then '.join(rates)}"
        rows.append(pairs.Pair(pilot.name, before, after[-1] if after else None, told, marked=pilot.name == winner))
    words = "Validation accuracy of each pilot after the first round (hollow), and of the finalists after the second."
    numbers = [
        [pilot.name, str(number), f"{one.steps:,}", f"{one.accuracy.top1:.2%}", f"{one.loss:.3f}"]
        for pilot in pilots
        for number, one in enumerate(pilot.rounds, 1)
    ]
    table = Table(["pilot", "round", "steps", "validation", "loss"], numbers)
    return Picture(pairs.drawn(rows, "validation accuracy, %", words), words, table)


def _row(pilot: PilotRecord, race: RaceRecord) -> list[str]:
    what = "goes on" if pilot.name == race.winner else "diverged" if pilot.why else ""
    if not pilot.rounds:
        return [pilot.name, "–", "–", "–", what]
    last, steps = pilot.rounds[-1], sum(one.steps for one in pilot.rounds)
    rate = f"{last.accuracy.top1:.2%} (n = {last.accuracy.images:,})"
    return [pilot.name, f"{steps:,}", rate, f"{last.loss:.3f}", what]


def _correct(pilot: PilotRecord) -> int:
    return pilot.rounds[-1].accuracy.correct if pilot.rounds else -1
