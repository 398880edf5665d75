"""`edgekd export MODEL.onnx --calibrate IMAGES`: the variants of any ONNX file, proven, measured, and one chosen."""

import json
import math
import re
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgekd import cli
from edgekd.failures import run as ending
from edgekd.pipeline import concluded, from_file, proof_rounds
from edgekd.pipeline.race import HOPELESS
from edgekd.values import MeasuringProtocol

SIDE = 16


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Measures so shortly that nothing is learnt of latency, and everything of the way there: all variants stay."""
    shortly = MeasuringProtocol(launches=2, seconds=0.02, block_seconds=0.005, warmup_seconds=0.02)
    for module in (concluded, from_file):
        monkeypatch.setattr(module, "PROTOCOL", shortly)
    for module in (proof_rounds, from_file):
        monkeypatch.setattr(module, "HOPELESS", math.inf)


@pytest.fixture
def model(tmp_path):
    """Classifies images by their brightest channel, through convolutions that carry each channel on."""

    def make(*, batch="N", kind=TensorProto.FLOAT, outputs=1, metadata=None, opset=17, sides=(SIDE, SIDE)):
        w = np.zeros((16, 3, 1, 1), np.float32)
        w[[0, 1, 2], [0, 1, 2]] = 1
        back = np.zeros((3, 16, 1, 1), np.float32)
        back[[0, 1, 2], [0, 1, 2]] = 1
        pixels = kind == TensorProto.UINT8
        nodes = [helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)] if pixels else []
        nodes += [
            helper.make_node("Conv", ["float" if pixels else "image", "w"], ["wide"]),
            helper.make_node("Relu", ["wide"], ["relu"]),
            helper.make_node("Conv", ["relu", "back"], ["map"]),
            helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["logits"]),
        ]
        names = ["logits", "map"][:outputs]
        shapes = {"logits": [batch, 3], "map": [batch, 3, *sides]}
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("image", kind, [batch, 3, *sides])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in names],
            [numpy_helper.from_array(w, "w"), numpy_helper.from_array(back, "back")],
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        helper.set_model_props(proto, metadata or {})
        path = tmp_path / "net.onnx"
        onnx.save(proto, path)
        return path

    return make


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    for label, name in enumerate(("blue", "green", "red")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for i in range(6):
            pixels = random.integers(0, 180, (20, 24, 3), dtype=np.uint8)
            pixels[..., label] += 70
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return f"folder:{tmp_path / 'photos'}"


@pytest.fixture
def edgekd(monkeypatch, capsys, tmp_path, undisturbed):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["edgekd", *map(str, words)])
        return ending(lambda: cli.app(standalone_mode=False)), *capsys.readouterr()

    return run


@pytest.fixture
def export(edgekd):
    return partial(edgekd, "export")


ZERO_ONE = ("--normalize", "0-1")


def test_a_file_is_made_proven_measured_and_one_is_chosen(export, model, photos, tmp_path, one_runtime):
    path = model()
    given = path.read_bytes()
    code, out, err = export(path, "--target", one_runtime, "--calibrate", photos, *ZERO_ONE, "--out", "o", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert path.read_bytes() == given
    first, *others = found["exported"]
    assert first["given"]
    assert first["ratio"]["estimate"] == 1
    names = {one["artifact"]["name"]: one for one in others}
    assert {"net-onnxruntime-fp32", "net-onnxruntime-int8"} <= names.keys()
    for one in others:
        assert one["checked_by"] == "this machine"
        assert one["parity"]["images"] == 9
        assert one["accuracy"] == {"correct": 9, "images": 9, "dataset": photos, "split": "held out"}
        assert one["median_ms"] > 0
        for file in one["artifact"]["files"]:
            assert (tmp_path / "o" / file["path"]).is_file()
    done = found["calibrated"]
    assert (done["calibrated_on"], done["compared_on"]) == (9, 9)
    assert done["accuracy"]["correct"] == 9
    assert done["choice"]["artifact"] in {"net", *names}
    assert "at most 1 points of the given file's accuracy" in done["loss"]
    notes = " ".join(done["notes"])
    assert "axes N are open" in notes
    assert "only 9 calibrate" in notes
    assert "taken as the classes in this order: blue … red" in notes
    summary = (tmp_path / "o" / "summary.md").read_text()
    assert f"chosen: {done['choice']['artifact']}: " in summary
    assert json.loads((tmp_path / "o" / "export.json").read_text()) == found


def test_a_file_with_open_sides_is_measured_with_images_of_the_stated_size(
    export, model, photos, tmp_path, one_runtime
):
    options = ("--target", one_runtime, "--calibrate", photos, *ZERO_ONE, "--size", SIDE, "--out", "o", "--json")
    code, out, err = export(model(sides=("height", "width")), *options)
    assert code == 0, err
    found = json.loads(out)
    assert all(one["median_ms"] > 0 for one in found["exported"])
    assert found["calibrated"]["shape"] == [1, 3, SIDE, SIDE]
    summary = (tmp_path / "o" / "summary.md").read_text()
    chosen = found["calibrated"]["choice"]["artifact"]
    assert (f" --shape 1x3x{SIDE}x{SIDE} --variant" in summary) == (chosen != "net")


@pytest.fixture
def slow_in_integers(simulated, on_device, monkeypatch):
    """Within this fixture the device takes at least three times as long in integers."""
    for module in (proof_rounds, from_file):
        monkeypatch.setattr(module, "HOPELESS", HOPELESS)
    with on_device(simulated(int8=3.0)):
        yield


@pytest.mark.usefixtures("slow_in_integers")
def test_variants_that_are_hopelessly_slow_beside_the_given_file_are_left_out(export, model, photos, one_runtime):
    code, out, err = export(model(batch=1), "--target", one_runtime, "--calibrate", photos, *ZERO_ONE, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert "int8" not in {one["artifact"]["variant"]["precision"] for one in found["exported"]}
    whys = {gone["name"]: gone["why"] for gone in found["dropped"]}
    says = r"left out after a quick race: \d\.\d times the latency of onnxruntime-fp32, the fastest"
    assert re.fullmatch(says, whys["net-onnxruntime-int8"])
    assert "doesn't report the times of its layers" in whys["net-onnxruntime-int8-partial"]


def test_the_same_command_resumes_and_check_gates_the_result(edgekd, model, photos, tmp_path, one_runtime):
    options = ("export", model(), "--target", one_runtime, "--calibrate", photos, *ZERO_ONE, "--out", "o", "--json")
    code, first, _ = edgekd(*options)
    assert code == 0
    stages = sorted((tmp_path / "o" / "stages").iterdir())
    # of an earlier model, in a variant that isn't made any more
    earlier = json.loads(first)
    gone = json.loads(json.dumps(earlier["exported"][1]).replace('"net-', '"net-gone-'))
    outside = json.loads(json.dumps(earlier["exported"][1]).replace('"net-', '"../net-gone-'))
    earlier["exported"] += [gone, outside]
    (tmp_path / "o" / "export.json").write_text(json.dumps(earlier))
    file = gone["artifact"]["files"][0]["path"]
    left = [tmp_path / "o" / file, tmp_path / "o" / "measured" / f"{gone['artifact']['name']}.json", tmp_path / file]
    for path in left:
        path.write_text("of an earlier model")
    code, again, _ = edgekd(*options)
    assert [path.exists() for path in left] == [False, False, True]
    assert (code, sorted((tmp_path / "o" / "stages").iterdir())) == (0, stages)
    assert json.loads(again) == json.loads(first)
    (tmp_path / "b.toml").write_text('name = "b"\n[accuracy]\nmax_drop_pp = 1.0\n')
    stored = [str(tmp_path / f"o/measured/{name}.json") for name in ("net-onnxruntime-int8", "net")]
    code, *_ = edgekd("check", stored[0], "--baseline", stored[1], "--budget", "b.toml")
    assert code == 0


def test_without_a_device_all_is_made_and_what_runs_nowhere_has_a_stand_in(export, model, photos):
    code, out, err = export(model(batch=1), "--target", "jetson", "--calibrate", photos, *ZERO_ONE, "--json")
    assert code == 0, err
    found = json.loads(out)
    by_name = {one["artifact"]["name"]: one for one in found["exported"]}
    half = by_name["net-tensorrt-fp16"]
    assert "without graph optimisations, in place of tensorrt" in half["checked_by"]
    assert half["parity"]["sqnr_db"] > 40
    assert half["accuracy"] is None
    assert half["parsed"]["status"] in ("accepted", "not judged")
    assert by_name["net-tensorrt-int8+fp16"]["parity"]["sqnr_db"] > 20
    assert found["calibrated"]["choice"] is None
    assert all(one["median_ms"] is None for one in found["exported"])


@pytest.mark.parametrize("name", ["net", "mein Netz ü"])
def test_the_given_file_is_not_replaced_in_its_own_folder(export, model, photos, tmp_path, name):
    path = model().rename(tmp_path / f"{name}.onnx")
    given = path.read_bytes()
    options = ("--target", "raspberry-pi-4", "--calibrate", photos, *ZERO_ONE, "--out", ".", "--json")
    code, out, err = export(path, *options)
    assert code == 0, err
    assert path.read_bytes() == given
    written = [one["artifact"]["files"][0]["path"] for one in json.loads(out)["exported"][1:]]
    assert all((tmp_path / name).is_file() for name in written)


def test_outputs_that_are_no_classes_are_compared_all_of_them(export, model, photos):
    target = ("--target", "raspberry-pi-4")
    code, out, err = export(model(outputs=2), *target, "--calibrate", photos, *ZERO_ONE, "--json")
    assert code == 0, err
    found = json.loads(out)
    others = [one for one in found["exported"][1:] if one["artifact"]["variant"]["runtime"] == "onnxruntime"]
    assert len(others) > 1
    assert all(one["parity"]["top1_agreement"] is None and one["accuracy"] is None for one in others)
    assert "aren't classes" in found["calibrated"]["loss"]
    assert "labels aren't used" in " ".join(found["calibrated"]["notes"])


def test_labels_that_do_not_fit_the_file_are_not_used_and_said(export, model, photos, tmp_path):
    """Red is the file's first output and the last folder: its names, or its answers, show that."""
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    for name, other in (("blue", "a"), ("green", "b"), ("red", "c")):
        (tmp_path / "photos" / name).rename(swapped / {"a": "green", "b": "red", "c": "blue"}[other])
    where = f"folder:{swapped}"
    target = ("--target", "raspberry-pi-4")
    code, out, _ = export(model(), *target, "--calibrate", where, *ZERO_ONE, "--json", "--out", "one")
    done = json.loads(out)["calibrated"]
    assert code == 0
    assert done["accuracy"] is None
    assert "hardly better than guessing" in " ".join(done["notes"])
    assert "labels aren't known, and the output is taken for the scores of" in done["loss"]
    named = model(metadata={"edgekd.classes": '["green", "red", "blue"]'})
    code, out, _ = export(named, *target, "--calibrate", where, *ZERO_ONE, "--json", "--out", "two")
    assert json.loads(out)["calibrated"]["accuracy"]["correct"] == 9
    other = model(metadata={"edgekd.classes": '["dog", "cat", "cow"]'})
    code, out, _ = export(other, *target, "--calibrate", where, *ZERO_ONE, "--json", "--out", "three")
    assert "knows no class 'blue'" in " ".join(json.loads(out)["calibrated"]["notes"])


