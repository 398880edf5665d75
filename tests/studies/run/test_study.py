"""Whole studies: real training, real measuring, on the digits."""

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from edgekd.data.load import load_dataset
from edgekd.errors import EdgekdError
from edgekd.progress import Silent
from edgekd.studies import run as verb
from edgekd.studies._base import SMOKE, Arm, Published, structure_controls
from edgekd.studies._results import StudyResult
from edgekd.studies.run.report import markdown
from edgekd.studies.run.write import write
from edgekd.values import MeasuringProtocol

QUICK = MeasuringProtocol(launches=3, seconds=0.2, block_seconds=0.02, warmup_seconds=0.2)
TINY = SMOKE.model_copy(update={"epochs": 1, "teacher_epochs": 1, "batch_size": 128, "measure": QUICK})
TRAINED = {"do": "distil"}
RESNET = {"model": "resnet8", "prune.criterion": "l1", "search.ratio": 0.5}


def arms(scale):
    """Labels and distilled with inherited weights, and one that can't be."""
    _, _, labels, distilled = structure_controls("widthwise", scale, RESNET)
    impossible = Arm(
        name="impossible",
        factors={"structure": "impossible"},
        settings={**distilled.settings, "search.ratio": None, "search.structure": {"removed": ["stem"]}},
        control=labels.name,
    )
    return (labels.model_copy(update={"control": None}), distilled, impossible)


def fake(of=arms, **changes):
    published = (Published(what="gain", value="+1", data="their data"),)
    members = {"TITLE": "Tiny", "PAPER": "Nobody, 2020", "PUBLISHED": published, "DIFFERS": ("All of it.",)}
    return SimpleNamespace(**{**members, "REPRESENTATIONS": True, "SCALES": {"smoke": TINY}, "arms": of, **changes})


