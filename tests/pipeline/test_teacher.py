"""What results are kept under: changed code or weights are another network, in the same run folder or a new one."""

import sys
from dataclasses import dataclass, replace

import pytest
from torch import nn

from edgekd.data.load import load_dataset
from edgekd.errors import EdgekdError
from edgekd.pipeline.student import beginning
from edgekd.pipeline.teacher import TeacherImages, supervision
from edgekd.pipeline.teacher import teacher as make
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store, key_of
from edgekd.values import FurtherTeacher, Recipe, Training
from edgekd.zoo import networks
from edgekd.zoo.weights import save_weights

NETS = """
from torch import nn
def make(classes, channels):
    return nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, classes))
"""
EDITED = NETS.replace("nn.ReLU()", "nn.Sigmoid()")
DRAWN = """
as_drawn = make
def make(classes, channels):
    net = as_drawn(classes, channels)
    nn.init.ones_(net[0].weight)
    return net
"""


@dataclass(frozen=True)
class Asked:
    recipe: Recipe
    run: Run
    images: TeacherImages


TRAINED = Training(epochs=1, precision="fp32", memory_format="contiguous", threads=1, compiled=False)


@pytest.fixture
def job(tmp_path, monkeypatch):
    """As `edgekd compress --model nets:make` starts anew, with nets.py as it is now."""

    def start(code, **recipe):
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        monkeypatch.syspath_prepend(folder)
        # of the same second and size as before, the bytecode would be that of before
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        (folder / "nets.py").write_text(code)
        sys.modules.pop("nets", None)
        stated = {"model": "nets:make", "data": "digits", "target": "x86-cpu", "budget": "b", "teacher": TRAINED}
        run = Run(store=Store(tmp_path / "run"), shared=Store(tmp_path / "shared"), progress=Silent())
        return Asked(Recipe(**{**stated, **recipe}), run, TeacherImages(load_dataset("digits")))

    yield start
    sys.modules.pop("nets", None)


def teacher(job):
    return make(job.run, job.recipe, job.recipe.teacher, job.images)


def weights_of(job, path):
    architecture = networks.architecture(job.recipe.model, classes=10, shape=job.images.data.train.shape)
    save_weights(networks.untrained(architecture, 0), path)


def student(job):
    return beginning(job.run, job.recipe, job.images.data, None)


def seeing(job, **changes):
    return replace(job, images=TeacherImages(replace(job.images.data, **changes)))


def test_edited_code_is_another_teacher_and_the_same_code_is_found(job):
    first = teacher(job(NETS)).network
    assert teacher(job(NETS)).network == first
    assert teacher(job(EDITED)).network.weights != first.weights
    assert teacher(job(NETS)).network == first
    assert len(list(job(NETS).run.shared.root.glob("stages/teacher-*"))) == 2


def test_edited_code_is_another_network_with_the_same_weights(job, tmp_path):
    ours = job(NETS)
    weights_of(ours, tmp_path / "w.safetensors")
    given = {"weights": str(tmp_path / "w.safetensors")}
    first, edited, again = (teacher(job(code, **given)).network for code in (NETS, EDITED, NETS))
    assert len(list(ours.run.store.root.glob("stages/teacher-*"))) == 2
    assert first.weights.sha256 == edited.weights.sha256
    assert first.key() == again.key() != edited.key()
    definition = tmp_path / "definition.json"
    definition.write_text("{}")
    assert first.model_copy(update={"definition": networks.file_of(definition)}).key() != first.key()


def test_a_further_teacher_that_is_the_original_again_is_refused(job):
    asked = job(NETS, seed=1, teachers=(FurtherTeacher(model="nets:make", seed=1),))
    with pytest.raises(EdgekdError, match="two teachers are the same network with the same weights: nets:make") as e:
        supervision(asked.run, asked.recipe, teacher(asked).network, asked.images)
    assert "another seed" in e.value.hint
    other = job(NETS, seed=1, teachers=(FurtherTeacher(model="nets:make", seed=2),))
    assert len(supervision(other.run, other.recipe, teacher(other).network, other.images).teachers) == 2


def test_images_that_are_called_otherwise_are_named_as_they_are_called_now(job, tmp_path):
    ours = job(NETS)
    weights_of(ours, tmp_path / "w.safetensors")
    given = job(NETS, weights=str(tmp_path / "w.safetensors"))
    for each in (given, ours):
        teacher(each)
        renamed = seeing(each, name="the same")
        assert teacher(renamed).network.accuracy.dataset == "the same"
    assert len(list(ours.run.store.root.glob("stages/teacher-*"))) == 1


def test_other_weights_to_begin_with_are_another_student(job):
    own = {"student": "nets:make", "model": "resnet8"}
    first = student(job(NETS, **own))
    assert student(job(NETS, **own)).weights.sha256 == first.weights.sha256
    wider = NETS.replace("channels, 8", "channels, 16").replace("(8, classes)", "(16, classes)")
    assert student(job(wider, **own)).cost.parameters > first.cost.parameters
    drawn = student(job(f"{NETS}{DRAWN}", **own))
    assert drawn.architecture == first.architecture
    assert drawn.weights.sha256 != first.weights.sha256
    assert student(job(NETS, **own, seed=1)).weights.sha256 != first.weights.sha256


def test_students_of_edited_or_other_teachers_are_others(job):
    def key(code, **recipe):
        ours = job(code, **recipe)
        return str(key_of(supervision(ours.run, ours.recipe, teacher(ours).network, ours.images)))

    further = {"teachers": (FurtherTeacher(model="nets:make", seed=1),)}
    keys = {key(NETS), key(EDITED), key(NETS, **further), key(EDITED, **further)}
    assert len(keys) == 4
    assert key(NETS, **further) in keys
    heavier = {"teachers": (FurtherTeacher(model="nets:make", seed=1, weight=2.0),)}
    assert key(NETS, **heavier) not in keys


def test_images_seen_otherwise_are_another_teacher(job):
    ours = job(NETS)
    other = seeing(ours, classes=tuple("abcdefghij"))
    teacher(ours)
    teacher(other)
    assert len(list(ours.run.shared.root.glob("stages/teacher-*"))) == 2


RENAMED = NETS.replace("def make", "def of_before")
"""As the code of another project, or of this one after an edit, has the network of NETS."""


@pytest.mark.parametrize("now", [RENAMED, f"{RENAMED}{EDITED}"])
@pytest.mark.parametrize("is_given", [False, True])
def test_a_network_that_is_found_is_built_by_the_name_of_today(job, tmp_path, now, is_given):
    """Its own one stands for nothing any more, or for another network of the same weights."""
    weights_of(job(NETS), tmp_path / "w.safetensors")
    given = {"weights": str(tmp_path / "w.safetensors")} if is_given else {}
    before = teacher(job(NETS, **given)).network
    ours = job(now, model="nets:of_before", **given)
    found = teacher(ours).network
    assert found.weights == before.weights
    assert found.architecture.model == "nets:of_before"
    assert isinstance(networks.load(found)[1], nn.ReLU)
    assert student(job(NETS, student="nets:make")).architecture.model == "nets:make"
    assert student(job(now, student="nets:of_before")).architecture.model == "nets:of_before"
