import importlib.util
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from edgekd import cli, files
from edgekd.data.load import load_dataset
from edgekd.devices import device as devices
from edgekd.errors import DeviceError, EdgekdError, UnsupportedModelError
from edgekd.failures import run as ending
from edgekd.gate.budget import Budget
from edgekd.gate.judge import exit_code, judge
from edgekd.measuring.artifact import describe
from edgekd.measuring.document import read_measurement
from edgekd.pipeline import compress as pipeline
from edgekd.pipeline import measuring, profile, proof
from edgekd.pipeline.inspect import inspect
from edgekd.report.brought import brought_rows
from edgekd.values import Feeding, Manifest, Recipe
from edgekd.values.result import Result
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, load_pruned
from edgekd.zoo.weights import save_weights

FP32, INT8 = "onnxruntime-fp32", "onnxruntime-int8"

EASY = "[latency]\nmax_ratio = 0.9\n[accuracy]\nmax_drop_pp = 100\n"


@pytest.fixture(scope="module", autouse=True)
def device(simulated, on_device):
    """How fast a network is decides how far it is pruned: here in proportion to its weights, in INT8 slower."""
    with on_device(simulated()) as device:
        yield device


@pytest.fixture(scope="module")
def ended(compress, device, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    budget = folder / "budget.toml"
    budget.write_text(f'name = "easy"\n{EASY}')
    return compress(folder / "run", "--budget", budget, "--json")


def test_a_run_ends_in_its_verdicts_exit_code(ended):
    result = Result.model_validate(ended.document)
    assert ended.code == exit_code(result.verdict)
    assert result.verdict.status == "pass", ended.out
    assert result.plan.structure.widths
    assert result.plan.variants == (FP32,)
    assert result.reference == result.tried[0].name == "baseline-onnxruntime-fp32"
    chosen = next(tried for tried in result.tried if tried.name == result.choice.artifact)
    assert sum(result.classes.correct) == chosen.test.correct
    assert sum(result.classes.lost) - sum(result.classes.gained) == result.tried[0].test.correct - chosen.test.correct
    assert any(one.after < one.before for one in result.widths)
    assert [len(epochs) for epochs in result.student.training.history] == [result.student.training.epochs]


@pytest.mark.slow
def test_a_variant_that_drops_out_once_trained_is_planned_without(ended, compress, budget, simulated, on_device):
    """INT8 takes 0.7 of fp32's time, so that the plan counts on it; then the student's fails its check."""
    check, failed = proof._checked, []

    def checked(runner, *more, **how):
        if runner.artifact.name == "student-onnxruntime-int8":
            failed.append(runner.artifact)
            raise UnsupportedModelError("differs from the network")
        return check(runner, *more, **how)

    fast = simulated(int8=0.7, machine="fast in INT8")
    limit = budget("[latency]\nmax_ratio = 0.6\n[accuracy]\nmax_drop_pp = 100\n")
    with on_device(fast), pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "_checked", checked)
        again = compress(ended.folder.parent / "dropped", "--budget", limit, "--json")
    result = Result.model_validate(again.document)
    assert len(failed) == 2  # of two students
    assert result.verdict.status == "pass", again.err
    assert result.choice.artifact == "student-onnxruntime-fp32"
    assert result.plan.variants == (FP32,)
    assert f"trained, {INT8} dropped out (differs from the network); it is the least" in result.plan.why
    sizes = {c.proposal.what: c.cost.parameters for c in result.plan.candidates}
    by_int8 = max(c.cost.parameters for c in result.plan.candidates if c.fits({INT8}))
    assert max(sizes.values()) > by_int8 > sizes[result.plan.proposal.what]


def test_the_plan_is_the_least_pruned_that_was_measured_to_fit(ended):
    plan = Result.model_validate(ended.document).plan
    fitting = [c.proposal for c in plan.candidates if c.fits({FP32, INT8})]
    assert plan.proposal == fitting[0]
    assert plan.candidates[0].proposal.structure.is_whole
    sizes = [candidate.cost.parameters for candidate in plan.candidates]
    assert sizes == sorted(set(sizes), reverse=True)
    assert [r.variant for r in plan.candidates[0].latencies] == [FP32, INT8]
    for rung in (rung for candidate in plan.candidates[1:] for rung in candidate.latencies):
        assert rung.fits == (rung.ratio.estimate <= 0.9 * (1 - 0.06) and rung.ratio.high <= 0.9)


