"""Every example in docs/plug-ins.md works as one new file in its package; `tools/plug_ins.py` has mypy check them."""

import importlib
import importlib.util
import inspect
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from edgekd import catalog
from edgekd.cli.formats import with_formats, write
from edgekd.data.load import load_dataset
from edgekd.deploy.writers._base import WRITERS, Source
from edgekd.devices.device import connect
from edgekd.errors import EdgekdError
from edgekd.gate import budget
from edgekd.gate.judge import Judged, judge
from edgekd.gate.start import start_budget
from edgekd.measuring.artifact import describe
from edgekd.progress import Silent
from edgekd.pruning.apply import apply
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.space import ChannelGroup, Space
from edgekd.report.formats._base import FORMATS as REPORT_FORMATS
from edgekd.report.formats._base import Report
from edgekd.report.write import names as report_files
from edgekd.run import Run
from edgekd.runtimes._base import RUNTIMES
from edgekd.search._base import SEARCHES, Question
from edgekd.steps._read import read_steps
from edgekd.steps._sequence import run_steps
from edgekd.steps._task import Task
from edgekd.store import Store
from edgekd.studies._overview import overview, scaled, study
from edgekd.studies._results import Plan
from edgekd.studies.run.arms import recipe_of
from edgekd.training.forward import forward
from edgekd.training.objective import build_objective
from edgekd.training.supervision import Supervision, Teacher
from edgekd.training.trackers._base import TRACKERS
from edgekd.values import (
    Candidate,
    Cost,
    Interval,
    Launch,
    Node,
    Recovery,
    SearchSettings,
    Step,
    Structure,
    Training,
    Variant,
    VariantLatency,
    Verdict,
)
from edgekd.values.result import Choice, Result
from edgekd.values.rounding import Rounding
from edgekd.zoo import networks
from edgekd.zoo.build import build

ROOT = Path(__file__).parents[2]


def tool():
    spec = importlib.util.spec_from_file_location("plug_ins", ROOT / "tools" / "plug_ins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLES = tool().examples()


def criterion(folder):
    shown, options = criterion_of("shown", {})
    model, image = build("resnet8", classes=10, channels=1).eval(), torch.randn(1, 1, 16, 16)
    subject = Subject(model, image, image[:0], torch.empty(0, dtype=torch.int64), options)
    student = apply(subject, Structure(widths={"stem.0": 8}), shown)
    assert len(student.kept["stem.0"]) == 8
    assert student.model(image).shape == (1, 10)


def search(folder):
    shown = catalog.load(SEARCHES, "shown")
    space = Space(channel_block=8, groups=(ChannelGroup(root="stem", width=24, allowed=(8, 16, 24)),))
    question = Question(
        granularity="channels", settings=SearchSettings(), options=shown.Options(), variants=frozenset({"fp32"})
    )
    cost = Cost(parameters=1, nonzero=1, macs=1)
    found = Interval(estimate=0.4, low=0.4, high=0.4)
    latency = VariantLatency(variant="fp32", median_ms=1.0, ratio=found, fits=True)
    run = SimpleNamespace(
        space=space, measure=lambda proposal: Candidate(proposal=proposal, cost=cost, latencies=(latency,))
    )
    assert shown.trials(question, space)[0].structure.widths == {"stem": 16}
    assert shown.find(question, run).feasible is None
    plan = shown.find(replace(question, has_device=True), run)
    assert (plan.structure.widths, plan.variants, plan.feasible) == ({"stem": 16}, ("fp32",), True)


def loss(folder):
    student, teacher = (build("resnet8", classes=10, channels=1) for _ in range(2))
    images, labels = torch.randn(4, 1, 16, 16), torch.arange(4)
    losses = {"ce": {"weight": 1.0}, "shown": {"weight": 0.5, "scale": 2.0}}
    objective = build_objective(losses, student, teacher, images)
    assert [term.name for term in objective.terms] == ["ce", "shown"]
    assert objective.needs_teacher
    ours, theirs = (forward(model, images, "fp32", None) for model in (student, teacher))
    values = [term.loss(ours, theirs, labels) for term in objective.terms]
    assert all(value.isfinite() and value > 0 for value in values)


def architecture(folder):
    model = build("stack:depth=2,width=8", classes=7, channels=3).eval()
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 7)
    with pytest.raises(EdgekdError, match="depth must be 1 to 6, not 9"):
        build("stack:depth=9", classes=7, channels=3)


