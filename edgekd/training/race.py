"""The race: which losses a network learns best with, found by short trainings.

Pilots with several losses at two learning rates each, all on the same augmented images, take a share of the training's
steps, in two rounds of about equal cost (successive halving: K. Jamieson, A. Talwalkar, arXiv:1502.07943). The
first round has all of them, the second the best with labels alone, the best with the teacher, and the best of the
others, each from where it was. The best of these goes on for the rest of the steps. Each part has its own learning-rate
schedule down to 0, and averaged weights are judged, by the accuracy on validation images. If it doesn't tell pilots
apart, the lower loss wins.

Pilots choose the losses; they can't choose the rate, since in few steps low rates win that lose in many. A repaired
MobileNetV1 (width 0.5, 60 % pruned) on Fashion-MNIST has 87 % right after 28 steps at 0.028, and 50 % at 0.055. Yet
over 780 steps (width 0.25, 50 % pruned, 10,000 images, half labels and half teacher) the test accuracies at 0.02, 0.05,
0.1 and 0.15 are 83.57, 84.38, 84.91 and 84.72 %. So the best goes on at the rate of `training.rate`, or at its own if a
pilot diverged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgekd.data.dataset import Dataset, fingerprinted
from edgekd.run import Run
from edgekd.training.evaluate import Judged
from edgekd.training.pilot import Piloted, PilotInputs, train_pilot
from edgekd.training.schedule import Part, steps_per_epoch
from edgekd.training.stage import TrainingInputs, time_execution
from edgekd.values import Accuracy, Losses, Recovery
from edgekd.values.defaults import training_for
from edgekd.values.losses import HALF_AND_HALF, LABELS_ALONE
from edgekd.values.race import PilotRecord, PilotRound, RaceRecord, TrainedBy
from edgekd.values.training import Execution

_RATES = (0.25, 1.0)
"""Of the rate of `training.rate`: one that disturbs a network little in few steps, and the one that goes on."""
_MIXUP = 0.2
_FINALISTS = 3
FEWEST_STEPS = 20
"""Of a pilot in the first round: fewer can't tell recipes apart, so a shorter training has no race."""


@dataclass(frozen=True)
class Rounds:
    """How many steps a pilot has in each round, and how many are left for the winner."""

    first: int
    second: int
    rest: int


@dataclass(frozen=True)
class Raced:
    """The training that goes on."""

    inputs: TrainingInputs
    by: TrainedBy


@dataclass(frozen=True)
class _Pilot:
    record: PilotRecord
    inputs: TrainingInputs
    found: Piloted | None = None
    """Of the last round."""


def rounds(settings: Recovery, data: Dataset) -> Rounds | None:
    """The rounds of a race in a training with these settings; None if it is too short for one, or none is wanted."""
    complete = training_for(settings, (len(data.train), *data.train.shape))
    assert complete.epochs is not None
    assert complete.batch_size is not None
    steps = complete.epochs * steps_per_epoch(len(data.train), complete.batch_size)
    share, pilots = round(settings.race * steps), len(_recipes(data)) * len(_RATES)
    first = share // (2 * pilots)
    if first < FEWEST_STEPS:
        return None
    second = (share - pilots * first) // _FINALISTS
    return Rounds(first, second, steps - pilots * first - _FINALISTS * second)