@pytest.fixture(scope="module")
def patched(uncounted):
    """For this module; what its studies measure isn't invalid because of others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(uncounted), prepend=os.pathsep)
        yield patch


def run(patch, folder, study, *, seeds=1, target="x86-cpu", scale=TINY):
    patch.setattr(verb, "study", lambda name: study)
    return verb.run_study("tiny", scale, folder, seeds=seeds, target=target, progress=Silent())


@pytest.fixture(scope="module")
def ended(patched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return run(patched, folder, fake(), seeds=2), folder


def test_every_arm_is_trained_with_every_seed(ended):
    result, folder = ended
    labels, distilled, impossible = result.arms
    images = len(load_dataset("digits").test)
    assert [cell.seed for cell in labels.cells] == [cell.seed for cell in distilled.cells] == [0, 1]
    assert all(cell.test.split == "test" and cell.test.images == images for cell in distilled.cells)
    trained = [json.loads(path.read_text()) for path in folder.glob("stages/recover-*/result.json")]
    assert len({one["weights"]["sha256"] for one in trained}) == 4
    ways = [one["training"]["execution"] for one in trained]
    assert len({str(way["threads"]) + way["precision"] for way in ways}) == 1
    assert all(cell.training_seconds > 0 for cell in labels.cells)
    assert impossible.cells == ()


def test_a_cell_that_fails_is_reported_and_the_others_continue(ended):
    result, folder = ended
    assert [(f.arm, f.seed) for f in result.failures] == [("impossible", 0), ("impossible", 1)]
    assert "block 'stem'" in result.failures[0].message
    assert "block 'stem'" in (folder / "report.md").read_text()


def test_gains_are_those_of_the_cells(ended):
    labels, distilled, impossible = ended[0].arms
    differences = [100 * (a.test.top1 - b.test.top1) for a, b in zip(distilled.cells, labels.cells, strict=True)]
    assert distilled.gain.points == pytest.approx(sum(differences) / 2)
    assert distilled.gain.seeds == 2
    assert impossible.gain is None


def test_a_student_costs_less_than_its_teacher_and_its_latency_is_measured(ended):
    result, _ = ended
    (teacher,) = result.teachers
    costs = result.arms[0].costs
    assert costs.parameters < teacher.costs.parameters
    assert costs.macs < teacher.costs.macs
    assert costs.transfer_bytes < teacher.costs.transfer_bytes
    assert costs.latency.low <= costs.latency.estimate <= costs.latency.high
    assert teacher.costs.latency.estimate == 1
    # the same structure is exported and measured once
    assert result.arms[1].costs.latency == costs.latency


def test_features_are_compared_with_the_teachers(ended):
    seen = ended[0].arms[0].cells[0].representation
    assert 0 < seen.cka < 1
    assert 0.1 < seen.probe.top1 <= 1


def test_the_documents_hold_it_all(ended):
    result, folder = ended
    assert StudyResult.model_validate_json((folder / "result.json").read_text()) == result
    report = (folder / "report.md").read_text()
    for arm in result.arms[:2]:
        assert f"{arm.costs.nonzero:,}" in report
        assert f"{100 * arm.accuracy:.2f}" in report
    assert "their data" in report
    assert "All of it." in report
    assert f"{result.arms[0].cells[0].representation.cka:.1f}" in report
    for path in result.files.values():
        assert (folder / path).stat().st_size > 0
    assert (folder / "features.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "accuracy-against-latency.png").exists()


def test_started_again_it_finds_everything(ended, patched):
    result, folder = ended
    before = {path: path.stat().st_mtime_ns for path in folder.glob("stages/*/result.json")}
    again = run(patched, folder, fake(), seeds=2)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("stages/*/result.json")} == before
    assert again == result


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": 3}, "seeds was 2, now 3"),
        ({"seeds": 2, "scale": TINY.model_copy(update={"epochs": 2})}, "scale.epochs was 1, now 2"),
        ({"seeds": 2, "target": "jetson"}, "target was 'x86-cpu', now"),
    ],
)
def test_other_settings_are_refused_by_name(ended, patched, changes, says):
    with pytest.raises(EdgekdError, match=says) as refused:
        run(patched, ended[1], fake(), **changes)
    assert "--out" in refused.value.hint


def test_without_matplotlib_the_rest_is_written(ended, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "edgekd.studies.run.plots", raising=False)
    written = write(tmp_path, ended[0].model_copy(update={"files": {}, "remarks": ()}), {})
    assert "edgekd[report]" in written.remarks[0]
    assert "edgekd[report]" in (tmp_path / "report.md").read_text()
    assert set(written.files) == {"result", "report", "page"}
    assert "edgekd[report]" in (tmp_path / "report.html").read_text()


def test_without_a_device_nothing_is_reported_as_measured(patched, tmp_path):
    result = run(patched, tmp_path, fake(lambda scale: arms(scale)[:1], REPRESENTATIONS=False), target="jetson")
    assert result.device is None
    (arm,) = result.arms
    assert (arm.costs.latency, arm.costs.median_ms, arm.tradeoff.latency_ratio, arm.tradeoff.score) == (None,) * 4
    report = markdown(result)
    assert "not measured: no device of target" in report
    assert "one seed" not in report  # there is no gain


def test_an_arm_takes_the_choice_that_is_as_fast(patched, tmp_path):
    def two(scale):
        ours = arms(scale)[0]
        choices = tuple({"search.ratio": ratio} for ratio in (0.25, 0.5, 0.75))
        other = {**ours.settings, "prune.criterion": "filter_l1"}
        return (
            ours,
            Arm(
                name="filters", factors={"structure": "filters"}, settings=other, as_fast_as=ours.name, choices=choices
            ),
        )

    result = run(patched, tmp_path, fake(two, REPRESENTATIONS=False), target="jetson")
    # without a device by the multiply-accumulates, which are the same for the same widths
    assert result.arms[1].settings["search.ratio"] == 0.5
    assert result.arms[1].costs.macs == result.arms[0].costs.macs
    assert not result.failures


def test_an_arm_trains_as_long_as_another(patched, tmp_path):
    scale = TINY.model_copy(update={"epochs": 6})

    def two(scale):
        ours = Arm(name="ours", factors={"structure": "ours"}, settings={**RESNET, "steps": [{"do": "prune"}, TRAINED]})
        deep = {"model": "resnet8", "student": "resnet44", "steps": [TRAINED]}
        return (ours, Arm(name="deep", factors={"structure": "deep"}, settings=deep, as_long_as="ours"))

    ours, deep = run(patched, tmp_path, fake(two, REPRESENTATIONS=False), target="jetson", scale=scale).arms
    # resnet44 has some twenty times the arithmetic of half of resnet8
    epochs = deep.settings["recover.epochs"]
    assert 1 <= epochs <= 4
    assert "recover.epochs" not in ours.settings
    assert deep.cells[0].training_seconds / epochs > 2.5 * ours.cells[0].training_seconds / 6
    assert f"{epochs} epochs |" in (tmp_path / "report.md").read_text()


def command(folder, *options):
    line = ["study", "run", "hong2022", "--seeds", "1", "--epochs", "1", "--teacher-epochs", "1", "--out", folder]
    return [sys.executable, "-m", "edgekd", *map(str, line), *options]


@pytest.mark.slow
def test_killed_it_resumes(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "study"
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(command(folder), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=env)
    for line in first.stderr:
        if line.startswith("cell: 4 of 8"):
            break
    first.send_signal(signal.SIGKILL)
    first.communicate()
    done = {path: path.stat().st_mtime_ns for path in folder.glob("stages/recover-*/result.json")}
    assert len(done) == 3
    ended = subprocess.run(command(folder, "--json"), capture_output=True, text=True, timeout=500, env=env)
    assert ended.returncode == 0, ended.stderr
    result = StudyResult.model_validate(json.loads(ended.stdout))
    assert [len(arm.cells) for arm in result.arms] == [1] * 8
    assert all(path.stat().st_mtime_ns == then for path, then in done.items())
    assert len(list(folder.glob("stages/recover-*/result.json"))) == 8
    _holds_what_hong2022_compares(result)


def _holds_what_hong2022_compares(result):
    """Structures of the paper's rates, with inherited and random weights, and their features."""
    arms = {arm.name: arm for arm in result.arms}
    layerwise, widthwise = (arms[f"{structure}, inherited, distilled"] for structure in ("layerwise", "widthwise"))
    assert layerwise.tradeoff.parameter_ratio == pytest.approx(0.66, abs=0.03)
    assert widthwise.tradeoff.parameter_ratio == pytest.approx(0.57, abs=0.03)
    assert all(arm.cells[0].representation for arm in result.arms)
    assert arms["layerwise, scratch, labels"].costs.parameters == layerwise.costs.parameters
    assert result.files["features"] == "features.png"


@pytest.mark.slow
def test_interrupted_it_ends_in_130(tmp_path):
    one = subprocess.Popen(
        command(tmp_path / "study"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # a shell lets what it starts in the background ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in one.stderr:
        if line.startswith("cell: "):
            break
    one.send_signal(signal.SIGINT)
    _, err = one.communicate(timeout=60)
    assert one.returncode == 130
    assert "interrupted\nit ended in: cell: " in err
    assert "Traceback" not in err