def library(folder):
    assert build("shown:16x8", classes=5, channels=1)(torch.zeros(2, 1, 16, 16)).shape == (2, 5)
    with pytest.raises(EdgekdError, match="no perceptron '16y8'"):
        build("shown:16y8", classes=5, channels=1)


def data_source(folder):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 12, 10, 3), dtype=np.uint8)
    np.savez(folder / "mine.npz", images=images, labels=np.arange(60) % 3)
    data = load_dataset(f"shown:{folder / 'mine.npz'}")
    assert (len(data.train), len(data.val), len(data.test)) == (42, 6, 12)
    assert data.train.shape == (3, 12, 10)
    with pytest.raises(EdgekdError, match="no such file"):
        load_dataset("shown:none.npz")


def tracker(folder):
    followed = catalog.load(TRACKERS, "shown").begin(folder / "track", "recover-1", {"epochs": 2})
    followed.epoch(1, {"loss": 0.5, "val": 0.25})
    followed.close()
    assert (folder / "track" / "recover-1.csv").read_text() == "1,loss,0.5\n1,val,0.25\n"


def study_of_a_paper(folder):
    scale = scaled(study("shown"), "smoke")
    assert overview("shown", scale, 3).cells == 12
    plan = Plan(study="shown", data="digits", data_fingerprint="", scale=scale, seeds=1, target="x86-cpu")
    recipes = [recipe_of(plan, arm.settings, 0, 1000, catalog.target("x86-cpu")) for arm in study("shown").arms(scale)]
    assert [recipe.recover.losses.get("kd", {}).get("temperature") for recipe in recipes] == [None, 1, 4, 16]


def writer(folder):
    found = catalog.load(WRITERS, "shown")
    exported = folder / "exported.onnx"
    assert found.write(Source(exported), "fp32", folder / "own.onnx") == exported
    assert set(found.precisions) == {"fp32"}


def runtime(one_node):
    found = catalog.load(RUNTIMES, "shown")
    path = one_node("neg", "Neg", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])])
    session = found.open(str(path))
    assert session.inputs() == [{"name": "x", "shape": ["N", 2], "dtype": "float32"}]
    (negated,) = session.run({"x": np.array([[1, -2]], np.float32)})
    np.testing.assert_array_equal(negated, [[-1, 2]])
    (node,) = session.nodes(0)
    assert Node(**node).ms > 0
    with pytest.raises(ValueError, match="not read"):
        found.open(__file__)
    with connect("local:") as device:
        artifact = describe(path, name="neg", runtime="shown", precision="fp32")
        (outputs,) = device.evaluate(artifact, [np.array([[1, -2]], np.float32)])
    np.testing.assert_array_equal(outputs, [[-1, 2]])


def limit(measurement):
    launches = tuple(Launch(load_ms=1, first_ms=1, warmup_ms=(1.0, 1.5), blocks_ms=((1.0,),)) for _ in range(5))
    measured = measurement().model_copy(update={"launches": launches})
    stated = budget._with_limits(budget.Budget).model_validate({"name": "b", "shown": {"limit_ms": 5}})
    assert stated.limits()[0].needs.given_device
    (found,) = judge(stated, measured).limits
    assert (found.name, found.status, found.observed) == ("shown.limit_ms", "pass", 2.5)
    assert "[shown]" in start_budget(measured, name="b", headroom=2)