def test_pixels_and_arrays_are_fed_as_they_are(export, model, photos, tmp_path):
    target = ("--target", "raspberry-pi-4")
    code, out, err = export(model(kind=TensorProto.UINT8), *target, "--calibrate", photos, "--json", "--out", "one")
    assert code == 0, err
    assert "pixels from 0 to 255" in " ".join(json.loads(out)["calibrated"]["notes"])
    images = np.random.default_rng(0).random((4, 3, SIDE, SIDE)).astype(np.float32)
    np.savez(tmp_path / "images.npz", images=images, labels=images.mean((2, 3)).argmax(1))
    code, out, err = export(model(), *target, "--calibrate", tmp_path / "images.npz", "--json", "--out", "two")
    assert code == 0, err
    assert json.loads(out)["calibrated"]["accuracy"]["correct"] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--calibrate", "PHOTOS"], "how the model's images are normalised isn't stated"),
        (["--calibrate", "photos"], "Write folder:photos"),
        (["--calibrate", "net.onnx"], "is no .npz or .npy file"),
        (["--calibrate", "folder:nowhere", "--normalize", "0-1"], "folder:nowhere: no such folder"),
        (["--calibrate", "PHOTOS", "--normalize", "0-1", "--size", "32"], "takes images of 16x16 pixels"),
        (["--calibrate", "PHOTOS", "--normalize", "0-1", "--model", "resnet8"], "takes no option of a network (model)"),
        (
            ["--calibrate", "PHOTOS", "--recipe", "recipe.toml"],
            "takes [data] and [quantize] of a recipe, and not 'model'",
        ),
    ],
)
def test_what_is_not_stated_is_refused_and_nothing_is_left(export, model, photos, options, said):
    tmp_path = model().parent
    (tmp_path / "recipe.toml").write_text('model = "resnet8"\n')
    given = [photos if option == "PHOTOS" else option for option in options]
    code, out, err = export("net.onnx", "--target", "raspberry-pi-4", "--out", "o", *given)
    assert (code, out) == (2, "")
    assert said in err
    assert not list((tmp_path / "o").glob("*.onnx"))
    assert not (tmp_path / "o" / "export.json").exists()