def race(run: Run, inputs: TrainingInputs, found: Rounds, rate: float) -> Raced:
    """The training that goes on with the rest of the steps, from where the best pilot is.

    Args:
        run: stores the pilots, each in a stage of its own.
        inputs: of the whole training; its settings have no losses and no learning rate.
        found: how many steps there are.
        rate: the learning rate around which pilots are tried.
    """
    assert isinstance(inputs.settings, Recovery)
    default = decided(inputs, HALF_AND_HALF, rate)
    execution = run.stage("execution", default, time_execution)
    ways = execution.model_dump(exclude={"images_per_second"})
    default = replace(default, settings=default.settings.model_copy(update=ways))
    quick = execution.model_copy(update={"compiled": False, "images_per_second": {}})
    pilots = [
        _Pilot(
            PilotRecord(name=f"{name} at {each:g}", losses=losses, learning_rate=each, mixup=mixup),
            _mixed(decided(default, losses, each), mixup),
        )
        for name, (losses, mixup) in _recipes(inputs.data).items()
        for each in (float(f"{factor * rate:.2g}") for factor in _RATES)
    ]
    per_epoch = steps_per_epoch(len(inputs.data.train), default.settings.batch_size or 1)
    views = -(-found.first // per_epoch)
    run.progress.note(
        f"race: {len(pilots)} pilots of {found.first} steps, the best {_FINALISTS} of {found.second} more"
    )
    pilots = [_piloted(run, pilot, Part(found.first), quick) for pilot in pilots]
    chosen = _finalists(pilots)
    again = {id(one): _piloted(run, one, Part(found.second, views), quick) for one in chosen}
    views += -(-found.second // per_epoch)
    seconds = sum(one.found.seconds for one in (*pilots, *again.values()) if one.found)
    raced = _result(default, [again.get(id(one), one) for one in pilots], Part(found.rest, views), seconds)
    assert raced.by.race is not None
    run.progress.note(f"race: {raced.by.race.told()}")
    run.progress.note(f"race: goes on with {raced.by.told()}")
    return raced


def _recipes(data: Dataset) -> dict[str, tuple[Losses, float]]:
    """The losses that are tried and the alpha of their mixup, by name; data that are mixed anyway need no such one."""
    found = {"labels alone": (LABELS_ALONE, 0.0), "half labels, half teacher": (HALF_AND_HALF, 0.0)}
    if not data.augmentation.mixup:
        found["half labels, half teacher with mixup"] = HALF_AND_HALF, _MIXUP
    return found


def decided(inputs: TrainingInputs, losses: Losses, rate: float) -> TrainingInputs:
    """The training with these losses at this learning rate, without a race."""
    chosen = {"losses": losses, "learning_rate": rate, "race": 0.0}
    return replace(inputs, settings=inputs.settings.model_copy(update=chosen))


def _mixed(inputs: TrainingInputs, mixup: float) -> TrainingInputs:
    """The training on mixed images."""
    if not mixup:
        return inputs
    data = inputs.data
    return replace(inputs, data=fingerprinted(replace(data, augmentation=replace(data.augmentation, mixup=mixup))))


def _piloted(run: Run, pilot: _Pilot, part: Part, execution: Execution) -> _Pilot:
    """The pilot after another round, from where it was."""
    start = pilot.found.network if pilot.found and pilot.found.network else pilot.inputs.network
    inputs = replace(pilot.inputs, network=start, part=part)
    found = run.stage("pilot", PilotInputs(inputs, execution), train_pilot)
    if found.network:
        found = found.model_copy(update={"network": found.network.called(start.architecture)})
    if found.judged is None:
        run.progress.note(f"race: {pilot.record.name} is given up: {found.why}")
        return replace(pilot, record=pilot.record.model_copy(update={"why": found.why}), found=found)
    score = found.judged
    accuracy = Accuracy(correct=score.correct, images=score.images, dataset=inputs.data.name, split="val")
    done = PilotRound(steps=part.steps, accuracy=accuracy, loss=score.loss)
    record = pilot.record.model_copy(update={"rounds": (*pilot.record.rounds, done)})
    return replace(pilot, record=record, found=found)


def _finalists(pilots: Sequence[_Pilot]) -> list[_Pilot]:
    """The best one with labels alone, the best one with the teacher, and the best of the others."""
    left = [pilot for pilot in pilots if pilot.found and pilot.found.judged]
    chosen: list[_Pilot] = []
    for wanted in (lambda one: not one.record.has_teacher, lambda one: one.record.has_teacher, lambda _: True):
        if some := [pilot for pilot in left if wanted(pilot)]:
            chosen.append(_best(some))
            left.remove(chosen[-1])
    return chosen


def _best(pilots: Sequence[_Pilot]) -> _Pilot:
    """The one with the lowest loss of those that the most accurate one doesn't beat."""
    leader = max(pilots, key=lambda pilot: (_judged(pilot).correct, -_judged(pilot).loss))
    tied = [pilot for pilot in pilots if not _judged(leader).beats(_judged(pilot))]
    return min(tied, key=lambda pilot: _judged(pilot).loss)


def _judged(pilot: _Pilot) -> Judged:
    assert pilot.found is not None
    assert pilot.found.judged is not None
    return pilot.found.judged


def _result(default: TrainingInputs, pilots: Sequence[_Pilot], part: Part, seconds: float) -> Raced:
    """The training that goes on for a part, by the best pilot of the second round, else by the defaults."""
    finished = [one for one in pilots if len(one.record.rounds) == 2 and not one.record.why]
    best = _best(finished) if finished else None
    records = tuple(pilot.record for pilot in pilots)
    record = RaceRecord(pilots=records, winner=best.record.name if best else None, seconds=seconds)
    rate = default.settings.learning_rate
    assert rate is not None
    if best is None:
        by = TrainedBy(losses=HALF_AND_HALF, learning_rate=rate, race=record)
        return Raced(replace(default, part=part), by)
    if any(pilot.record.why for pilot in pilots):
        rate = best.record.learning_rate
    assert best.found is not None
    assert best.found.network is not None
    inputs = replace(decided(best.inputs, best.record.losses, rate), network=best.found.network, part=part)
    by = TrainedBy(losses=best.record.losses, learning_rate=rate, mixup=best.record.mixup, race=record)
    return Raced(inputs, by)