def ci_format(folder, measurement):
    command = with_formats(lambda subject, **formats: 0)
    assert "shown" in inspect.signature(command).parameters
    verdict = Verdict(status="fail", budget="b", artifact="a", limits=(), reasons=("it's off",))
    write([Judged(verdict, measurement())], {"shown": folder / "v.csv"}, tolerate=False)
    assert (folder / "v.csv").read_text() == "measurement,fail,it's off\n"


def step(folder):
    (last,) = read_steps([Step(do="shown")])
    with pytest.raises(EdgekdError, match="put it last"):
        read_steps([Step(do="shown"), Step(do="distil")])
    known = networks.architecture("resnet8", classes=10, shape=(1, 16, 16))
    begun = networks.save(networks.untrained(known, 0), folder / "w.safetensors", known, origin="random")
    run = Run(store=Store(folder / "run"), shared=Store(folder / "shared"), progress=Silent())
    supervision = Supervision((Teacher(begun),))
    given = Recovery(), 0, 16, Rounding(), lambda network, share: network, Training()
    task = Task(run, load_dataset("digits"), supervision, *given)
    taken = run_steps([last], begun, task).network
    before, after = (networks.load(network).state_dict() for network in (begun, taken))
    assert all(torch.equal(value, before[name].half().to(value.dtype)) for name, value in after.items())
    assert taken.weights.sha256 != begun.weights.sha256
    assert taken.accuracy is not None


def transport(folder, one_node):
    path = one_node("neg", "Neg", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])])
    artifact = describe(path, name="neg", runtime="onnxruntime", precision="fp32")
    with connect(f"shown:{folder / 'device'}") as device:
        assert device.facts.host.arch == platform.machine()
        (outputs,) = device.evaluate(artifact, [np.array([[1, -2]], np.float32)])
    np.testing.assert_array_equal(outputs, [[-1, 2]])
    assert list((folder / "device").rglob("neg.onnx"))


def report_format(folder):
    verdict = Verdict(status="pass", budget="mine", artifact="student-int8", limits=(), reasons=())
    variant = Variant(runtime="onnxruntime", precision="int8")
    choice = Choice(artifact="student-int8", variant=variant, why="it is the fastest", dropped=())
    result = Result.model_construct(verdict=verdict, choice=choice, target_title="my board")
    assert catalog.load(REPORT_FORMATS, "shown").text(Report(result)) == "pass: student-int8 on my board, budget mine\n"
    assert report_files()["report in shown"] == "report.txt"


USED = {
    "devices.transports": transport,
    "report.formats": report_format,
    "steps": step,
    "pruning.criteria": criterion,
    "search": search,
    "training.losses": loss,
    "zoo.architectures": architecture,
    "zoo.libraries": library,
    "data.sources": data_source,
    "training.trackers": tracker,
    "studies": study_of_a_paper,
    "deploy.writers": writer,
    "runtimes": runtime,
    "gate.limits": limit,
    "gate.ci": ci_format,
}


@pytest.mark.parametrize("package", EXAMPLES)
def test_the_example_works_as_one_new_file(package, tmp_path, monkeypatch, measurement, one_node):
    place = tmp_path / "package"
    place.mkdir()
    (place / "shown.py").write_text(EXAMPLES[package], encoding="utf-8")
    found = importlib.import_module(f"edgekd.{package}")
    monkeypatch.setattr(found, "__path__", [*found.__path__, str(place)])
    try:
        given = {"folder": tmp_path, "measurement": measurement, "one_node": one_node}
        USED[package](**{name: given[name] for name in inspect.signature(USED[package]).parameters})
    finally:
        sys.modules.pop(f"edgekd.{package}.shown", None)


def test_every_kind_of_plug_in_has_an_example():
    assert {kind.package for kind in tool().kinds()} == set(EXAMPLES)


@pytest.mark.parametrize("package", EXAMPLES)
def test_the_example_keeps_the_style(package):
    file = f"edgekd/{package.replace('.', '/')}/shown.py"
    ruff = [sys.executable, "-m", "ruff", "check", "--stdin-filename", file, "-"]
    done = subprocess.run(ruff, input=EXAMPLES[package], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout
