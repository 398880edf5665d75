"""For how many epochs an arm trains so that it takes as long as another, found by timing a few batches of each."""

import os
import platform
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from edgekd.data.subset import subset
from edgekd.errors import EdgekdError
from edgekd.store import Store, cache_key, key_of, remembered
from edgekd.studies._base import Arm, Settings, Study
from edgekd.studies.run.cells import pruned_and_trained, seconds_of
from edgekd.studies.run.teachers import Teachers
from edgekd.values import PositiveInt, Value

_BATCHES = 10
_EPOCHS = 2
"""That are timed: one of each of two steps."""


class Epochs(Value):
    """The epochs of an arm."""

    epochs: PositiveInt
    why: str


def as_long_settings(teachers: Teachers, found: Study, arm: Arm, other: Arm) -> Settings:
    """An arm's settings with as many epochs, over all of its steps, as take the other arm's time.

    For the timing, both run their teacher again, as a single training would. The teacher's own training isn't counted.
    """
    run = teachers.run
    supervision = key_of(teachers.of(arm.settings).supervision)
    here = platform.node(), platform.processor(), os.cpu_count()
    key = cache_key({"arm": arm, "other": other, "supervision": supervision, "machine": here})[:12]
    path = run.run.store.root / "matched" / f"epochs-{key}.json"
    chosen = remembered(path, Epochs, lambda: _epochs(teachers, found, arm, other))
    run.run.progress.note(f"{arm.name}: {chosen.why}")
    return _of_epochs(teachers, found, arm, chosen.epochs)


def _epochs(teachers: Teachers, found: Study, arm: Arm, other: Arm) -> Epochs:
    teachers.run.run.progress.stage("match", f"{arm.name}: timing its epochs")
    asked, own = (_seconds(teachers, _of_epochs(teachers, found, one, _EPOCHS)) for one in (other, arm))
    epochs = max(1, round(teachers.run.plan.scale.epochs * asked / own))
    return Epochs(epochs=epochs, why=f"{epochs} epochs, as one takes {own / asked:.2f} times one of {other.name}")


def _of_epochs(teachers: Teachers, found: Study, arm: Arm, epochs: int) -> Settings:
    """The settings of the arm for so many epochs in all."""
    scale = teachers.run.plan.scale.model_copy(update={"epochs": epochs})
    (again,) = (one for one in found.arms(scale) if one.name == arm.name)
    chosen = {key: arm.settings[key] for choice in arm.choices[:1] for key in choice}
    return {**again.settings, **chosen, "recover.epochs": epochs}


def _seconds(teachers: Teachers, settings: Settings) -> float:
    """What the trainings of an arm take on a few images; nothing of it is kept."""
    arm, teacher = teachers.run.arm(settings, 0), teachers.of(settings)
    batch_size = arm.recipe.recover.batch_size
    assert batch_size is not None, "filled in when the recipe was settled"
    images = _BATCHES * batch_size
    with suppress(EdgekdError):  # of a user's own kind of data no part can be taken
        arm = replace(arm, data=subset(arm.data, train_per_class=-(-images // len(arm.data.classes))))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        own = replace(arm.run, store=store, shared=store)
        network = pruned_and_trained(replace(arm, recipe=teacher.recipe(arm.recipe), run=own), teacher)
    return seconds_of(network, teacher)
