"""Is the exported file the same function as the network it came from?"""

from typing import Any

import numpy as np

from edgekd.errors import UnsupportedModelError
from edgekd.values import Value
from edgekd.values.deployment import Parity

Array = np.ndarray[Any, np.dtype[np.float32]]


class Tolerance(Value):
    """The least that an artifact must keep of the network in one precision. Whether its accuracy is enough is the
    budget's question.
    """

    sqnr_db: float
    top1_agreement: float


EXACT = Tolerance(sqnr_db=50, top1_agreement=0.99)
"""Of fp32: the same arithmetic in another order keeps some 100 dB; 50 leaves room for a runtime's fused kernels."""

BROKEN_BELOW_DB = 8.0
"""Below this the scales of a quantised network are broken, not coarse."""


def compare(reference: Array, exported: Array) -> Parity:
    """Compare outputs (N, …) of the network and of the exported file; (N, classes) are logits.

    Raises:
        UnsupportedModelError: they differ in shape, or the exported file's aren't finite.
    """
    if reference.shape != exported.shape:
        raise UnsupportedModelError(f"the exported file gives shape {exported.shape}, the network {reference.shape}")
    if not np.isfinite(exported).all():
        raise UnsupportedModelError("the exported file gives NaN or infinity on real images", "Check the weights.")
    difference = (exported - reference).astype(np.float64)
    noise = float(np.mean(difference**2))
    signal = float(np.mean(reference.astype(np.float64) ** 2))
    # An exact copy would be infinite, which JSON can't say; 200 dB is beyond what float32 can tell apart.
    sqnr = 200.0 if noise == 0 else min(200.0, 10 * float(np.log10(max(signal, 1e-30) / noise)))
    return Parity(
        images=len(reference),
        max_difference=float(np.max(np.abs(difference))),
        sqnr_db=sqnr,
        top1_agreement=float(np.mean(reference.argmax(1) == exported.argmax(1))) if are_logits(reference) else None,
    )


def failure(parity: Parity, tolerance: Tolerance) -> str | None:
    """Why the check failed, with its numbers, or None if it passed."""
    agreement = parity.top1_agreement
    if parity.sqnr_db >= tolerance.sqnr_db and (agreement is None or agreement >= tolerance.top1_agreement):
        return None
    classes = (
        "" if agreement is None else f"top-1 agreement {agreement:.1%} (at least {tolerance.top1_agreement:.0%}), "
    )
    return (
        f"differs from the network: SQNR {parity.sqnr_db:.1f} dB (at least {tolerance.sqnr_db:.0f}), "
        f"{classes}max difference {parity.max_difference:.3g} over {parity.images} images"
    )


def are_logits(outputs: Array) -> bool:
    """Whether outputs are (N, classes)."""
    return outputs.ndim == 2 and outputs.shape[1] > 1
