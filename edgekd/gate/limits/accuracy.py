"""Top-1 accuracy on the test set: a floor, or the most that may be lost against the baseline on the same images.

It has no bounds: on a given test set it is a count, not a sample of one.
"""

from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated

from pydantic import Field

from edgekd.gate.evidence import Threshold, counted, unmeasured
from edgekd.gate.limits._base import Given, Needs
from edgekd.values import Accuracy, LimitVerdict, Measurement, Value

_GIVEN_UP = Decimal("0.01")


class Settings(Value):
    """Top-1 accuracy on the test set: a floor, or the most that may be lost against the baseline."""

    min_top1: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    """The fraction of the test images that must be classified correctly."""
    max_drop_pp: Annotated[float, Field(ge=0, le=100, strict=True)] | None = None
    """Percentage points of top-1 accuracy that may be lost against the baseline, on the same images."""


def needs(settings: Settings) -> Needs:
    """A drop needs the baseline, which may have been evaluated at another time."""
    return Needs(baseline="max_drop_pp" if settings.max_drop_pp is not None else None, trained=True)


def judge(settings: Settings, given: Given) -> Iterator[LimitVerdict]:
    """By counting right answers."""
    found = given.measurement.accuracy
    if settings.min_top1 is not None:
        yield _floor(found, settings.min_top1)
    if settings.max_drop_pp is not None and given.baseline:
        yield _drop(found, given.baseline.accuracy, settings.max_drop_pp)


def start(measurement: Measurement, headroom: float) -> Iterator[str]:
    """One point below."""
    found = measurement.accuracy
    if not found:
        return
    floor = (Decimal(found.correct) / found.images - _GIVEN_UP).quantize(Decimal("0.0001"), ROUND_FLOOR)
    if floor > 0:
        yield "\n[accuracy] # fraction of the images that are classified correctly"
        yield f"min_top1 = {floor} # measured {found.top1:.6g}, less one point, whatever the headroom"


def _floor(found: Accuracy | None, min_top1: float) -> LimitVerdict:
    threshold = Threshold("accuracy.min_top1", "top-1 accuracy", min_top1)
    if found is None:
        return unmeasured(threshold, "none in this measurement")
    evidence = f"{threshold.what} {found.top1:.4f} {_images(found)}"
    return counted(threshold, found.top1, evidence, within=found.top1 >= min_top1)


def _drop(found: Accuracy | None, baseline: Accuracy | None, max_drop_pp: float) -> LimitVerdict:
    threshold = Threshold("accuracy.max_drop_pp", "top-1 accuracy lost", max_drop_pp, "points")
    if found is None or baseline is None:
        whose = "this measurement" if found is None else "the baseline"
        return unmeasured(threshold, f"{whose} has no accuracy")
    if (found.dataset, found.split, found.images) != (baseline.dataset, baseline.split, baseline.images):
        return unmeasured(threshold, f"measured {_images(found)}, but the baseline {_images(baseline)}")
    drop = 100 * (baseline.correct - found.correct) / found.images
    change = f"{100 * baseline.top1:.2f} % to {100 * found.top1:.2f} %"
    moved = f"lost {drop:.2f}" if drop >= 0 else f"gained {-drop:.2f}"
    return counted(threshold, drop, f"top-1 accuracy {moved} points ({change}) {_images(found)}")


def _images(accuracy: Accuracy) -> str:
    return f"on {accuracy.images:,} images of {accuracy.dataset} {accuracy.split}"