def test_the_student_is_rebuilt_without_pickle_and_is_the_model_that_is_given(ended, runner_of):
    student = load_pruned(Definition.read(ended.folder / "student.json"), ended.folder / "student.safetensors").eval()
    images, _ = next(load_dataset("digits").test.batches(64))
    with torch.inference_mode():
        expected = student(images).numpy()
    fp32 = runner_of(ended.folder / "artifacts" / "student.onnx", "onnxruntime")(images.numpy())
    np.testing.assert_allclose(fp32, expected, atol=1e-4)
    widths = [layer.out_channels for layer in student.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert all(width % 8 == 0 for width in widths)
    original = build("resnet8", classes=10, channels=1)
    assert sum(p.numel() for p in student.parameters()) < sum(p.numel() for p in original.parameters())


def test_the_result_names_the_networks_files_in_the_run_folder(ended):
    result = Result.model_validate(ended.document)
    assert result.student.definition
    named = [result.teacher.weights, result.student.weights, result.student.definition]
    assert [file.path.as_posix() for file in named] == ["teacher.safetensors", "student.safetensors", "student.json"]
    assert [files.sha256(ended.folder / file.path) for file in named] == [file.sha256 for file in named]


def test_every_file_states_what_it_was_made_from(ended):
    result, data = Result.model_validate(ended.document), load_dataset("digits")
    for tried in result.tried:
        path = ended.folder / "artifacts" / tried.artifact.file
        stated = describe(path, name="", runtime="").lineage
        beside = Manifest.model_validate_json((path.parent / f"{tried.name}.json").read_text())
        assert stated == beside.lineage == tried.artifact.lineage
        network = result.teacher if tried.name.startswith("baseline") else result.student
        assert stated.network.weights == network.weights.sha256
        assert (stated.teacher is None) == (network == result.teacher)
        assert stated.teacher is None or stated.teacher.weights == result.teacher.weights.sha256
        assert (stated.data.name, stated.data.fingerprint, stated.data.train) == (
            "digits",
            data.content,
            len(data.train),
        )
        assert (stated.quantised is not None) == ("int8" in tried.name)
        if stated.quantised:
            assert 0 < stated.quantised.images <= result.recipe.quantize.images
            ranges = [files.sha256(file) for file in ended.folder.glob("**/*-ranges.json")]
            assert stated.quantised.ranges in ranges
            assert "head.2.weight" in stated.quantised.layers


def test_what_was_proven_and_measured_stands_beside_the_file_that_was_measured(ended):
    result = Result.model_validate(ended.document)
    for tried in result.tried:
        beside = Manifest.model_validate_json((ended.folder / "artifacts" / f"{tried.name}.json").read_text())
        measured = read_measurement(ended.folder / "measurements" / f"{tried.name}.json")
        assert (
            beside.sha256 == measured.artifact.files[0].sha256 == files.sha256(ended.folder / "artifacts" / beside.file)
        )
        assert (beside.proof.parity, beside.proof.validation, beside.proof.test) == (
            tried.parity,
            tried.val,
            tried.test,
        )
        assert (beside.measured.median_ms, beside.measured.ratio or None) == (
            tried.median_ms,
            None if tried.name == result.reference else tried.ratio,
        )
        assert beside.measured.when == measured.when is not None
        assert beside.recipe_sha256 == files.sha256(ended.folder / "recipe.toml")
        assert str(ended.folder) not in beside.model_dump_json()


def test_the_shipped_file_is_the_measured_one(ended):
    """To whoever measures or checks it later, it is the artifact that the verdict was reached on."""
    judged = read_measurement(ended.folder / "verdict" / "model.json").artifact
    shipped = describe(ended.folder / "model.onnx", name="model", runtime="")
    assert shipped.model_copy(update={"variant": judged.variant}).id == judged.id
    assert json.loads((ended.folder / "model.json").read_text())["sha256"] == judged.files[0].sha256


def test_inspect_shows_where_the_shipped_file_comes_from(ended):
    result, found = Result.model_validate(ended.document), inspect(ended.folder / "model.onnx")
    (beside,) = found.manifests
    assert (beside.file, beside.problem) == ("model.json", None)
    assert found.lineage == beside.manifest.lineage == result.manifest.lineage
    assert found.feeding.classes == result.manifest.classes
    assert found.unreadable == ()
    # the exporter folds the batch normalisations: two numbers a channel become one
    assert found.totals.parameters < result.student.cost.parameters
    assert found.totals.macs == result.student.cost.macs
    if result.choice.variant.name == INT8:
        assert found.lineage.quantised.layers == tuple(one.name for one in found.layers if one.precision == "int8")


def test_a_device_that_throttles_ends_in_4_and_is_measured_again_at_the_next_start(
    ended, compress, simulated, on_device
):
    line = ["--budget", ended.folder.parent / "budget.toml", "--json"]
    folder = ended.folder.parent / "hot"
    shutil.copytree(ended.folder, folder)
    with on_device(simulated(throttled=lambda _: True, machine="hot")):
        hot = compress(folder, *line)
    assert hot.code == 4
    assert "the repeated measurement is invalid too: the device throttled" in hot.err
    with on_device(simulated(machine="hot")):
        cooled = compress(folder, *line)
    assert cooled.code == 0
    assert cooled.document["plan"]["proposal"] == ended.document["plan"]["proposal"]


def test_accuracies_are_those_of_the_files_run_by_their_runtime(ended, runner_of):
    data = load_dataset("digits")
    for tried in Result.model_validate(ended.document).tried:
        runner = runner_of(ended.folder / "artifacts" / tried.artifact.file, "onnxruntime")
        right = sum(int((runner(x.numpy()).argmax(1) == y.numpy()).sum()) for x, y in data.test.batches(64))
        assert (tried.test.correct, tried.test.images) == (right, len(data.test))


def test_the_stored_measurements_give_the_same_verdict_again(ended):
    result = Result.model_validate(ended.document)
    chosen, baseline = (read_measurement(ended.folder / "verdict" / f"{n}.json") for n in ("model", "reference"))
    budget = Budget(name="easy", **tomllib.loads(EASY))
    assert judge(budget, chosen, baseline, confidence=result.verdict.confidence).limits == result.verdict.limits
    assert (chosen.artifact.name, baseline.artifact.name) == (result.choice.artifact, result.reference)
    assert chosen.session == baseline.session


def test_the_samples_that_selected_do_not_judge(ended):
    result = Result.model_validate(ended.document)
    selected = read_measurement(ended.folder / "measurements" / f"{result.choice.artifact}.json")
    judged = read_measurement(ended.folder / "verdict" / "model.json")
    assert selected.artifact.id == judged.artifact.id
    assert selected.session != judged.session
    assert result.verdict.control is not None
    assert result.verdict.confidence == 1 - 0.05 / 2**result.verdict.looks


def test_the_report_holds_the_verdict_the_curve_and_what_was_dropped(ended):
    result = Result.model_validate(ended.document)
    report = (ended.folder / "report.md").read_text()
    assert result.verdict.limits[0].evidence in report
    assert report.count("%") > len(result.plan.candidates)
    for candidate in result.plan.candidates:
        assert f"{candidate.cost.parameters:,}" in report
    for dropped in result.choice.dropped:
        assert dropped.why in report


def test_the_report_shows_what_each_step_brought(ended):
    result = Result.model_validate(ended.document)
    assert [one.step for one in result.brought] == ["prune", "repair", "repair", "distil"]
    last = next(one for one in reversed(result.brought) if one.kept)
    assert last.accuracy == result.student.accuracy
    table = (ended.folder / "report.md").read_text().split("## What each step brought")[1]
    for row in brought_rows(result):
        assert f"| {' | '.join(row)} |" in table


@pytest.mark.slow
def test_the_commands_of_the_report_give_its_numbers_again(ended, device, monkeypatch, capsys):
    """Those of "Reproduce", typed in the run's folder, on the same device."""
    result = Result.model_validate(ended.document)
    parts = (ended.folder / "report.md").read_text().split("## Reproduce")[1]
    commands = re.findall(r"`(edgekd [^`]+)`", parts)
    assert [command.split()[1] for command in commands] == ["check", "profile", "check", "inspect"]
    monkeypatch.chdir(ended.folder)
    for module in (profile, devices):
        monkeypatch.setattr(module, "connect", measuring.connect)  # which finds the simulated device
    codes, texts = [], []
    for command in commands:
        monkeypatch.setattr("sys.argv", shlex.split(command))
        codes.append(ending(lambda: cli.app(standalone_mode=False)))
        texts.append(capsys.readouterr().out)
    assert codes == [0, 0, 3, 0], texts  # accuracy isn't measured again
    stored, profiled, anew, inspected = texts
    latency, accuracy = result.verdict.limits
    assert latency.evidence in stored
    assert accuracy.evidence in stored
    chosen = next(tried for tried in result.tried if tried.name == result.choice.artifact)
    assert re.search(r"pass +latency ÷ baseline's ≤ 0\.72", anew), anew
    assert f"{chosen.median_ms:.4g} ms" in profiled
    assert result.recipe.model in inspected


def test_every_file_that_the_result_names_is_there_and_models_are_sound(ended):
    for path in ended.document["files"].values():
        assert (ended.folder / path).is_file()
    onnx.checker.check_model(onnx.load(ended.folder / "model.onnx"))
    result = Result.model_validate(ended.document)
    (chosen,) = (tried.artifact.file for tried in result.tried if tried.name == result.choice.artifact)
    assert (ended.folder / "model.onnx").read_bytes() == (ended.folder / "artifacts" / chosen).read_bytes()


def test_every_file_and_the_manifest_beside_it_say_how_it_is_fed(ended):
    result = Result.model_validate(ended.document)
    data = load_dataset("digits")
    assert result.manifest == Manifest.model_validate_json((ended.folder / "model.json").read_text())
    assert result.manifest.sha256 == files.sha256(ended.folder / "model.onnx")
    for tried in result.tried:
        path = ended.folder / "artifacts" / tried.artifact.file
        beside = Manifest.model_validate_json(path.with_name(f"{tried.name}.json").read_text())
        assert (
            (beside.file, beside.sha256)
            == (path.name, tried.artifact.files[0].sha256)
            == (path.name, files.sha256(path))
        )
        assert (beside.preprocessing, beside.classes) == (data.preprocessing, data.classes)
        told = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        assert json.loads(told["edgekd.preprocessing"])["mean"] == list(data.mean)
        assert tuple(json.loads(told["edgekd.classes"])) == data.classes


def test_the_lines_in_the_report_classify_an_image(ended, tmp_path, runner_of):
    report = (ended.folder / "report.md").read_text()
    lines = re.search(r"```python\n(.*?)```", report, re.DOTALL)[1]
    images = load_dataset("digits").test
    runner = runner_of(ended.folder / "model.onnx", "onnxruntime")
    for index in range(4):
        Image.fromarray(images.pixels[index, 0]).save(tmp_path / "photo.jpg", format="PNG")
        script = lines.replace('"model.onnx"', repr(str(ended.folder / "model.onnx")))
        ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        x, _ = next(images.batches(index + 1))
        assert ran.stdout.strip() == load_dataset("digits").classes[runner(x.numpy())[index].argmax()]


def test_with_the_preprocessing_included_all_files_take_pixels(compress, tmp_path, budget, runner_of):
    easy = budget("[latency]\nmax_ratio = 5.0\n")
    ended = compress(tmp_path / "run", "--include-preprocessing", "--budget", easy, "--ratio", 0.5, "--json")
    assert ended.code == 0, ended.err
    result = Result.model_validate(ended.document)
    assert result.recipe.export.include_preprocessing
    assert [t.name for t in result.tried][:2] == ["baseline-onnxruntime-fp32", "student-onnxruntime-fp32"]
    images, labels = next(load_dataset("digits").test.batches(1000))
    for tried in result.tried:
        path = ended.folder / "artifacts" / tried.artifact.file
        assert tried.parity.sqnr_db > (90 if tried.artifact.precision == "fp32" else 8)
        beside = Manifest.model_validate_json(path.with_name(f"{tried.name}.json").read_text())
        assert beside.input.dtype == "uint8"
        measured = read_measurement(ended.folder / "measurements" / f"{tried.name}.json")
        assert len(measured.launches) == 3
        right = runner_of(path, "onnxruntime", job_feeding(result))(images.numpy()).argmax(1) == labels.numpy()
        assert int(right.sum()) == tried.test.correct
    assert 'values.astype("uint8")' in (ended.folder / "report.md").read_text()


def job_feeding(result):
    fields = {name: getattr(result.manifest, name) for name in Feeding.model_fields}
    return Feeding(**fields)


def test_the_recipe_of_a_run_makes_the_same_student(ended, compress, tmp_path):
    settings = tomllib.loads((ended.folder / "recipe.toml").read_text())
    assert settings["search"]["structure"] == ended.document["plan"]["proposal"]["structure"]
    line = ["--recipe", ended.folder / "recipe.toml", "--json"]
    again = compress(tmp_path / "again", *line)
    assert again.document["student"]["weights"]["sha256"] == ended.document["student"]["weights"]["sha256"]


class Unplugged:
    """A device that can't be reached."""

    url, title = "local:", "the device"

    def __init__(self, known):
        self.known = known

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @property
    def facts(self):
        return self.known or self.start("any")

    def key(self):
        return self.facts.model_dump(mode="json")

    def is_of(self, target):
        return self.facts.host.arch == target.arch

    def start(self, *_):
        raise DeviceError("local: can't be reached", "Plug it in.")

    push = build = evaluate = leased = start


def test_a_finished_run_is_judged_and_shown_again_with_the_device_unplugged(ended, compress):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "connect", lambda url, target, known=None, waiting=None: Unplugged(known))
        again = compress(ended.folder, "--budget", ended.folder.parent / "budget.toml", "--json")
        elsewhere = compress(ended.folder.parent / "never", "--ratio", 0)
    assert again.code == ended.code, again.err
    assert "can't be reached: continuing with what was measured on it before" in again.err
    for part in ("verdict", "choice", "plan", "student"):
        assert again.document[part] == ended.document[part]
    assert elsewhere.code == 5
    assert "can't be reached" in elsewhere.err


