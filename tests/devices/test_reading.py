import pytest

from edgekd import catalog
from edgekd.devices.reading import reads, require_readable, unread
from edgekd.errors import UnsupportedModelError
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Needs


@pytest.fixture
def artifact(measurement):
    """Makes an artifact that needs something."""

    def make(opset=17, ir_version=8, *operators, runtime="onnxruntime", **settings):
        made = measurement().artifact
        variant = made.variant.model_copy(update={"runtime": runtime, "settings": settings})
        needs = Needs(ir_version=ir_version, opset=opset, operators=operators)
        return made.model_copy(update={"variant": variant, "needs": needs})

    return make


@pytest.mark.parametrize(
    ("runtime", "version", "opset", "ir_version"),
    [
        ("onnxruntime", "1.7.0", None, None),
        ("onnxruntime", "1.8.1", 14, 7),
        ("onnxruntime", "1.19.2", 21, 10),
        ("onnxruntime", "1.23.0+cu126", 23, 11),
        ("onnxruntime", "1.32.4", 28, 14),
        ("onnxruntime", "1.99.0", None, None),
        ("onnxruntime", "2.0.0", None, None),
        ("onnxruntime", "1", None, None),
        ("onnxruntime", "unknown", None, None),
        ("tensorrt", "8.2.1", None, None),
        ("tensorrt", "8.6.1", 17, None),
        ("tensorrt", "9.3.0", None, None),
        ("tensorrt", "10.3.0.30", 20, None),
        ("tensorrt", "10.9.0", 22, None),
        ("tensorrt", "10.16.2.10", 24, None),
        ("tensorrt", "11.4.1", None, None),
        ("openvino", "2026.4.1", None, None),
    ],
)
def test_a_version_reads_what_is_listed_for_it_and_of_others_nothing_is_known(runtime, version, opset, ir_version):
    row = reads(runtime, version)
    assert (row and row["opset"], row and row["ir_version"]) == (opset, ir_version)


@pytest.mark.parametrize("name", catalog.names(RUNTIMES))
def test_later_versions_read_no_less_and_the_last_row_is_of_unknown_ones(name):
    rows = getattr(catalog.load(RUNTIMES, name), "READS", ())
    assert [row["since"] for row in rows] == sorted({row["since"] for row in rows})
    for what in ("opset", "ir_version"):
        known = [row[what] for row in rows if row[what] is not None]
        assert known == sorted(known)
    assert not rows or rows[-1]["opset"] is rows[-1]["ir_version"] is None


@pytest.mark.parametrize(
    ("needs", "version", "why", "since"),
    [
        ((21, 10), "1.14.1", "it has opset 21 and IR version 10, {up_to} opset 18 and IR version 8", "1.18"),
        ((17, 10), "1.14.1", "it has IR version 10, {up_to} IR version 8", "1.18"),
        ((24, 10), "1.23.2", "it has opset 24, {up_to} opset 23", "1.24"),
        ((40, 13), "1.32.0", "it has opset 40, {up_to} opset 28", None),
        ((19, 9, "Pad-19", "Relu-14"), "1.15.1", "{lacks} Pad-19", "1.16"),
        ((15, 7, "com.microsoft:QGemm"), "1.8.1", "it has opset 15, {up_to} opset 14, and {lacks} com.microsoft:QGemm",
         "1.9"),
        ((14, 7, "com.microsoft:QGemm"), "1.8.1", "{lacks} com.microsoft:QGemm", "1.9"),
        ((19, 9, "DeformConv-19"), "1.20.0", "{lacks} DeformConv-19", "1.25"),
    ],
)  # fmt: skip
def test_what_a_version_does_not_read_is_said_with_the_first_version_that_does(artifact, needs, version, why, since):
    found, words = unread(artifact(*needs), version), ("and that version reads up to", "that version does not have")
    assert (", and ".join(found.reasons), found.since) == (why.format(up_to=words[0], lacks=words[1]), since)
    if since:
        assert unread(artifact(*needs), f"{since}.0") is None


@pytest.mark.parametrize("version", ["1.12.0", "1.19.2", "1.32.0", "1.99.0", "2.1.0", "unknown"])
def test_what_a_version_reads_or_is_not_known_not_to_read_is_not_refused(artifact, version):
    assert unread(artifact(17, 8, "Relu-14", "made.up:Thing"), version) is None
    assert unread(artifact().model_copy(update={"needs": None}), version) is None


def test_an_operator_that_the_cpu_lacks_may_be_another_providers(artifact):
    needs = 19, 9, "DeformConv-19"
    assert unread(artifact(*needs, provider="CPUExecutionProvider"), "1.20.0") is not None
    assert unread(artifact(*needs, provider="CUDAExecutionProvider"), "1.20.0") is None


def test_tensorrt_is_held_to_its_opset_alone(artifact):
    assert unread(artifact(20, 99, runtime="tensorrt"), "10.3.0") is None
    found = unread(artifact(22, 10, runtime="tensorrt"), "10.3.0")
    assert (found.reasons, found.since) == (("it has opset 22, and that version reads up to opset 20",), "10.9")


def test_tensorrt_has_no_operators_on_integers_in_any_version(artifact):
    for operator in ("QLinearConv-10", "com.microsoft:QLinearAdd"):
        found = unread(artifact(17, 8, "Relu-14", operator, runtime="tensorrt"), "10.13.3")
        assert (found.reasons, found.since) == ((f"that version does not have {operator}",), None)


@pytest.mark.parametrize(
    ("needs", "remedy"),
    [
        (
            (21, 10),
            "again with opset 18 or lower; `edgekd export --model NAME --weights FILE --device URL` chooses",
        ),
        ((17, 10), "Its opset needs no such IR version: set the model's ir_version to 8 and save it again. Or use"),
        ((40, 10), "No version of onnxruntime that edgekd knows reads it."),
        ((17, 8, "com.microsoft:MatMulNBits"), "or with a lower opset. Or use onnxruntime 1.16 or newer there"),
    ],
)
def test_the_error_says_what_there_is_to_do(artifact, needs, remedy):
    says = r"net\.onnx: onnxruntime 1\.14\.1 on some board does not read it: "
    with pytest.raises(UnsupportedModelError, match=says) as e:
        require_readable(artifact(*needs), "1.14.1", "some board", lambda least: f"pip install {least}")
    assert remedy in e.value.hint
    require_readable(artifact(17, 8), "1.14.1", "some board", lambda least: "")
