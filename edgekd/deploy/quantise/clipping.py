"""Ways to find an activation's range in what it was on calibration images: how much of its tails is clipped.

Sources: H. Wu et al., "Integer quantization for deep learning inference: principles and empirical evaluation", 2020,
arXiv:2004.09602, section 4.3 (max, percentile, entropy); S. Migacz, "8-bit inference with TensorRT", GTC 2017
(entropy); Y. Choukroun et al., "Low-bit quantization of neural networks for efficient inference", 2019,
arXiv:1902.06822 (MSE).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgekd.deploy.quantise.observe import Observed

_Array = np.ndarray[Any, Any]
Range = tuple[float, float]

MIN_MAX = "min-max"
_BINS = 2048
_LEVELS = 128
"""Steps of a magnitude in eight bits, as Migacz has them."""
_FRACTIONS = np.linspace(0.1, 1.0, 91)
"""Of the least and the greatest value: where the mean squared error is looked for."""


def ranges_by_method(observed: Observed) -> dict[str, Range]:
    """An activation's range by each method; all are within the least and the greatest value, and include 0."""
    low, high = min(observed.low, 0.0), max(observed.high, 0.0)
    found = {name: method(observed.samples, low, high) for name, method in METHODS.items()}
    return {name: (max(low, min(a, 0.0)), min(high, max(b, 0.0))) for name, (a, b) in found.items()}


def _min_max(samples: _Array, low: float, high: float) -> Range:
    return low, high


def _percentile(percent: float) -> Callable[[_Array, float, float], Range]:
    def method(samples: _Array, low: float, high: float) -> Range:
        a, b = np.quantile(samples, (1 - percent / 100, percent / 100))
        # an activation that is hardly ever anything but 0 keeps what it is then
        return (float(a), float(b)) if min(a, 0) < max(b, 0) else (low, high)

    return method


def _entropy(samples: _Array, low: float, high: float) -> Range:
    """The magnitude at which clipping changes the distribution of magnitudes least, by Kullback and Leibler."""
    magnitudes = np.abs(samples)
    most = max(-low, high)
    if most <= 0:
        return low, high
    counts, _ = np.histogram(magnitudes[magnitudes > 0], bins=_BINS, range=(0, most))
    if not counts.any():
        return low, high
    kept = range(_LEVELS, _BINS + 1, _LEVELS // 8)
    best = min(kept, key=lambda bins: _divergence(counts, bins))
    limit = most * best / _BINS
    return max(low, -limit), min(high, limit)


def _divergence(counts: _Array, bins: int) -> float:
    """Of the clipped distribution from its quantised form, in nats."""
    clipped = counts[:bins].astype(np.float64)
    clipped[-1] += counts[bins:].sum()
    if not counts[:bins].any():
        return np.inf
    level = np.arange(bins) * _LEVELS // bins
    there = counts[:bins] > 0
    total = np.bincount(level, counts[:bins], _LEVELS)
    shared = np.maximum(np.bincount(level, there, _LEVELS), 1)
    quantised = np.where(there, (total / shared)[level], 0.0)
    p, q = clipped / clipped.sum(), quantised / quantised.sum()
    used = p > 0
    # a bin that only clipped values fill is next to impossible in the other
    return float((p[used] * np.log(p[used] / np.maximum(q[used], 1e-12))).sum())


def _mse(samples: _Array, low: float, high: float) -> Range:
    """The range with the least mean squared error: of clipping, and of rounding to 255 steps (step² / 12)."""
    ordered = np.sort(samples.astype(np.float64))
    highs = high * _FRACTIONS if high > 0 else np.zeros(1)
    lows = low * _FRACTIONS if low < 0 else np.zeros(1)
    above, below = _clipped(ordered, highs), _clipped(-ordered[::-1], -lows)
    # 0 is exact in every range
    rounded = (samples != 0).mean()
    error = above[:, None] + below[None] + rounded * ((highs[:, None] - lows[None]) / 255) ** 2 / 12
    i, j = np.unravel_index(int(error.argmin()), error.shape)
    return float(lows[j]), float(highs[i])


def _clipped(ordered: _Array, limits: _Array) -> _Array:
    """The mean squared error of clipping ascending values above each of the limits."""
    first = np.searchsorted(ordered, limits, side="right")
    count = len(ordered) - first
    sums = np.concatenate([np.cumsum(ordered[::-1])[::-1], [0.0]])[first]
    squares = np.concatenate([np.cumsum(ordered[::-1] ** 2)[::-1], [0.0]])[first]
    return np.asarray((squares - 2 * limits * sums + count * limits**2) / len(ordered))


METHODS: Mapping[str, Callable[[_Array, float, float], Range]] = {
    MIN_MAX: _min_max,
    "percentile-99.999": _percentile(99.999),
    "percentile-99.99": _percentile(99.99),
    "entropy": _entropy,
    "mse": _mse,
}
