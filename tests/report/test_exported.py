import pytest

from edgekd.report.exported import remarks
from edgekd.values.exported import Exported, Exports
from edgekd.values.preflight import Finding, Parsed
from edgekd.values.result import Dropped

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
