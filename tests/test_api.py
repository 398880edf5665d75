"""`import edgekd`: its functions do what the commands do, and importing it imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, fences

import edgekd
from edgekd.measuring.document import write
from edgekd.values import Measurement, Verdict

QUICK = {"launches": 2, "seconds": 0.05, "block_seconds": 0.01, "warmup_seconds": 0.1}
PAGE = ROOT / "docs" / "python.md"


def test_importing_it_imports_nothing_heavy():
    program = "import sys, edgekd; print(*sys.modules)"
    imported = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not imported & {"torch", "numpy", "onnx", "onnxruntime", "pydantic", "typer"}


def test_it_has_what_it_lists_and_nothing_else():
    assert all(callable(getattr(edgekd, name)) for name in edgekd.__all__)
    with pytest.raises(AttributeError, match="no attribute 'compres'"):
        edgekd.compres  # noqa: B018


def test_a_stored_measurement_is_checked(tmp_path, measurement):
    write(tmp_path / "m.json", measurement())
    (tmp_path / "b.toml").write_text('name = "b"\n[latency]\nlimit_ms = 0.5\n')
    verdict = edgekd.check(tmp_path / "m.json", budget=str(tmp_path / "b.toml"))
    assert isinstance(verdict, Verdict)
    assert verdict.status == "fail"


@pytest.mark.alone
def test_models_are_measured_side_by_side(model):
    small, large = edgekd.profile(
        model("small", layers=1), model("large", layers=8, channels=32), target="x86-cpu", protocol=QUICK
    )
    assert isinstance(small, Measurement)
    assert len(small.launches) == 2
    assert 0 < edgekd.latency_ms(small) <= edgekd.latency_ms(small, 99)
    assert edgekd.ratio(large, small).estimate > 1


@pytest.mark.alone
def test_a_model_is_checked_beside_another(tmp_path, model):
    (tmp_path / "b.toml").write_text('name = "b"\n[latency]\nmax_ratio = 1.05\n')
    slow, fast = model("slow", layers=12, channels=32), model("fast", layers=1)
    verdict = edgekd.check(
        slow, budget=str(tmp_path / "b.toml"), baseline=fast, target="x86-cpu", protocol=QUICK, time_limit_s=5
    )
    assert verdict.status in {"fail", "invalid"}  # invalid where other programs run
    assert [limit.name for limit in verdict.limits] == ["latency.max_ratio"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"protocol": {"launchs": 3}}, "protocol: unknown key 'launchs'"),
        ({"target": None}, "this machine: no target"),
        ({"target": "x86"}, "no target 'x86'"),
        ({"device": "orin"}, "orin"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(model, wrong, message):
    with pytest.raises(edgekd.EdgekdError) as error:
        edgekd.profile(model(), **{"target": "x86-cpu"} | wrong)
    assert message in error.value.message
    assert error.value.hint


def test_without_samples_there_is_no_latency(measurement):
    with pytest.raises(edgekd.EdgekdError, match="no samples"):
        edgekd.latency_ms(measurement(launches=()))


@pytest.mark.slow
def test_a_network_is_compressed_by_settings(tmp_path, own_cache):
    """Without a device of the target's kind, which is faster: the verdict is that nothing was measured."""
    result = edgekd.compress(
        model="resnet8",
        data="digits",
        target="jetson-orin-nano",
        settings={"teacher.epochs": 1, "recover.epochs": 1, "search.ratio": 0.5},
        out=tmp_path / "run",
    )
    assert result.verdict.status == "not measured"
    assert (Path(result.folder) / result.files["model"]).is_file()
    assert result.recipe.recover.epochs == 1
    assert max(result.recipe.search.structure.widths.values()) <= 32  # half of 64


@pytest.mark.slow
@pytest.mark.usefixtures("undisturbed")
def test_the_example_of_the_page_runs(tmp_path, model):
    model("model", layers=2)
    model("original", layers=8)
    (example,) = [fence.text for fence in fences(PAGE) if fence.kind == "python"]
    ran = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "ms" in ran.stdout
    assert any(status in ran.stdout for status in ("pass", "fail", "inconclusive", "invalid"))