def test_a_second_start_finds_everything_and_says_the_same(ended, compress):
    before = {p: p.stat().st_mtime_ns for p in ended.folder.glob("stages/*/result.json")}
    again = compress(ended.folder, "--budget", ended.folder.parent / "budget.toml", "--json")
    assert {p: p.stat().st_mtime_ns for p in ended.folder.glob("stages/*/result.json")} == before
    first, second = ended.document, again.document
    assert {**second, "seconds": 0} == {**first, "seconds": 0}


def test_another_budget_reuses_what_was_trained_and_measured(ended, compress, budget):
    """Nothing is pruned where the unpruned network is within the budget."""
    stages = set(ended.folder.glob("stages/*/result.json"))
    generous = compress(ended.folder, "--budget", budget("[latency]\nmax_ratio = 5.0\n"), "--json")
    assert generous.code == 0, generous.err
    assert generous.document["plan"]["proposal"]["what"] == "nothing"
    assert generous.document["student"]["weights"]["sha256"] == generous.document["teacher"]["weights"]["sha256"]
    made = {p.parent.name.rpartition("-")[0] for p in set(ended.folder.glob("stages/*/result.json")) - stages}
    assert made <= {"measured", "tested", "verdict"}


def test_a_budget_that_nothing_meets_ends_in_1_with_the_best_kept_and_named(ended, compress, budget):
    strict = compress(ended.folder, "--budget", budget("[latency]\nmax_ratio = 0.01\n"), "--json")
    assert strict.code == 1, strict.err
    plan = strict.document["plan"]
    assert plan["feasible"] is False
    assert "no candidate meets the budget" in plan["why"]
    fastest = min(r["ratio"]["estimate"] for c in plan["candidates"] for r in c["latencies"])
    kept = next(c for c in plan["candidates"] if c["proposal"] == plan["proposal"])
    assert min(r["ratio"]["estimate"] for r in kept["latencies"]) <= 1.02 * fastest
    assert (strict.folder / "model.onnx").is_file()
    assert strict.document["verdict"]["limits"][0]["status"] == "fail"


