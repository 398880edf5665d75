import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgekd import catalog
from edgekd.data.folder_images import FolderImages
from edgekd.deploy.export import export_onnx
from edgekd.deploy.feeding import manifest, stamp
from edgekd.deploy.normalising import graph
from edgekd.deploy.writers._base import WRITERS
from edgekd.measuring.artifact import describe
from edgekd.report import usage
from edgekd.runtimes._base import RUNTIMES
from edgekd.runtimes.onnxruntime import EXACT_INTEGERS
from edgekd.runtimes.tensorrt import _trtexec
from edgekd.runtimes.tensorrt._build import Wish
from edgekd.values import Feeding, Lineage, Manifest, Port, Preprocessing, Variant
from edgekd.variants import complete

CLASSES = ("naïve café", "日本", "\"'\\", "two\nlines")
HOWS = [
    Preprocessing(height=24, width=24, resize=28, crop="center", interpolation="bicubic", colour="rgb",
                  mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    Preprocessing(height=24, width=33, colour="rgb", mean=(0.5,) * 3, std=(0.5,) * 3),
    Preprocessing(height=21, width=24, resize=29, crop="center", interpolation="lanczos", colour="grey",
                  mean=(0.1307,), std=(0.3081,)),
]  # fmt: skip


def photo(path, width, height, seed, **how):
    """A photograph's likeness: soft shapes in colour, saved as JPEG."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90, **how)


@pytest.fixture(params=[f"{i}-{by}" for i in range(len(HOWS)) for by in ("caller", "graph")])
def exported(request, tmp_path):
    """An ONNX file with its manifest, and its network."""
    index, by = request.param.split("-")
    how = HOWS[int(index)]
    torch.manual_seed(1)
    channels = len(how.mean)
    network = nn.Sequential(nn.Conv2d(channels, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(len(CLASSES))).eval()
    example = torch.zeros(1, channels, how.height, how.width)
    network(example)
    network[-1].bias.data -= network(torch.rand_like(example))[0]  # so that photos are of several classes
    feeding = Feeding(preprocessing=how, normalised_by=by, classes=CLASSES)
    whole, given = graph(network, example, feeding)
    export_onnx(whole, given, tmp_path / "model.onnx")
    stamp(tmp_path / "model.onnx", feeding, Lineage())
    artifact = describe(tmp_path / "model.onnx", name="model", runtime="onnxruntime")
    return network, manifest(artifact, tmp_path / "model.onnx", feeding)


def answers(network, how, path):
    """The network's logits for a photo, prepared as edgekd prepares validation images."""
    ((image, _),) = FolderImages((path,), torch.tensor([0]), how).batches(1)
    with torch.inference_mode():
        return network(image)[0].numpy()


def test_the_lines_of_the_report_classify_photos_as_the_network_does(exported, tmp_path):
    network, found = exported
    script = f"{usage.lines(found)}\nprint(logits.tolist())"
    turned = Image.Exif()
    turned[0x0112] = 6
    for seed, (width, height) in enumerate([(61, 40), (40, 67), (30, 30), (24, 90), (35, 28), (29, 40)]):
        photo(tmp_path / "photo.jpg", width, height, seed, exif=turned if seed == 0 else Image.Exif())
        expected = answers(network, found.preprocessing, tmp_path / "photo.jpg")
        ran = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        *named, logits = ran.stdout.removesuffix("\n").split("\n")
        assert "\n".join(named) == CLASSES[expected.argmax()]
        np.testing.assert_allclose(eval(logits), expected, atol=2e-5)


def test_no_line_is_too_long_to_read(exported):
    _, found = exported
    assert max(map(len, usage.lines(found).splitlines())) <= 140
    assert len([line for line in usage.lines(found).splitlines() if line and "import" not in line]) <= 10


def test_the_page_shows_the_lines_for_photos():
    how = HOWS[0].model_copy(update={"height": 224, "width": 224, "resize": 256, "interpolation": "bilinear"})
    given, made = (Port(name=name, dtype="float32", shape=(1,), layout="") for name in ("input", "logits"))
    ports = {"input": given, "output": made, "file": "model.onnx", "sha256": "", "precision": "fp32"}
    found = Manifest(preprocessing=how, classes=CLASSES, runtime="onnxruntime", **ports)
    assert f"```python\n{usage.lines(found)}\n```" in (Path(__file__).parents[2] / "docs/compress.md").read_text()


def test_the_size_and_the_normalisation_are_said_in_words():
    crop, squeeze, _ = HOWS
    assert "short side is resized to 28 pixels, bicubic" in usage.size(crop)
    assert "24×33 pixels (height × width)" in usage.size(squeeze)


NOT_DEFAULTS = {
    "threads": 3,
    "spinning": False,
    "exact_integers": True,
    "provider": "XProvider",
    "provider_options": {"key": "value"},
    "dla_core": 1,
    "workspace_mb": 64,
    "tf32": True,
}
"""For each setting of a runtime a value that isn't its default."""


def written_for(runtime, precision, **settings):
    port = Port(name="input", dtype="float32", shape=(1,), layout="")
    stated = {"file": "model.onnx", "sha256": "", "precision": precision, "runtime": runtime, "settings": settings}
    return Manifest(preprocessing=HOWS[0], classes=CLASSES, input=port, output=port, **stated)


@pytest.mark.parametrize("runtime", catalog.names(WRITERS))
def test_the_lines_state_every_setting_of_the_runtime(runtime):
    for precision in catalog.load(WRITERS, runtime).precisions:
        plain = usage.lines(written_for(runtime, precision))
        for name in set(catalog.load(RUNTIMES, runtime).SETTINGS) - {"precision"}:
            with_it = usage.lines(written_for(runtime, precision, **{name: NOT_DEFAULTS[name]}))
            assert with_it != plain, name


def opened_by(found, folder):
    """What the lines of the report call `model`, and the logits that they compute of `values.npy`."""
    script = usage.lines(found.model_copy(update={"preprocessing": found.preprocessing.model_copy(update=OWN)}))
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        names = {}
        exec(script, names)
    return names["model"], names["logits"]


OWN = {"colour": None}
"""Channels of the user's own kind: the lines read `values.npy`."""


@pytest.fixture
def small(tmp_path):
    """A small network's file with its values, and its manifest for a runtime, precision and settings."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 22 * 22, 4)).eval()
    export_onnx(network, torch.zeros(1, 3, 24, 24), tmp_path / "model.onnx")
    feeding = Feeding(preprocessing=HOWS[0], classes=CLASSES)
    stamp(tmp_path / "model.onnx", feeding, Lineage())
    values = np.random.default_rng(0).standard_normal((1, 3, 24, 24)).astype("float32")
    np.save(tmp_path / "values.npy", values)
    artifact = describe(tmp_path / "model.onnx", name="model", runtime="onnxruntime")

    def make(runtime, precision, **settings):
        found = manifest(artifact, tmp_path / "model.onnx", feeding)
        (tmp_path / "model.json").write_text(found.model_dump_json())
        variant = Variant(runtime=runtime, precision=precision, settings=settings)
        session = catalog.load(RUNTIMES, runtime).open(str(tmp_path / "model.onnx"), **complete(variant))
        changes = {"runtime": runtime, "precision": precision, "settings": settings}
        return found.model_copy(update=changes), session, values

    return make


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"threads": 2},
        {"threads": 2, "spinning": False},
        {"exact_integers": True},
        {"provider": "CPUExecutionProvider"},
    ],
    ids=str,
)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_onnxruntime_is_opened_as_it_was_measured(small, tmp_path, precision, settings):
    found, session, values = small("onnxruntime", precision, **settings)
    model, logits = opened_by(found, tmp_path)
    np.testing.assert_array_equal(logits, session.run({"input": values})[0][0])
    measured, ours = session._session.get_session_options(), model.get_session_options()
    assert ours.intra_op_num_threads == measured.intra_op_num_threads == settings.get("threads", 1)
    assert (ours.execution_mode, ours.graph_optimization_level) == (
        measured.execution_mode,
        measured.graph_optimization_level,
    )
    assert model.get_providers() == session._session.get_providers()
    entry = "session.intra_op.allow_spinning"
    assert measured.get_session_config_entry(entry) == ("0" if settings.get("spinning") is False else "1")
    if settings.get("spinning") is False:  # spinning is the library's own default
        assert ours.get_session_config_entry(entry) == "0"
    if settings.get("exact_integers"):
        assert ours.get_session_config_entry(EXACT_INTEGERS[0]) == EXACT_INTEGERS[1]


@pytest.mark.parametrize(
    ("precision", "settings"),
    [
        ("fp32", {}),
        # OpenVINO counts the cores when it is loaded, so a test that shares its process can't give it more later.
        pytest.param("fp32", {"threads": 2}, marks=pytest.mark.alone),
        pytest.param("bf16", {"threads": 2}, marks=pytest.mark.alone),
        ("fp32", {"provider_options": {"PERFORMANCE_HINT": "THROUGHPUT"}}),
    ],
    ids=str,
)
def test_openvino_is_compiled_as_it_was_measured(small, tmp_path, precision, settings):
    openvino = pytest.importorskip("openvino")
    cores = len(os.sched_getaffinity(0))
    if settings.get("threads", 1) > cores:
        pytest.skip(f"OpenVINO takes no more threads than cores, and here are {cores}")
    if precision == "bf16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bf16")
    found, session, values = small("openvino", precision, **settings)
    model, logits = opened_by(found, tmp_path)
    np.testing.assert_array_equal(logits, session.run({"input": values})[0][0])
    measured = session._request.get_compiled_model()
    properties = ["INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS", "PERFORMANCE_HINT", "NUM_STREAMS"]
    properties += ["ENABLE_CPU_PINNING", "ENABLE_HYPER_THREADING"]
    assert {p: model.get_property(p) for p in properties} == {p: measured.get_property(p) for p in properties}
    assert model.get_property("INFERENCE_NUM_THREADS") == settings.get("threads", 1)


@pytest.mark.parametrize("settings", [{}, {"tf32": True, "workspace_mb": 64}, {"dla_core": 1}], ids=str)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8+fp32", "int8+fp16"])
def test_trtexec_gets_the_flags_that_edgekd_builds_with(precision, settings):
    built = usage.usage(written_for("tensorrt", precision, **settings)).build
    command, _, older = built.partition("  # TensorRT 8: ")
    flags = set(command.split()[3:])
    wish = Wish(precision=precision, **settings)
    assert flags == {flag for flag in _trtexec._fixed(wish, "") if flag != "--buildOnly"} | set(
        _trtexec._typing(10, wish)[0]
    )
    if "dla_core" not in settings:
        assert older.removesuffix(" instead").split() == (_trtexec._typing(8, wish)[0] or ["none"])
