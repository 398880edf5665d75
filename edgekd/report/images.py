"""What is said of a run's images."""

from edgekd.report.blocks import Block, Items, Section, Text
from edgekd.report.training import students_trainings
from edgekd.values import Data
from edgekd.values.result import Result


def section(result: Result) -> Section:
    """Which images, how training varied them, and what was found in them."""
    stated, trained = result.recipe.data, result.teacher.training or students_trainings(result)
    blocks: list[Block] = [
        Text(f"`{stated.source}`, prepared as in *Use the model*.{_variation(stated) if trained else ''}")
    ]
    if result.mirrored and trained:
        told = result.mirrored.told()
        blocks.append(Text(f"{told[0].upper()}{told[1:]}."))
    return Section("Data", [*blocks, *([Items(result.data_notes)] if result.data_notes else [])])


def _variation(stated: Data) -> str:
    """What training changed at random."""
    words = []
    if stated.random_resized_crop:
        least, most = stated.random_resized_crop
        words.append(f"{least:.0%} to {most:.0%} of the area cropped and resized")
    words += [f"cropped after padding by {stated.pad} pixels"] if stated.pad else []
    words += ["flipped in every second epoch"] if stated.flip else ["never mirrored"]
    words += [f"rotated by up to {stated.rotate:g}°"] if stated.rotate else []
    changed = {name: by for name, by in stated.jitter if by} if stated.jitter else {}
    words += [f"{name} changed by up to {by:g}" for name, by in changed.items()]
    words += [f"mixed in pairs (mixup, alpha {stated.mixup:g})"] if stated.mixup else []
    return f" At random in training: {'; '.join(words)}."
