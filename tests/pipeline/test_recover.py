"""Recipes whose steps aren't the default, whole runs on real data."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition

PRUNED = ("--ratio", "0.5")


@pytest.fixture
def run(compress, tmp_path):
    """Runs `compress` with a recipe of these lines; its document, once it didn't fail."""
    # a target that isn't here, in one precision: what the steps give is the matter, not how fast it is
    far = tmp_path / "far.toml"
    variant = 'runtime = "onnxruntime"\nprecision = "fp32"\n'
    tables = f"[reference]\n{variant}[[variants]]\n{variant}"
    far.write_text(f'name = "far"\ntitle = "Elsewhere"\narch = "aarch64"\n{tables}')

    def with_lines(lines, *options, target=str(far)):
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(lines)
        ended = compress(
            tmp_path / "run", "--recipe", recipe, "--json", "--budget", "half-latency", *options, target=target
        )
        assert ended.code in (1, 3), ended.err  # so short a training may lose more than the budget allows
        return ended

    return with_lines


def test_distil_prune_finetune(run):
    ended = run('steps = ["distil", "prune", "finetune"]', *PRUNED)
    student = ended.document["student"]
    assert student["origin"] == "trained"
    assert student["cost"]["parameters"] < ended.document["teacher"]["cost"]["parameters"]
    assert Definition.read(ended.folder / "student.json").layers["stem.0"]["out_channels"] == 8
    assert ended.err.count("training the student") == 2


def test_gradual_pruning_ends_in_the_widths_of_one_shot(run):
    ended = run('steps = [{do = "prune", share = 0.5}, "distil", "prune", "distil"]', *PRUNED)
    gradual = Definition.read(ended.folder / "student.json")
    assert ended.err.count("training the student") == 2
    once = run("", *PRUNED)
    assert gradual.layers == Definition.read(once.folder / "student.json").layers


def test_a_network_that_ends_pruned_is_not_trained(run):
    ended = run('steps = ["prune"]', *PRUNED)
    assert ended.document["student"]["origin"] == "pruned"
    assert "training the student" not in ended.err


def test_another_architecture_learns_from_several_teachers_in_two_stages(run):
    lines = (
        'model = "resnet14"\nstudent = "resnet8"\nteachers = [{model = "resnet8", seed = 1, weight = 2}]\n'
        'steps = [{do = "distil", losses = {crosslayer = 1}}, "distil"]\n'
    )
    ended = run(lines, "--model", "resnet14")
    document = ended.document
    assert document["plan"]["why"] == "the student is another architecture"
    assert document["student"]["origin"] == "distilled"
    assert document["student"]["cost"]["parameters"] < document["teacher"]["cost"]["parameters"]
    assert ended.err.count("training resnet") == 2
    assert ended.err.count("training the student") == 2
    assert (ended.folder / "student.safetensors").exists()
    report = (ended.folder / "report.md").read_text()
    assert "student" in report
    (fresh,) = (ended.folder / "stages").glob("initial-*/initial.safetensors")
    torch.manual_seed(0)
    same_seed = build("resnet8", classes=10, channels=1)
    assert not (load_file(fresh)["stem.0.weight"] == same_seed.state_dict()["stem.0.weight"]).any()


def test_single_weights_that_were_pruned_stay_zero(run):
    steps = 'steps = [{do = "prune", repair = false}, "distil"]'  # so that one epoch makes it better
    ended = run(f'{steps}\n[prune]\ncriterion = "magnitude"', "--ratio", "0.8")
    weights = [w for w in load_file(ended.folder / "student.safetensors").values() if w.dim() > 1]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert zeros / sum(w.numel() for w in weights) == pytest.approx(0.8, abs=0.01)
    assert ended.document["student"]["origin"] == "distilled"


