import shlex
from pathlib import Path

import pytest

from edgekd.report.exported import remarks
from edgekd.report.summary import gate
from edgekd.values import File
from edgekd.values.exported import Calibrated, Exported, Exports
from edgekd.values.preflight import Finding, Parsed
from edgekd.values.result import Choice, Dropped

ERROR = Finding(rule="opset", severity="error", message="the opset is newer", remedy="Export in a lower one.")


@pytest.mark.parametrize(
    ("findings", "says"),
    [
        ((), "net: accepted (TensorRT-RTX 1)"),
        ((ERROR,), "net: NVIDIA's parser (TensorRT-RTX 1), which isn't the target's"),
    ],
)
def test_what_the_parser_accepts_does_not_contradict_an_error(measurement, findings, says):
    parsed = Parsed(status="accepted", message="accepted", compiler="TensorRT-RTX 1")
    one = Exported(artifact=measurement().artifact, findings=findings, parsed=parsed)
    (line,) = remarks(Exports(target="t", device=None, folder="f", exported=(one,)))
    assert line.startswith(says)


def test_what_several_variants_lack_is_said_once():
    missing = tuple(Dropped(name=name, why="openvino is not installed") for name in ("openvino-fp32", "openvino-bf16"))
    found = Exports(target="t", device=None, folder="f", exported=(), dropped=(*missing, Dropped(name="x", why="slow")))
    assert [*remarks(found)] == [
        "not written: openvino-fp32, openvino-bf16: openvino is not installed",
        "not written: x: slow",
    ]


def test_the_commands_that_gate_an_export_name_its_device_and_survive_spaces(measurement):
    def artifact(name, path):
        files = (File(path=Path(path), sha256="0" * 64),)
        return measurement().artifact.model_copy(update={"name": name, "files": files})

    given, made = artifact("net", "/my models/net.onnx"), artifact("net-fast", "net-fast.onnx")
    choice = Choice(artifact="net-fast", variant=made.variant, why="fast", dropped=())
    found = Exports(
        target="arm-cpu",
        device="ssh://pi",
        folder="my exports",
        exported=(Exported(artifact=given, given=True), Exported(artifact=made)),
        calibrated=Calibrated(images="9", calibrated_on=9, compared_on=9, loss="none", choice=choice),
    )
    stored, again = map(shlex.split, gate(found))
    assert stored[2:5] == ["my exports/measured/net-fast.json", "--baseline", "my exports/measured/net.json"]
    assert again[2:5] == ["my exports/net-fast.onnx", "--baseline", "/my models/net.onnx"]
    assert again[again.index("--device") + 1] == "ssh://pi"
    assert "--device" not in gate(found.model_copy(update={"device": "local:"}))[1]
