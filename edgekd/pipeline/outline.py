"""What a compression will do, phase by phase, before it does it."""

from edgekd.pipeline.forecast import Phase
from edgekd.pipeline.goal import Goal
from edgekd.steps._read import trainings
from edgekd.values import MeasuringProtocol, Recipe


def phases(recipe: Recipe, goal: Goal, images: int, variants: int) -> tuple[Phase, ...]:
    """The phases of a compression.

    Args:
        recipe: settled.
        goal: with the device, if there is one.
        images: training images.
        variants: how many there may be of each network.
    """
    own, measured = recipe.teacher.epochs or 0, goal.device is not None
    further = sum(own for each in recipe.teachers if not each.weights)
    epochs = sum(training.epochs or 0 for training in trainings(recipe))
    every = f"exported in {variants} variants, each checked"
    in_turns = _session_s(goal.protocol, variants + 1) if measured else 0.0
    once_more = _session_s(goal.protocol, 2) if measured else 0.0
    turns, again = (", then measured in turns", ", and the chosen file measured again") if measured else ("", "")
    trained = f"{own} epochs of {images:,} images, unless it is trained already"
    of_teacher = ("its weights are loaded", 0) if recipe.weights else (trained, own * images)
    found = [
        Phase("teacher", of_teacher[0], ("teacher",), of_teacher[1], "teacher"),
        Phase("reference", every, ("deploy",)),
        Phase("teachers", f"{len(recipe.teachers)} further ones", ("teacher",), further * images, "teacher"),
        Phase("plan", "how much is removed", ("plan", "table")),
        Phase("student", f"{epochs} epochs of {images:,} images", ("repair", "recover"), epochs * images, "recover"),
        Phase("choice", every + turns, ("deploy", "measure"), measuring_s=in_turns, like="reference"),
        Phase("verdict", f"the test set is read once{again}", ("test",), measuring_s=once_more),
    ]
    return tuple(phase for phase in found if phase.name != "teachers" or recipe.teachers)


def _session_s(protocol: MeasuringProtocol, files: int) -> float:
    """At most, unless it takes longer to decide: the warm-up ends early where times are stable."""
    return protocol.launches * files * (protocol.warmup_seconds + protocol.seconds)
