"""What a quick race leaves out is proven where the rival that it was left out for fails its own proof."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from edgekd.pipeline.file_proof import Proof, Proofs, Proving
from edgekd.pipeline.proof_rounds import Rounds
from edgekd.progress import Silent
from edgekd.values import Accuracy, Artifact, File, Variant
from edgekd.values.deployment import Parity

PARITY = Parity(images=100, max_difference=0, sqnr_db=40, top1_agreement=1)


def artifact(name):
    return Artifact(
        name=name,
        variant=Variant(runtime="onnxruntime", precision=name),
        files=(File(path=Path(f"{name}.onnx"), sha256=name),),
        disk_bytes=1,
        transfer_bytes=1,
    )


def accuracy(correct):
    return Accuracy(correct=correct, images=100, dataset="d", split="held out")


def proven(proofs):
    """The rounds of a fast and a slow variant, of which the slow one is left out while the fast one may be kept."""
    asked = []

    def stage(name, inputs, build):
        asked.append([one.name for one in inputs.artifacts])
        return Proofs(given=accuracy(90), classes=10, proofs=tuple(proofs[one.name] for one in inputs.artifacts))

    def hopeless(one, rivals, times):
        return "left out" if one.name == "slow" and any(rival.name == "fast" for rival in rivals) else None

    run = SimpleNamespace(stage=stage, progress=Silent())
    empty = Proving(artifact("given"), (), (), None, "d", 1, None, {})
    rounds = Rounds(run, empty, lambda one: "device", SimpleNamespace(hopeless=hopeless), 1.0)
    return rounds.proven([artifact("slow"), artifact("fast")]), asked


def test_the_slow_one_is_left_out_where_the_fast_one_passes():
    found, asked = proven({"fast": Proof(parity=PARITY, accuracy=accuracy(89))})
    assert asked == [["fast"]]
    assert [one.name for one in found.proving.artifacts] == ["fast"]
    assert [(one.name, one.why) for one in found.left_out] == [("slow", "left out")]


@pytest.mark.parametrize("of_fast", [Proof(failed="no"), Proof(parity=PARITY, accuracy=accuracy(88))])
def test_the_slow_one_is_proven_where_the_fast_one_fails_or_loses_too_much(of_fast):
    found, asked = proven({"fast": of_fast, "slow": Proof(parity=PARITY, accuracy=accuracy(90))})
    assert asked == [["fast"], ["slow"]]
    assert [one.name for one in found.proving.artifacts] == ["slow", "fast"]
    assert found.proofs.proofs[1] == of_fast
    assert not found.left_out
