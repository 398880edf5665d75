"""A trained network as the files of a target, each checked where its runtime is, or not with the reason."""

import json
import sys
from pathlib import Path

import fake_tensorrt
import onnx
import pytest
from safetensors.torch import save_file

from edgekd import catalog, cli
from edgekd.deploy.check import Tolerance
from edgekd.deploy.preflight import preflight as checking
from edgekd.deploy.writers import onnxruntime as writer
from edgekd.deploy.writers import tensorrt
from edgekd.failures import run as ending
from edgekd.files import sha256
from edgekd.pipeline import mobile
from edgekd.pipeline.export import _Places
from edgekd.values import Artifact, File, Manifest, Variant
from edgekd.values.preflight import Parsed
from edgekd.zoo import networks


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    network = networks.untrained(networks.architecture("resnet8", classes=10, shape=(1, 8, 8)), 0)
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def parsed(monkeypatch):
    """NVIDIA's parser has tests of its own; the files that it is asked about."""
    asked = []

    def parse(path, compute_capability):
        asked.append((path.name, compute_capability))
        return Parsed(status="accepted", message="fine", compiler="a compiler")

    monkeypatch.setattr(checking, "parse", parse)
    return asked


@pytest.fixture
def here(tmp_path):
    """A target of this machine's kind that has a Jetson's variants."""
    path = tmp_path / "here.toml"
    text = (catalog.folder("targets") / "jetson-orin-nano.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith(("compatible", "family"))]
    path.write_text("\n".join(lines).replace('"aarch64"', '"x86_64"'))
    return path


@pytest.fixture
def export(weights, monkeypatch, capsys):
    def run(*options):
        given = ["--model", "resnet8", "--weights", weights, "--data", "digits", "--normalize", "data", "--json"]
        monkeypatch.setattr("sys.argv", ["edgekd", "export", *map(str, (*given, *options))])
        code = ending(lambda: cli.app(standalone_mode=False))
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else err

    return run


def by_variant(found):
    names = (one["artifact"]["variant"] for one in found["exported"])
    return {f"{v['runtime']}-{v['precision']}": one for v, one in zip(names, found["exported"], strict=True)}


def test_a_jetson_gets_its_files_and_what_this_machine_can_run_is_checked(export, tmp_path, parsed):
    code, found = export("--target", "jetson", "--out", tmp_path / "out")
    assert code == 0
    exported = by_variant(found)
    assert [*exported] == [variant.name for variant in catalog.target("jetson").variants]
    for name, one in exported.items():
        manifest = Manifest.model_validate_json((tmp_path / "out" / one["manifest"]).read_text())
        assert (tmp_path / "out" / manifest.file).is_file()
        assert f"{manifest.runtime}-{manifest.precision}" == name
        assert manifest.sha256 == one["artifact"]["files"][0]["sha256"]
        if manifest.runtime == "onnxruntime":
            assert one["checked_by"] == "this machine"
            assert one["parity"]["sqnr_db"] > 20
            assert one["accuracy"]["split"] == "val"
            assert one["parsed"] is None
            assert one["app"] is None
        else:
            assert "without graph optimisations, in place of tensorrt" in one["checked_by"]
            assert one["parity"]["sqnr_db"] > 20
            assert one["accuracy"] is None
            assert one["parsed"]["message"] == "fine"
    built = [name for name in exported if name.startswith("tensorrt")]
    assert parsed == [(exported[name]["artifact"]["files"][0]["path"], "8.7") for name in built]
    assert [f["rule"] for f in exported["tensorrt-int8+fp16"]["findings"]] == ["int8-on-10.3"]
    assert json.loads((tmp_path / "out" / "export.json").read_text()) == found


def test_a_device_that_has_tensorrt_checks_them_and_its_version_counts(export, here, tmp_path, monkeypatch):
    if fake_tensorrt.COMPILER is None:
        pytest.skip("no C compiler: there is no fake CUDA runtime")
    python = fake_tensorrt.device_python(tmp_path / "fake", FAKE_TENSORRT_VERSION="8.6.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code, found = export("--target", here, "--device", f"local:{python}", "--out", tmp_path / "out")
    exported = by_variant(found)
    assert code == 0
    assert exported["tensorrt-fp16"]["not_checked"] is None
    assert exported["tensorrt-fp32"]["parity"]["sqnr_db"] > 50
    # 8 reads opset 17 and no fp16 in the file
    assert exported["tensorrt-fp16"]["artifact"]["files"] == exported["tensorrt-fp32"]["artifact"]["files"]
    file = exported["tensorrt-int8+fp16"]["artifact"]["files"][0]["path"]
    assert onnx.load(tmp_path / "out" / file).opset_import[0].version == 17
    assert exported["tensorrt-int8+fp16"]["findings"] == []


def test_a_device_that_runs_no_file_is_refused(export, here, tmp_path):
    """A check on this machine would say nothing about that device."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # which has no packages
    python.chmod(0o755)
    code, found = export("--target", here, "--device", f"local:{python}", "--out", tmp_path / "out")
    assert code == 5
    assert "no file can be checked there: " in found
    assert "onnxruntime is not on the device" in found
    assert "hint: Leave --device out to check the files on this machine, or install a runtime there: " in found


def test_a_file_that_fails_its_check_is_an_error(export, tmp_path, monkeypatch):
    strict = writer.precisions["int8"].model_copy(update={"tolerance": Tolerance(sqnr_db=300, top1_agreement=0)})
    monkeypatch.setattr(writer, "precisions", {**writer.precisions, "int8": strict})
    code, found = export("--target", "jetson", "--out", tmp_path / "out")
    assert code == 2
    (finding,) = by_variant(found)["onnxruntime-int8"]["findings"]
    assert (finding["rule"], finding["severity"]) == ("check", "error")
    assert "at least 300" in finding["message"]
    assert by_variant(found)["onnxruntime-fp32"]["findings"] == []


def test_without_weights_nothing_is_trained(export, tmp_path, monkeypatch, capsys):
    code, found = export("--weights", tmp_path / "missing.pt", "--target", "jetson", "--out", tmp_path / "out")
    assert (code, "missing.pt" in found) == (2, True)
    line = ["edgekd", "export", "--model", "resnet8", "--target", "jetson", "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", line)
    assert ending(lambda: cli.app(standalone_mode=False)) == 2
    assert "export needs trained weights" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_phone_gets_every_onnxruntime_file_as_an_app_takes_it(export, tmp_path, monkeypatch):
    code, found = export("--target", "mobile", "--out", tmp_path / "out")
    assert code == 0
    exported = by_variant(found)
    of_ncnn = {name: one for name, one in exported.items() if name.startswith("ncnn")}
    assert [*of_ncnn] == ["ncnn-fp32", "ncnn-fp16", "ncnn-int8", "ncnn-int8+fp16"]
    for one in of_ncnn.values():
        layers, weights = (tmp_path / "out" / file["path"] for file in one["artifact"]["files"])
        assert (layers.suffix, weights) == (".param", layers.with_suffix(".bin"))
        assert [file["sha256"] for file in one["artifact"]["files"]] == [sha256(layers), sha256(weights)]
        assert one["artifact"]["disk_bytes"] == layers.stat().st_size + weights.stat().st_size
        assert json.loads((tmp_path / "out" / one["manifest"]).read_text())["file"] == layers.name
        assert one["app"] is None
    of_onnx = {name: one for name, one in exported.items() if name not in of_ncnn}
    assert [*of_onnx] == ["onnxruntime-fp32", "onnxruntime-int8", "onnxruntime-int8-s8s8"]
    saturating = "vnni" not in Path("/proc/cpuinfo").read_text()
    for name in [name for name, one in of_onnx.items() if saturating and one["app"] is None]:
        (finding,) = of_onnx.pop(name)["findings"]
        assert (finding["rule"], "differs from the ONNX file: SQNR" in finding["message"]) == ("app", True)
        assert "x86 CPUs without VNNI" in finding["remedy"]
    assert "onnxruntime-fp32" in of_onnx
    for one in of_onnx.values():
        app, stem = one["app"], one["artifact"]["files"][0]["path"].removesuffix(".onnx")
        (file,) = app["artifact"]["files"]
        written = tmp_path / "out" / f"{stem}.ort"
        assert (file["path"], file["sha256"]) == (written.name, sha256(written))
        assert app["artifact"]["disk_bytes"] == written.stat().st_size
        assert app["artifact"]["lineage"]["onnx"] == one["artifact"]["files"][0]["sha256"]
        # on x86 ONNX Runtime changes S8 to U8, and not in a file for Arm
        least = 40 if one is exported["onnxruntime-int8-s8s8"] else 90
        assert (app["checked_by"], app["parity"]["sqnr_db"] > least) == ("this machine", True)
        assert "QLinearConv" in (tmp_path / "out" / app["operators"]).read_text() or one is exported["onnxruntime-fp32"]
        assert (tmp_path / "out" / app["report"]).is_file()
    monkeypatch.setattr(mobile, "convert", None)
    assert export("--target", "mobile", "--out", tmp_path / "out") == (code, found)


def test_a_file_for_an_app_that_differs_is_a_warning_and_is_not_written(export, tmp_path, monkeypatch):
    text = (catalog.folder("targets") / "android-phone.toml").read_text()
    target = tmp_path / "one-variant.toml"
    target.write_text("[[variants]]".join(text.split("[[variants]]")[:2]))
    monkeypatch.setattr(mobile, "EXACT", mobile.EXACT.model_copy(update={"sqnr_db": 300}))
    code, found = export("--target", target, "--out", tmp_path / "out")
    assert code == 0
    (one,) = found["exported"]
    assert one["app"] is None
    (finding,) = one["findings"]
    assert (finding["rule"], finding["severity"]) == ("app", "warning")
    assert "differs from the ONNX file: SQNR" in finding["message"]
    assert not list((tmp_path / "out").glob("*.ort"))


def test_what_this_machine_checks_in_place_of_the_device_is_named(simulated, tmp_path):
    file = File(path=tmp_path / "net.onnx", sha256="0" * 64)
    variant = Variant(runtime="onnxruntime", precision="fp32")
    artifact = Artifact(name="net", variant=variant, files=(file,), disk_bytes=1, transfer_bytes=1)
    device = simulated(runtimes=["tensorrt"])
    device.url = "ssh://lab"
    (note,) = _Places((artifact,), device).notes()
    assert note.startswith("net is checked on this machine: onnxruntime is not on the device")
    assert not [*_Places((artifact,), simulated()).notes()]
    assert not [*_Places((artifact,), None).notes()]


def test_a_file_that_the_stand_in_finds_wrong_is_an_error(export, tmp_path, monkeypatch):
    strict = tensorrt.precisions["fp16"].model_copy(update={"tolerance": Tolerance(sqnr_db=300, top1_agreement=0)})
    monkeypatch.setattr(tensorrt, "precisions", {**tensorrt.precisions, "fp16": strict})
    code, found = export("--target", "jetson", "--out", tmp_path / "out")
    assert code == 2
    half = by_variant(found)["tensorrt-fp16"]
    assert [finding["rule"] for finding in half["findings"]] == ["check"]
    assert "in place of tensorrt" in half["checked_by"]
