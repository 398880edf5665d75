"""The race of a training: pilots with several losses and learning rates, of which the best goes on."""

from edgekd.values.losses import LABELS_ALONE, NAMED, Losses
from edgekd.values.measurement import Accuracy
from edgekd.values.value import NonNegative, Positive, PositiveInt, Value


class PilotRound(Value):
    """A pilot after one round of the race."""

    steps: PositiveInt
    """Of this round."""
    accuracy: Accuracy
    """Of its averaged weights, on the validation images."""
    loss: float
    """Mean cross-entropy of the same images."""


class PilotRecord(Value):
    """A short training of the race."""

    name: str
    losses: Losses
    learning_rate: Positive
    mixup: NonNegative = 0.0
    """As `Data.mixup`, where only this pilot mixes images."""
    rounds: tuple[PilotRound, ...] = ()
    """Those that it took part in; the best pilots of the first round take part in the second."""
    why: str = ""
    """Why it was given up, if it diverged."""

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher takes part."""
        return self.losses != LABELS_ALONE


class RaceRecord(Value):
    """What the pilots of a race found."""

    pilots: tuple[PilotRecord, ...]
    winner: str | None
    """The name of the pilot that goes on; None where all diverged, and the defaults were taken."""
    seconds: NonNegative
    """Training time of all pilots."""

    @property
    def steps(self) -> int:
        """Steps of all pilots."""
        return sum(one.steps for pilot in self.pilots for one in pilot.rounds)

    def told(self) -> str:
        """The result in a sentence."""
        if self.winner is None:
            return "all pilots diverged"
        best = next(pilot for pilot in self.pilots if pilot.name == self.winner)
        others = [pilot for pilot in self.pilots if pilot.has_teacher != best.has_teacher]
        finalists = [pilot for pilot in others if len(pilot.rounds) == len(best.rounds)]
        rival = max(finalists, key=lambda pilot: pilot.rounds[-1].accuracy.correct, default=None)
        beside = f"; {_numbers(rival)}" if rival else ""
        end = "" if best.has_teacher else "; distillation brought nothing here"
        return f"{_numbers(best)}{beside}{end}"


def _numbers(pilot: PilotRecord) -> str:
    last = pilot.rounds[-1]
    return f"{pilot.name}: {last.accuracy.top1:.2%} of {last.accuracy.images:,} validation images, loss {last.loss:.3f}"


class TrainedBy(Value):
    """What a training minimised, and how fast."""

    losses: Losses
    learning_rate: Positive
    """The highest of its schedule, as it was chosen."""
    mixup: NonNegative = 0.0
    """As `Data.mixup`, where the race chose it."""
    race: RaceRecord | None = None
    """Which chose them; None where they were stated, or the training is too short for a race."""
    kept: bool = True
    """Whether the training's weights were kept; else those before it, which are more accurate."""

    def told(self) -> str:
        """What was minimised and how fast, in a few words."""
        names = {name: losses for name, losses in NAMED.items() if losses == self.losses}
        what = next(iter(names), " + ".join(self.losses)) + (" with mixup" if self.mixup else "")
        return f"{what}, learning rate {self.learning_rate:g}"