@pytest.mark.parametrize("target", ["jetson", "mobile"])
def test_a_target_without_a_device_is_not_measured_and_ends_in_3(compress, budget, tmp_path, target):
    options = ["--ratio", "0.5", "--budget", budget(EASY), "--json"]
    ended = compress(tmp_path / "run", *options, target=target)
    assert ended.code == 3, ended.err
    assert "nothing is measured" in ended.err
    document = ended.document
    assert document["device"] is None
    assert all(t["median_ms"] is None and t["ratio"] is None for t in document["tried"])
    status = {limit["name"]: limit["status"] for limit in document["verdict"]["limits"]}
    assert status["latency.max_ratio"] == "not measured"
    assert status["accuracy.max_drop_pp"] == "pass"
    assert document["student"]["cost"]["parameters"] < document["teacher"]["cost"]["parameters"]
    report = (ended.folder / "report.md").read_text()
    assert "Nothing was measured" in report
    assert ", latency not measured. From its last start" in report
    assert document["reference"] == "baseline-onnxruntime-fp32"
    instead = "onnxruntime-fp32 stands in for the reference tensorrt-fp32, which can't be run without a device"
    assert (instead in ended.err) == (target == "jetson")
    assert ("left out: tensorrt is not installed" in ended.err.replace("\n", " ")) == (target == "jetson")
    if target == "mobile":
        an_app_has_its_file(ended)