def test_the_options_of_a_file_are_not_for_a_network(export):
    code, _, err = export("--model", "resnet8", "--target", "jetson", "--calibrate", "digits")
    assert code == 2
    assert "for a given file" in err


def test_a_recipe_states_numbers(export, model, photos, tmp_path):
    (tmp_path / "r.toml").write_text("[data]\nmean = 0.0\nstd = 0.0039215686\n[quantize]\nimages = 3\n")
    options = ("--target", "raspberry-pi-4", "--calibrate", photos, "--recipe", "r.toml", "--json")
    code, out, err = export(model(), *options)
    assert code == 0, err
    assert json.loads(out)["calibrated"]["calibrated_on"] == 3


def test_no_torch_is_imported(model, photos, tmp_path):
    options = [model(), "--target", "raspberry-pi-4", "--calibrate", photos, *ZERO_ONE, "--out", tmp_path / "o"]
    code = (
        "import sys\nfrom edgekd import cli\n"
        f"sys.argv = ['edgekd', 'export', *{[str(option) for option in options]!r}]\n"
        "cli.app(standalone_mode=False)\nassert 'torch' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_data_set_calibrates_a_file_that_states_how_it_is_fed(export, tmp_path):
    """Digits of one brightness more than another: the file names its classes in another order than the data set."""
    random = np.random.default_rng(0)
    names = [str(digit) for digit in range(9, -1, -1)]
    how = {"height": 16, "width": 16, "colour": "grey", "mean": [0.3], "std": [0.3], "normalised_by": "caller"}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Flatten", ["c"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(random.standard_normal((10, 1, 16, 16)).astype(np.float32), "w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(proto, {"edgekd.preprocessing": json.dumps(how), "edgekd.classes": json.dumps(names)})
    onnx.save(proto, tmp_path / "digits.onnx")
    code, out, err = export("digits.onnx", "--target", "raspberry-pi-4", "--calibrate", "digits", "--json")
    assert code == 0, err
    done = json.loads(out)["calibrated"]
    assert (done["images"], done["calibrated_on"], done["compared_on"]) == ("digits", 512, 179)
    notes = " ".join(done["notes"])
    assert "knows no class" not in notes
    assert "don't name" not in notes
    code, _, err = export("digits.onnx", "--target", "raspberry-pi-4", "--calibrate", "cifar9", "--json")
    assert code == 2
    assert "cifar9" in err


@pytest.mark.slow
def test_an_interrupted_export_leaves_nothing_half_written_and_resumes(model, photos, tmp_path):
    options = ["export", model(), "--target", "raspberry-pi-4", "--calibrate", photos, *ZERO_ONE, "--out", "o"]
    command = [sys.executable, "-m", "edgekd", *map(str, options)]
    heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    told = ""
    for line in process.stderr:
        told += line
        if line.startswith("export: "):
            process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, told
    assert re.match(r"to go on: .*edgekd export .*net.onnx .*--out o$", told.splitlines()[-1])
    there = {path.name for path in (tmp_path / "o").iterdir() if not path.name.startswith(".")}
    assert there == {"device.json", "stages"}
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "o" / "export.json").is_file()
    assert not list((tmp_path / "o" / "stages").glob(".*.partial"))
