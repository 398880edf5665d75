"""Choose: the fastest of a given file's variants that lose no more than is allowed."""

from collections.abc import Mapping, Sequence

from edgekd.gate.budget import Budget
from edgekd.measuring.statistics import median_ms, ratio
from edgekd.pipeline.file_proof import LEAST_SQNR_DB, Proof, Proofs
from edgekd.pipeline.select import select
from edgekd.values import Accuracy, Artifact, Interval, Measurement
from edgekd.values.deployment import Parity
from edgekd.values.result import Checked, Choice, Deployed

_SAME = Parity(images=1, max_difference=0, sqnr_db=200, top1_agreement=None)


def loss(proofs: Proofs, max_drop_pp: float) -> str:
    """What counts as loss, and how much is allowed, as a sentence."""
    if proofs.given is not None:
        return f"at most {max_drop_pp:g} points of the given file's accuracy on {proofs.given.images} held-out images"
    if proofs.classes is not None:
        return (
            f"labels aren't known, and the output is taken for the scores of {proofs.classes} classes: at most "
            f"{max_drop_pp:g} % of the held-out images may get another class than from the given file, which bounds "
            "the accuracy lost; if it is something else, such as an embedding, nothing bounds what it loses"
        )
    return (
        f"the outputs aren't classes: their error may be at most {10 ** (-LEAST_SQNR_DB / 20):.0%} of the signal "
        f"(SQNR {LEAST_SQNR_DB:g} dB), and less where a precision keeps more"
    )


def loss_budget(max_drop_pp: float) -> Budget:
    """A budget that limits nothing but the loss."""
    return Budget.model_validate({"name": "export", "accuracy": {"max_drop_pp": float(max_drop_pp)}})


def keeps(proof: Proof, proofs: Proofs, max_drop_pp: float) -> bool:
    """Whether an artifact that passed its proof loses no more than is allowed."""
    before, after = _of_given(proofs), _kept(proof, proofs)
    return 100 * before.correct * after.images - 100 * after.correct * before.images <= (
        max_drop_pp * before.images * after.images
    )


def choose(
    given: Artifact,
    proven: Sequence[tuple[Artifact, Proof]],
    measurements: Mapping[str, Measurement],
    proofs: Proofs,
    max_drop_pp: float,
) -> Choice:
    """The fastest within the loss; the given file is one of them.

    Args:
        given: the given file, in the variant that ratios refer to.
        proven: those that passed, with their proofs, and were measured.
        measurements: by the artifact's name.
        proofs: of the given file.
        max_drop_pp: points that may be lost.
    """
    budget = loss_budget(max_drop_pp)
    reference = Checked(artifact=given, exporter="", parity=_SAME, accuracy=_of_given(proofs))
    others = [
        Checked(artifact=artifact, exporter="", parity=proof.parity or _SAME, accuracy=_kept(proof, proofs))
        for artifact, proof in proven
    ]
    all_of_them = (reference, *others)
    measured = [measurements[one.artifact.name] for one in all_of_them]
    of = "accuracy" if proofs.given else "agreement with the given file" if proofs.classes else ""
    return select(budget, reference, Deployed(artifacts=all_of_them), [measured[0], *measured], of=of)


def figures(measurement: Measurement, reference: Measurement) -> tuple[float, Interval]:
    """The median in milliseconds, and the latency divided by the reference's."""
    return median_ms(measurement), ratio(measurement, reference)


def _of_given(proofs: Proofs) -> Accuracy:
    return proofs.given or Accuracy(correct=1, images=1, dataset="", split="")


def _kept(proof: Proof, proofs: Proofs) -> Accuracy:
    """The accuracy; without labels the agreement with the given file, and of what isn't classes, all of it."""
    if proof.accuracy is not None and proofs.given is not None:
        return proof.accuracy
    parity = proof.parity
    if parity is None or parity.top1_agreement is None:
        return _of_given(proofs)
    return Accuracy(correct=round(parity.top1_agreement * parity.images), images=parity.images, dataset="", split="")