def an_app_has_its_file(ended):
    """What an app takes lies beside the chosen file."""
    app = ended.document["app"]
    assert app["artifact"]["format"] == "ort"
    assert app["parity"]["sqnr_db"] > 50
    named = ended.document["files"]
    assert (named["app"], named["operators for an app"], named["usability in an app"]) == (
        "model.ort",
        "model.required_operators_and_types.config",
        "model.mobile.txt",
    )
    assert all((ended.folder / name).is_file() for name in named.values())
    report = (ended.folder / "report.md").read_text()
    assert "## In an app" in report
    assert f"model.ort ({app['artifact']['disk_bytes']:,} bytes" in report
    assert json.loads((ended.folder / "result.json").read_text())["app"] == app


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ncnn") is None, reason="ncnn isn't installed")
def test_a_model_of_two_files_is_taken_away_whole_with_the_lines_that_run_it(compress, budget, tmp_path, runner_of):
    variant = 'runtime = "ncnn"\nprecision = "fp32"\n'
    target = tmp_path / "board.toml"
    target.write_text(
        'name = "board"\ntitle = "A board"\narch = "aarch64"\nchannel_block = 8\ndefault_budget = "half-latency"\n'
        f"[reference]\n{variant}[[variants]]\n{variant}"
    )
    ended = compress(tmp_path / "run", "--ratio", "0.5", "--budget", budget(EASY), "--json", target=str(target))
    assert ended.code == 3, ended.err
    taken = ended.document["files"]
    assert (taken["model"], taken["weights of model"]) == ("model.param", "model.bin")
    student = "artifacts/student-ncnn-fp32"
    assert (taken["student-ncnn-fp32"], taken["weights of student-ncnn-fp32"]) == (f"{student}.param", f"{student}.bin")
    for name in ("param", "bin"):
        assert (ended.folder / f"model.{name}").read_bytes() == (ended.folder / f"{student}.{name}").read_bytes()
    for beside, stem in (("model.json", "model"), (f"{student}.json", "student-ncnn-fp32")):
        manifest = Manifest.model_validate_json((ended.folder / beside).read_text())
        assert (manifest.file, [*manifest.further_files]) == (f"{stem}.param", [f"{stem}.bin"])
        assert manifest.further_files[f"{stem}.bin"] == files.sha256((ended.folder / beside).with_suffix(".bin"))
    lines = re.search(r"```python\n(.*?)```", (ended.folder / "report.md").read_text(), re.DOTALL)[1]
    images = load_dataset("digits").test
    Image.fromarray(images.pixels[3, 0]).save(ended.folder / "photo.jpg", format="PNG")
    ran = subprocess.run([sys.executable, "-c", lines], cwd=ended.folder, capture_output=True, text=True, check=True)
    x, _ = next(images.batches(4))
    logits = runner_of(ended.folder / "model.param", "ncnn")(x.numpy())
    assert ran.stdout.strip() == load_dataset("digits").classes[logits[3].argmax()]


