"""What a study will do, before it does: its arms, its cells, and about how long they take."""

from collections.abc import Mapping

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.studies._base import STUDIES, Arm, Scale, Study, structural
from edgekd.studies._results import Overview

_OTHERS = 200
"""Images a second that a network trains whose study doesn't say."""
_WANTED = 3.5
"""Times as many images a second as it trains, a network computes outputs for."""
_DIGITS = 1.5
"""Times as many images of the digits' 16×16 pixels a second, in smaller batches."""

_CELL_SECONDS = 2.0
"""Time beside the epochs: loading, evaluating, storing."""
_STRUCTURE_SECONDS = 10.0
"""Time to prune, export and measure one structure."""
_COMPARED_SECONDS = 15.0
"""Time to measure one choice beside what it should be as fast as."""
_PLAN_SECONDS = 300.0
"""Time of a search that plans on the device."""


def study(name: str) -> Study:
    """The study of that name.

    Raises:
        EdgekdError: there is none.
    """
    return catalog.load(STUDIES, name)


def scaled(found: Study, name: str, *, epochs: int | None = None, teacher_epochs: int | None = None) -> Scale:
    """The study's scale of that name, with other epochs where they are given.

    Raises:
        EdgekdError: there is no such scale.
    """
    if name not in found.SCALES:
        raise EdgekdError(f"no scale {name!r}", catalog.nearest(name, found.SCALES))
    changes = {"epochs": epochs, "teacher_epochs": teacher_epochs}
    stated = {key: value for key, value in changes.items() if value is not None}
    return found.SCALES[name].model_copy(update=stated)


def overview(name: str, scale: Scale, seeds: int) -> Overview:
    """The study's overview at a scale."""
    found = study(name)
    arms = found.arms(scale)
    return Overview(
        name=name,
        title=found.TITLE,
        paper=found.PAPER,
        published=found.PUBLISHED,
        differs=found.DIFFERS,
        scale=scale,
        seeds=seeds,
        arms=tuple(arm.factors for arm in arms),
        cells=len(arms) * seeds,
        minutes=round(_seconds(arms, scale, seeds, found.IMAGES_PER_SECOND) / 60, 1),
    )


def _seconds(arms: tuple[Arm, ...], scale: Scale, seeds: int, speeds: Mapping[str, float]) -> float:
    faster = _DIGITS if scale.data == "digits" else 1.0
    images = scale.train_images / faster
    lasts = {arm.name: scale.epochs * images * _seconds_an_image(arm, speeds) for arm in arms}
    cells = sum(lasts[arm.as_long_as or arm.name] for arm in arms if _is_trained(arm))
    teachers = {(str(arm.settings["model"]), 0) for arm in arms}
    teachers |= {(further["model"], further["seed"]) for arm in arms for further in arm.settings.get("teachers", ())}
    taught = sum(scale.teacher_epochs * images / speeds.get(model, _OTHERS) for model, _ in teachers)
    made = {repr(structural(arm.settings)): arm for arm in arms}.values()
    measured = sum(_STRUCTURE_SECONDS + _to_choose(arm) for arm in made)
    return seeds * (cells + _CELL_SECONDS * len(arms)) + taught + measured


def _to_choose(arm: Arm) -> float:
    """The seconds until its structure is known."""
    return _PLAN_SECONDS if arm.is_planned else _COMPARED_SECONDS * len(arm.choices).bit_length()


def _seconds_an_image(arm: Arm, speeds: Mapping[str, float]) -> float:
    """To train on it, and to compute the outputs of each teacher for it."""
    student = arm.settings.get("student") or arm.settings["model"]
    teachers = [arm.settings["model"], *(further["model"] for further in arm.settings.get("teachers", ()))]
    asked = teachers if set(arm.settings.get("recover.losses", ())) != {"ce"} else []
    own = 1 / speeds.get(student, _OTHERS)
    return own + sum(1 / (_WANTED * speeds.get(teacher, _OTHERS)) for teacher in asked)


def _is_trained(arm: Arm) -> bool:
    return any(step["do"] in ("distil", "finetune") for step in arm.settings["steps"])
