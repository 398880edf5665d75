"""The reference: named by the target, whatever the order of its precisions, and nothing without its check."""

from dataclasses import replace

import pytest

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.deploy.writers.onnxruntime import tolerances
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.gate import budget as budgets
from edgekd.pipeline import ladder
from edgekd.pipeline.baseline import baseline, require_reference
from edgekd.pipeline.candidates import candidate
from edgekd.pipeline.job import Job
from edgekd.pipeline.students import Students
from edgekd.progress import Silent
from edgekd.store import Store
from edgekd.values import Recipe, Variant
from edgekd.values.result import Dropped, Ladder
from edgekd.zoo import networks

TARGET = catalog.target("x86-cpu")


def variant(precision, runtime="onnxruntime"):
    return Variant(runtime=runtime, precision=precision)


def variants(*precisions):
    return tuple(map(variant, precisions))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("run"))


@pytest.fixture
def net(run, simulated):
    """Random weights, whose INT8 is another function."""

    def make(**target):
        job = Job(
            recipe=Recipe(model="resnet8", data="digits", target="x86-cpu", budget="half-latency"),
            target=TARGET.model_copy(update=target),
            budget=budgets.load("half-latency"),
            data=load_dataset("digits"),
            device=simulated(int8=0.5),
            run=run,
            shared=run,
            progress=Silent(),
        )
        run.root.mkdir(exist_ok=True)
        return job, networks.save(job.network(), run.root / "w.safetensors", job.architecture, origin="given")

    return make


@pytest.fixture
def failing(monkeypatch):
    """Makes the check of one precision fail."""

    def make(precision):
        demanded = tolerances.get(precision)
        monkeypatch.setattr(ladder, "failure", lambda parity, of: "it differs" if of == demanded else None)

    return make


@pytest.mark.parametrize("precisions", [("fp32", "int8"), ("int8", "fp32")])
def test_fp32_is_the_reference_wherever_it_stands(net, failing, precisions):
    failing("none")
    found = baseline(*net(variants=variants(*precisions)))
    assert found.reference.artifact.name == "baseline-fp32"
    assert found.precisions == {"fp32", "int8"}
    assert found.placed(found.reference).path.is_file()


def test_the_target_may_name_another_one(net, failing):
    failing("none")
    assert baseline(*net(reference=variant("int8"))).reference.artifact.precision == "int8"


def test_a_reference_that_fails_its_check_ends_the_run_though_int8_passes(net, failing):
    failing("fp32")
    says = r"baseline-fp32, which all drops and ratios refer to, didn't pass its check: it differs"
    with pytest.raises(UnsupportedModelError, match=says) as e:
        # what was found above isn't found for it
        baseline(*net(variants=(*variants("fp32", "int8"), variant("fp32", "another"))))
    assert e.value.exit_code == 2
    assert "[reference]" in e.value.hint


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({"variants": variants("int8")}, "its reference is fp32, and it is written in int8"),
        ({"reference": variant("fp16")}, "its reference is fp16, and it is written in fp32, int8"),
        ({"variants": (variant("fp32", "tensorrt"),)}, "written in none"),
    ],
)
def test_a_reference_that_is_not_written_is_told_before_anything_is_trained(net, target, says):
    with pytest.raises(EdgekdError, match=says):
        require_reference(net(**target)[0])
    require_reference(net()[0])


def test_a_plan_does_not_count_on_a_precision_that_has_been_dropped(net, failing):
    """INT8 of the pruned network would fit in half of fp32's time; the original's failed its check."""
    failing("none")
    job, network = net()
    both = baseline(job, network)
    gone = Dropped(name="baseline-int8", why="it differs")
    alone = replace(both, ladder=Ladder(rungs=(both.reference,), dropped=(gone,)))
    with Students(job, network.architecture, network.weights) as students:
        counted, dropped = (candidate(job, students, 0.5, files) for files in (both, alone))
    assert [rung.precision for rung in counted.rungs] == ["fp32", "int8"]
    assert "int8" in counted.fits({"fp32", "int8"})
    assert [rung.precision for rung in dropped.rungs] == ["fp32"]