def test_given_weights_are_the_teacher(compress, tmp_path):
    torch.manual_seed(3)
    model = build("resnet8", classes=10, channels=1)
    save_weights(model, tmp_path / "mine.safetensors")
    ended = compress(tmp_path / "run", "--weights", tmp_path / "mine.safetensors", "--ratio", 0.5, "--json")
    assert ended.document["teacher"]["origin"] == "given"
    assert "hardly better than guessing" in ended.err  # they are random
    assert (ended.folder / "teacher.safetensors").read_bytes() == (tmp_path / "mine.safetensors").read_bytes()


def test_weights_of_other_classes_end_with_the_factory_that_changes_the_head(compress, tmp_path):
    save_weights(build("resnet8", classes=1000, channels=1), tmp_path / "mine.safetensors")
    ended = compress(tmp_path / "run", "--weights", tmp_path / "mine.safetensors", "--ratio", 0.5)
    assert ended.code == 2
    assert "with_head:make" in ended.err


@pytest.mark.slow
def test_killed_at_any_stage_it_resumes_with_the_same_answer(start, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    whole = start(tmp_path / "whole", "--json")
    out, err = whole.communicate(timeout=300)
    expected = Result.model_validate_json(out)
    stages = re.findall(r"^(\w+): ", err, re.MULTILINE)
    assert "verdict" in stages
    assert stages[-1] == "trace"  # of what the verdict was reached on
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "other cache"))
    for stage in dict.fromkeys(stages):
        run = start(tmp_path / "killed", "--json")
        for line in run.stderr:
            if line.startswith(f"{stage}: "):
                time.sleep(0.3)  # into the stage
                break
        run.send_signal(signal.SIGKILL)
        run.communicate()
    run = start(tmp_path / "killed", "--json")
    out, err = run.communicate(timeout=300)
    result = Result.model_validate_json(out)
    assert result.teacher.weights.sha256 == expected.teacher.weights.sha256
    assert result.student.weights.sha256 == expected.student.weights.sha256
    # which of the two is faster is the machine's
    assert result.choice.artifact in {t.name for t in result.tried}
    # and so is which files are far behind, and which layers are faster in integers
    known = {t.name: t for t in expected.tried if "partial" not in t.name}
    both = [(t, known[t.name]) for t in result.tried if t.name in known]
    written = [
        {files.sha256(file) for file in (tmp_path / name).glob("stages/write-*/*.onnx")} for name in ("whole", "killed")
    ]
    assert written[0] == written[1] != set()
    assert both[0][0].name == result.reference
    assert all((t.artifact.id, t.test) == (other.artifact.id, other.test) for t, other in both)
    assert {run.returncode, whole.returncode} <= {0, 1, 3}


@pytest.mark.slow
def test_a_disk_that_takes_no_more_ends_in_2_and_loses_nothing(start, tmp_path, monkeypatch):
    """A limit on the size of files stands in for a full disk: both refuse the write, here of the teacher's weights."""
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    refused = start(tmp_path / "run", "--target", "jetson", largest_file=100_000)
    _, err = refused.communicate(timeout=300)
    assert refused.returncode == 2, err
    assert "hint: Free some space" in err
    assert "Traceback" not in err
    assert "teacher: training" in err
    again = start(tmp_path / "run", "--target", "jetson", "--json")
    out, err = again.communicate(timeout=300)
    assert Result.model_validate_json(out).student.cost.parameters > 0, err


@pytest.mark.slow
def test_interrupted_it_ends_in_130_and_leaves_no_process(start, tmp_path):
    run = start(tmp_path / "run")
    for line in run.stderr:
        if line.startswith("teacher: "):
            break
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted\nit ended in: teacher: training" in err
    assert "to go on: " in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--target", "x86-cpi"], "'x86-cpu'"),
        (["--budget", "half-latncy"], "'half-latency'"),
        (["--model", "resnet33"], "resnet32"),
        (["--data", "digit"], "'digits'"),
        (["--data", "folder:/no/such/folder"], "/no/such/folder"),
        (["--weights", "/no/such/file.pt"], "/no/such/file.pt"),
        (["--recipe", "/no/such/recipe.toml"], "/no/such/recipe.toml"),
        (["--device", "carrier-pigeon:"], "local"),
    ],
)
def test_a_wrong_name_ends_in_2_and_says_what_to_do(compress, tmp_path, options, says):
    ended = compress(tmp_path / "run", *options)
    assert ended.code == 2
    assert says in ended.err
    assert "hint: " in ended.err
    assert ended.out == ""


def test_conditions_that_a_variant_cannot_meet_are_refused_before_anything_is_trained(compress, tmp_path):
    (tmp_path / "b.toml").write_text('name = "b"\n[latency]\nmax_ratio = 1.0\n[conditions]\nthreads = 99\n')
    ended = compress(tmp_path / "run", "--budget", tmp_path / "b.toml")
    assert ended.code == 2
    assert "threads is 1, the budget is for 99" in ended.err
    assert "teacher: training" not in ended.err


def test_a_missing_target_is_requested(compress, tmp_path):
    ended = compress(tmp_path / "run", target=None)
    assert ended.code == 2
    assert "--target" in ended.err


def test_a_device_that_cannot_be_reached_ends_in_5(compress, tmp_path):
    ended = compress(tmp_path / "run", "--device", "local:/no/such/python")
    assert ended.code == 5
    assert "/no/such/python" in ended.err


def test_a_device_without_the_runtime_ends_in_5_with_what_installs_it(compress, tmp_path):
    bare = tmp_path / "python"
    # -S leaves out the installed packages, -E what the environment adds
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    ended = compress(tmp_path / "run", "--device", f"local:{bare}")
    assert ended.code == 5
    assert f"hint: Install it there: {bare} -m pip install onnxruntime" in ended.err


def test_missing_weights_are_reported_before_anything_is_done(compress, tmp_path):
    run = compress(tmp_path / "run", "--weights", tmp_path / "none.pt")
    assert run.code == 2
    assert "none.pt: No such file" in run.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "lines"),
    [("student", ""), ("student", "[[teachers]]"), ("teacher", "[[teachers]]")],
)
def test_weights_that_the_run_would_write_over_are_refused(compress, tmp_path, name, lines):
    given = tmp_path / "run" / f"{name}.safetensors"
    given.parent.mkdir()
    save_weights(build("resnet8", classes=10, channels=1), given)
    before, recipe = given.read_bytes(), tmp_path / "recipe.toml"
    recipe.write_text(f'{lines}\nmodel = "resnet8"\nweights = "{given}"\n')
    ended = compress(given.parent / ".." / "run", "--recipe", recipe)
    assert ended.code == 2
    assert f"{given}: this run writes its {name} there" in ended.err
    assert "another --out" in ended.err
    assert given.read_bytes() == before


def test_the_originals_own_weights_may_be_where_the_teachers_go(tmp_path):
    given = tmp_path / "teacher.safetensors"
    recipe = Recipe(model="resnet8", data="digits", target="x86-cpu", budget="b", weights=str(given))
    pipeline._require_kept(recipe, tmp_path)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("model = 'mobilnet_v1'", "no model 'mobilnet_v1'"),
        ("student = 'resnet9'", "no model 'resnet9'"),
        ("teachers = [{model = 'no_nets_here:make'}]", "no module 'no_nets_here'"),
        ("[prune]\ncriterion = 'l3'", "no pruning criterion 'l3'"),
        ("[recover.losses]\nkdd = 1", "no loss 'kdd'"),
    ],
)
def test_a_wrong_name_leaves_no_run_folder_and_reads_no_images(tmp_path, monkeypatch, given, says):
    (tmp_path / "recipe.toml").write_text(f"target = 'x86-cpu'\ndata = 'folder:{tmp_path / 'absent'}'\n{given}\n")
    line = ["edgekd", "compress", "--recipe", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", line)
    with pytest.raises(EdgekdError, match=says) as e:
        cli.app(standalone_mode=False)
    assert e.value.hint
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_network_names_the_keys(compress, tmp_path):
    save_weights(build("vgg6", classes=10, channels=1), tmp_path / "other.safetensors")
    ended = compress(tmp_path / "run", "--weights", tmp_path / "other.safetensors")
    assert ended.code == 2
    assert ".weight" in ended.err


def test_a_full_pickle_is_refused_with_the_flag_that_allows_it(compress, tmp_path):
    torch.save(build("resnet8", classes=10, channels=1), tmp_path / "whole.pt")
    refused = compress(tmp_path / "run", "--weights", tmp_path / "whole.pt")
    assert refused.code == 2
    assert "--trust-checkpoint" in refused.err
    allowed = compress(
        tmp_path / "run",
        "--target",
        "x86-cpu",
        "--weights",
        tmp_path / "whole.pt",
        "--trust-checkpoint",
        "--ratio",
        0.5,
    )
    assert allowed.code in (0, 1, 3), allowed.err


def test_a_run_folder_that_cannot_be_written_ends_in_2(compress, tmp_path):
    (tmp_path / "file").write_text("")
    ended = compress(tmp_path / "file" / "run")
    assert ended.code == 2
    assert "hint: " in ended.err


def test_a_model_that_cannot_take_the_images_is_reported_before_anything_is_trained(compress, tmp_path):
    ended = compress(tmp_path / "run", "--model", "torchvision:alexnet")
    assert ended.code == 2
    assert "can't take" in ended.err
    assert "teacher: training" not in ended.err


@pytest.fixture
def in_own_folder(tmp_path, monkeypatch):
    """A working folder whose name no module has yet."""
    folder = tmp_path / f"own_{tmp_path.name}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


RAISING = """
from torch import nn
class Own(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(channels * 256, classes))
    def forward(self, images):
        WHERE
        return self.net(images)
class Sound(Own):
    def forward(self, images):
        return self.net(images)
"""


@pytest.mark.parametrize(
    ("where", "model", "says"),
    [
        ('raise KeyError("missing")', "Own", "in evaluation mode: KeyError: 'missing'"),
        ('assert len(images) == 1, "one image alone"', "Own", "on images (2, 1, 16, 16) in evaluation mode"),
        ('assert not self.training, "only to infer"', "Own", "in training mode: AssertionError: only to infer"),
        ('raise KeyError("student")', "Sound", "in evaluation mode: KeyError: 'student'"),
    ],
)
def test_whatever_a_forward_raises_ends_in_2_with_its_words_before_anything_is_trained(
    compress, in_own_folder, where, model, says
):
    tmp_path, name = in_own_folder, in_own_folder.name
    (tmp_path / f"{name}.py").write_text(RAISING.replace("WHERE", where))
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'student = "{name}:Own"\nsteps = ["distil"]\n' if model == "Sound" else "")
    ended = compress(tmp_path / "run", "--model", f"{name}:{model}", "--ratio", "0", "--recipe", recipe)
    assert ended.code == 2
    assert f"{name}:Own can't take digits's images (1, 16, 16): " in ended.err
    assert says in ended.err
    assert "teacher: training" not in ended.err


def test_a_paced_budget_is_measured_paced():
    budget = Budget.model_validate({"name": "b", "latency": {"limit_ms": 10.0, "cadence_hz": 30}})
    stated = Recipe(model="resnet8", data="digits", target="x86-cpu", budget="b")
    settled = pipeline.settled(stated, load_dataset("digits"), budget)
    assert (settled.measure.loop, settled.measure.cadence_hz) == ("paced", 30)
    assert settled.recover.epochs


@pytest.mark.parametrize(
    ("recover", "says"),
    [
        ("losses = {kdd = 1}", "Did you mean 'kd'"),
        ("losses = {kd = {beta = 1.0}}", "the loss 'kd' has no option 'beta'"),
        ("losses = {kd_ls = 9}", "'kd_ls' with 10 classes"),
    ],
)
def test_a_loss_that_cannot_be_is_reported_before_anything_is_trained(compress, tmp_path, recover, says):
    (tmp_path / "recipe.toml").write_text(f"[recover]\n{recover}\n")
    ended = compress(tmp_path / "run", "--recipe", tmp_path / "recipe.toml")
    assert ended.code == 2
    assert says in ended.err
    assert "teacher: training" not in ended.err


def test_a_training_that_diverges_twice_ends_in_2_with_step_rate_and_setting(compress, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text("[teacher]\nlearning_rate = 1e30\n")
    ended = compress(tmp_path / "run", "--recipe", recipe, "--ratio", "0", target="jetson")
    assert ended.code == 2
    assert "restarting at a tenth of that, at most 1e+29" in ended.err
    assert "error: training diverged: " in ended.err
    assert "in epoch 1, step " in ended.err
    assert "Lower learning_rate in the recipe's [teacher]" in ended.err