@pytest.mark.parametrize(
    ("keep", "left"),
    [("parameters = 0.5", "parameters"), ("macs = 0.4, parameters = 0.9", "macs")],
)
def test_the_plan_keeps_what_the_recipe_says(run, keep, left):
    document = run(f"[search]\nkeep = {{{keep}}}").document
    limit = {"parameters": 0.5, "macs": 0.4}[left]
    assert document["student"]["cost"][left] <= limit * document["teacher"]["cost"][left]
    assert document["plan"]["proposal"]["structure"]["widths"]
    assert document["plan"]["candidates"] == []
    assert "of its" in document["plan"]["why"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('[prune]\ncriterion = "magnitude"', "doesn't make a network faster"),
        ('[prune]\ncriterion = "magnitud"', "Did you mean 'magnitude'"),
        ('[prune]\noptions = {sope = "global"}', "unknown key 'sope'"),
        ('[search]\noptions = {sope = "global"}', "unknown key 'sope'"),
        ('[search]\nmethod = "unifrom"', "Did you mean 'uniform'"),
        ('[search]\nmethod = "uniform"\nratio = 0.5', "Remove search.ratio"),
        ('[search]\nmethod = "fixed"', "either search.ratio or search.structure"),
    ],
)
def test_what_cannot_be_planned_is_reported_before_anything_is_trained(compress, tmp_path, quick, lines, says):
    recipe = tmp_path / "recipe.toml"
    _, measure = quick.read_text().split("[measure]")
    recipe.write_text(f"{lines}\n[measure]{measure}")
    ended = compress(tmp_path / "run", "--recipe", recipe)
    assert ended.code == 2
    assert says in ended.err
    assert "teacher: training" not in ended.err


def test_kept_channels_are_followed(run):
    ended = run("[recover.losses]\nkd = 0.9\nkept_channels = 1\n", *PRUNED)
    assert ended.document["recipe"]["recover"]["losses"]["kept_channels"] == {"weight": 1.0}


def test_prune_qat_distil(run):
    ended = run('steps = ["prune", "qat", "distil"]', *PRUNED, target="android-phone")
    assert ended.document["student"]["origin"] == "distilled"
    tried = {tried["name"]: tried for tried in ended.document["tried"]}
    assert "student-onnxruntime-int8" in tried


@pytest.mark.alone
@pytest.mark.slow
def test_two_processes_compress_together(two_variants, tmp_path):
    quick = tmp_path / "quick.toml"
    quick.write_text("[measure]\nlaunches = 2\nseconds = 0.1\nblock_seconds = 0.02\nwarmup_seconds = 0.1\n")
    line = ["--model", "resnet8", "--data", "digits", "--target", two_variants, "--ratio", "0.5", "--recipe", quick]
    line += ["--teacher-epochs", "1", "--epochs", "1", "--out", tmp_path / "run", "--json"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "edgekd", "compress", *line]
    for _ in range(2):  # the second time, all is found
        ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=400)
        document = json.loads(ended.stdout)
        assert document["student"]["origin"] == "distilled"
        assert ended.stderr.count("training the student") == 1


FROZEN = """
import torch
from torch import nn

def frozen(classes, channels):
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes)
    net = nn.Sequential(nn.Conv2d(channels, 16, 3), nn.ReLU(), *head)
    net[0].requires_grad_(False)
    return net

def loaded(classes, channels):
    net = frozen(classes, channels)
    net[0].weight.copy_(torch.linspace(-1, 1, 144).view(16, 1, 3, 3))
    net[0].bias.zero_()
    return net
"""


@pytest.mark.parametrize(
    ("factory", "teacher"), [("frozen", "training all parameters"), ("loaded", "160 parameters stay")]
)
def test_students_train_what_the_model_froze_and_teachers_what_it_froze_at_random(
    run, tmp_path, monkeypatch, factory, teacher
):
    (tmp_path / "frozen_nets.py").write_text(FROZEN)
    monkeypatch.syspath_prepend(tmp_path)
    ended = run("", "--model", f"frozen_nets:{factory}", *PRUNED)
    assert f"teacher: {teacher}" in ended.err
    assert "student: training all parameters, including 80 that the model's factory froze" in ended.err
    before, after = (
        load_file(next((ended.folder / "stages").glob(f"{stage}-*/*.safetensors"))) for stage in ("pruned", "recover")
    )
    assert not torch.equal(before["0.weight"], after["0.weight"])
    teacher = load_file(ended.folder / "teacher.safetensors")
    assert torch.equal(teacher["0.bias"], torch.zeros(16)) == (factory == "loaded")
