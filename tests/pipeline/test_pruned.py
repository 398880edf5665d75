"""`compress` with pruning methods other than the default."""

import pytest
from torch import nn

from edgekd.errors import ExitCode
from edgekd.values.result import Result
from edgekd.zoo.definition import Definition, load_pruned

SLACK = "[latency]\nmax_ratio = 5\n[accuracy]\nmax_drop_pp = 100\n"


@pytest.mark.slow
def test_single_weights_that_were_pruned_stay_zero_in_the_trained_student(
    compress, budget, on_device, simulated, tmp_path
):
    with on_device(simulated()):
        ended = compress(tmp_path / "run", "--budget", budget(SLACK), "--prune", "magnitude", "--ratio", 0.7, "--json")
    result = Result.model_validate(ended.document)
    assert result.recipe.prune.criterion == "magnitude"
    assert result.student.cost.parameters == result.teacher.cost.parameters
    structure = Definition.read(tmp_path / "run" / "student.json")
    student = load_pruned(structure, tmp_path / "run" / "student.safetensors")
    weights = [layer.weight for layer in student.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    zeros, count = (
        sum(int(of) for of in counts) for counts in zip(*((w.eq(0).sum(), w.numel()) for w in weights), strict=True)
    )
    assert zeros == round(0.7 * count)
    # what is sent is smaller by more than a half, though the file isn't
    sizes = {tried.name: tried.artifact for tried in result.tried}
    baseline, sparse = sizes["baseline-onnxruntime-fp32"], sizes["student-onnxruntime-fp32"]
    assert sparse.transfer_bytes < 0.5 * baseline.transfer_bytes
    assert sparse.disk_bytes > 0.9 * baseline.disk_bytes


@pytest.mark.slow
def test_a_method_that_isnt_one_is_refused(compress, tmp_path):
    ended = compress(tmp_path / "run", "--prune", "filter_l", "--ratio", 0.5)
    assert ended.code == ExitCode.USAGE
    assert "Did you mean 'filter_l1'" in ended.err
