"""The control of a comparison: the baseline measured beside itself, which must come out as 1."""

from edgekd.measuring.statistics import ratio
from edgekd.values import Measurement, Verdict

_OFF = 0.02


def controlled(verdict: Verdict, control: Measurement, baseline: Measurement) -> Verdict:
    """The verdict with its control, and invalid where the control says that the session can't be trusted.

    Args:
        verdict: of a comparison with the baseline.
        control: a second measurement of the baseline, in the same session.
        baseline: the first.
    """
    found = ratio(control, baseline, verdict.confidence)
    verdict = verdict.model_copy(update={"control": found})
    if abs(found.estimate - 1) <= _OFF:
        return verdict
    reason = f"the baseline beside itself took {found.estimate:.3f} of its own latency: this session can't be trusted"
    return verdict.model_copy(update={"status": "invalid", "reasons": (*verdict.reasons, reason)})
