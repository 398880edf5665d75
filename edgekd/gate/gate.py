"""The gate: from artifacts to a verdict, for `check` and for the end of `compress`.

The samples are measured here, for this verdict only: samples that selected an artifact are biased, because among
equally fast artifacts the one with the luckiest samples is selected.

The artifact alternates with the reference and, as a control (`control.py`), with a copy of the reference. The limits
are judged after some launches; while one is open, the number of launches is doubled. Repeated looks make wrong verdicts
more likely, so the allowed error is spent look by look (`statistics.confidence_of_look`): half of it at the first, a
quarter at the second. A limit is open while its bounds contain its value, and while the control shows that an error of
the session is proven or may explain the result. Measuring stops at the time limit.
"""

from collections.abc import Sequence
from pathlib import Path

from edgekd.devices._base import Device
from edgekd.gate.budget import Budget, for_given_device, paired, require_baseline, traced
from edgekd.gate.judge import Judged, judge_at_look
from edgekd.measuring.session import Enough, measure, unmeasured
from edgekd.progress import Progress
from edgekd.values import Accuracy, Artifact, Control, Measurement, MeasuringProtocol, Target

TIME_LIMIT_S = 120.0

Accuracies = tuple[Accuracy | None, Accuracy | None]


def gate(
    budget: Budget,
    choice: Artifact,
    reference: Artifact | None,
    device: Device | None,
    *,
    target: Target,
    protocol: MeasuringProtocol,
    accuracies: Accuracies = (None, None),
    inputs: Path | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    explained: bool = False,
    progress: Progress,
) -> Judged:
    """Measure an artifact until every limit of the budget is decided, and judge it.

    Args:
        budget: the limits.
        choice: what is judged.
        reference: what relative limits refer to.
        device: one of the target's kind; None where there is none: only what needs no device is judged.
        target: what the device is meant to be.
        protocol: how it is measured, and in how many launches up to the first look.
        accuracies: the choice's and the reference's, on the images that the budget is about.
        inputs: an .npz file that feeds the models; random values if None.
        time_limit_s: no further launches after about so many seconds.
        explained: whether each node is timed if it can be, though no limit asks for it.
        progress: gets each launch.

    Raises:
        EdgekdError: a limit is relative and there is no reference.
        DeviceError, UnsupportedModelError: as `session.measure`.
        MeasurementError: the runtime crashed or hung, or the measurement isn't the budget's.
    """
    require_baseline(budget, given=reference is not None)
    artifacts = [choice, reference] if reference else [choice]
    if device is None:
        nothing = [unmeasured(artifact, target=target, protocol=protocol) for artifact in artifacts]
        return _judged(budget, nothing, accuracies)
    control = [reference] if reference and paired(budget) else []

    def decided(found: tuple[Measurement, ...]) -> bool:
        return not _open(_judged(budget, found, accuracies))

    found = measure(
        [*artifacts, *control],
        device=device,
        target=target,
        protocol=protocol,
        inputs=inputs,
        traced=traced(budget),
        explained=len(artifacts) if explained else 0,
        steady=for_given_device(budget),
        reference=len(artifacts) - 1,
        enough=Enough(decided, time_limit_s),
        progress=progress,
    )
    # once more, since nodes are traced after the last look
    return _judged(budget, found, accuracies)


def _judged(budget: Budget, found: Sequence[Measurement], accuracies: Accuracies) -> Judged:
    """The verdict on the first, with the second as its baseline and the third as the control, if they are there."""
    known = [
        m.model_copy(update={"accuracy": a, "looks": m.looks or 1}) for m, a in zip(found, accuracies, strict=False)
    ]
    if len(found) > 2:
        control = Control(launches=found[2].launches, invalid=found[2].invalid)
        known[1] = known[1].model_copy(update={"control": control})
    return judge_at_look(budget, *known)


def _open(judged: Judged) -> bool:
    """Whether more launches may decide what isn't decided."""
    measured = [judged.measurement, *([judged.baseline] if judged.baseline else [])]
    if any(m.invalid for m in measured):  # it stays so, however many launches follow
        return False
    return any(
        limit.status == "inconclusive" or (limit.status == "invalid" and limit.paired)
        for limit in judged.verdict.limits
    )
