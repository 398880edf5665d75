"""Measures the noise of a device by comparing a model with itself (A/A)."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from edgekd.devices._base import Device
from edgekd.measuring.artifact import describe
from edgekd.measuring.reference import write_reference
from edgekd.measuring.session import measure
from edgekd.measuring.statistics import confidence_of_look, percentile, ratio
from edgekd.progress import Progress
from edgekd.values import Interval, Measurement, MeasuringProtocol, Target, Value, Variant

_COMPARISONS = 5
_PROTOCOL = MeasuringProtocol(seconds=0.3, block_seconds=0.03, warmup_seconds=1.0)
"""The protocol with which `check` compares two models."""

_ANY_VARIANT = Variant(runtime="any", precision="fp32")
_ANY_TARGET = Target(name="any", title="any", arch="any", reference=_ANY_VARIANT, variants=(_ANY_VARIANT,))
"""The kind of device doesn't matter for its noise."""


class Noise(Value):
    """A model compared with itself: every difference is noise."""

    model: str
    ratios: tuple[Interval, ...]
    floor: float
    """Largest deviation of a ratio from 1."""
    resolution: float
    """A model that exceeds a relative limit by this fraction fails at the first look."""
    launches: float
    """Relative spread of the launches' medians: the variation of absolute latencies."""


def self_comparison(device: Device, runtime: str, model: Path | None, progress: Progress) -> Noise:
    """Compare a model with itself several times, as `check` would compare two.

    Args:
        device: the device.
        runtime: the runtime.
        model: an ONNX file; None: a small built-in model.
        progress: receives each comparison.

    Raises:
        EdgekdError: the model can't be read or run, or the device fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = model or Path(folder) / "reference.onnx"
        if model is None:
            write_reference(path)
        twice = [describe(path, name=path.stem, runtime=runtime)] * 2
        pairs = []
        with device.leased():
            for number in range(1, _COMPARISONS + 1):
                progress.stage("noise", f"comparing {path.stem} with itself, {number} of {_COMPARISONS}")
                pairs.append(measure(twice, device=device, target=_ANY_TARGET, protocol=_PROTOCOL, progress=progress))
    return noise_of(path.stem, pairs)


def noise_of(model: str, pairs: Sequence[tuple[Measurement, ...]]) -> Noise:
    """The device's noise from comparisons of a model with itself."""
    ratios = tuple(ratio(a, b, confidence_of_look(1)) for a, b in pairs)
    floor = max(abs(found.estimate - 1) for found in ratios)
    reach = max(max(found.high - found.estimate, found.estimate - found.low) for found in ratios)
    medians = [median_ms for pair in pairs for m in pair for median_ms in _medians(m)]
    spread = (max(medians) - min(medians)) / median(medians)
    return Noise(model=model, ratios=ratios, floor=floor, resolution=floor + reach, launches=spread)


def _medians(measurement: Measurement) -> list[float]:
    """The median of each launch."""
    return [percentile([ms for block in one.blocks_ms for ms in block], 50) for one in measurement.launches]
