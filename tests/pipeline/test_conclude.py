"""What lies in a run's folder at its end."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgekd.data.load import load_dataset
from edgekd.pipeline.conclude import _remove_earlier, _reproducing, _stems
from edgekd.values import Artifact, File, Plan, Proposal, Recipe, Structure, Variant
from edgekd.values.training import Execution


def artifact(variant, path, sha256):
    return Artifact(
        name=f"student-ncnn-{variant}",
        variant=Variant(runtime="ncnn", precision=variant),
        files=(File(path=Path(path), sha256=sha256),),
        disk_bytes=1,
        transfer_bytes=1,
    )


@pytest.mark.parametrize(
    ("hashes", "stems"),
    [
        (("same", "same"), ("student-ncnn-int8", "student-ncnn-int8")),
        (("spared", "as it was"), ("student-ncnn-int8", "student-ncnn-int8+fp16")),
    ],
)
def test_artifacts_of_different_files_that_are_called_the_same_lie_beside_each_other(hashes, stems):
    variants = ("int8", "int8+fp16")
    both = [
        artifact(variant, f"{sha256}/student-ncnn-int8.onnx", sha256)
        for variant, sha256 in zip(variants, hashes, strict=True)
    ]
    for order in (both, both[::-1]):
        found = _stems(SimpleNamespace(options=[SimpleNamespace(artifact=one) for one in order]))
        assert tuple(found[f"student-ncnn-{variant}"] for variant in variants) == stems


def test_files_of_an_earlier_result_that_are_none_of_this_one_go(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other.txt"
    for file in (run / "model.xml", run / "model.onnx", run / "mine.txt", run / "artifacts/old.onnx", other):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    for weights in ("student.safetensors", "further.safetensors"):  # of the run before, which this one begins with
        (run / weights).write_text("w")
    listed = {"model": "model.xml", "old": "artifacts/old.onnx", "far": "../other.txt", "gone": "gone.json"}
    listed |= {"student": "student.safetensors", "further": "further.safetensors"}
    recipe = Recipe(
        model="resnet8",
        data="digits",
        target="x86-cpu",
        budget="half-latency",
        weights=str(run / "student.safetensors"),
        teachers=({"model": "resnet8", "weights": str(run / "further.safetensors")},),
    )
    (run / "result.json").write_text(json.dumps({"files": listed}))
    _remove_earlier(run, {"model": "model.onnx"}, recipe)
    left = ["further.safetensors", "mine.txt", "model.onnx", "result.json", "student.safetensors"]
    assert sorted(file.name for file in run.rglob("*") if file.is_file()) == left
    assert other.exists()
    (run / "result.json").write_text("[]")
    _remove_earlier(run, {}, recipe)
    assert (run / "model.onnx").exists()


def test_the_recipe_states_how_the_student_learned_not_how_int8_was_recovered():
    def network(weights, **execution):
        training = SimpleNamespace(execution=Execution(**execution))
        return SimpleNamespace(weights=weights, training=training)

    learned, in_int8 = network("a", precision="bf16", threads=8), network("b", precision="fp32", threads=4)
    original = network("t")
    plan = Plan(proposal=Proposal(structure=Structure(), what="nothing"), feasible=True, why="so")
    recipe, data = Recipe(model="resnet8", data="digits", target="x86-cpu", budget="b"), load_dataset("digits")
    # where nothing was trained before, it is the one that [recover] was for
    for stepped, stated in ((learned, ("bf16", 8)), (original, ("fp32", 4))):
        finished = SimpleNamespace(plan=plan, network=in_int8, stepped=stepped)
        found = _reproducing(recipe, data, original, finished)
        assert (found.recover.precision, found.recover.threads) == stated
