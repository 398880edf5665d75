"""The picture of a report is a valid SVG document of the values in the result."""

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from edgekd.report import svg
from edgekd.report.pictures.latency import picture, title
from edgekd.values import Accuracy, Artifact, File, Interval, LimitVerdict, Variant
from edgekd.values.deployment import Parity
from edgekd.values.result import Tried

SVG = "{http://www.w3.org/2000/svg}"
PARITY = Parity(images=1, max_difference=0, sqnr_db=100, top1_agreement=1)


def tried(name, correct, ratio=None):
    variant = Variant(runtime="onnxruntime", precision="fp32")
    file = File(path="model.onnx", sha256="0")
    accuracy = Accuracy(correct=correct, images=1000, dataset="d", split="val")
    return Tried(
        name=name,
        artifact=Artifact(name=name, variant=variant, files=(file,), disk_bytes=1, transfer_bytes=1),
        parity=PARITY,
        val=accuracy,
        test=accuracy,
        ratio=ratio and Interval(estimate=ratio, low=ratio - 0.01, high=ratio + 0.02, confidence=0.95),
    )


def limit(name, value):
    return LimitVerdict(name=name, status="pass", limit=value, observed=0.1, unit="", evidence="")


@pytest.fixture
def result():
    limits = limit("latency.max_ratio", 0.5), limit("accuracy.max_drop_pp", 1.0), limit("size.disk_bytes", 1e6)
    return SimpleNamespace(
        recipe=SimpleNamespace(model="mine:<b> & co"),
        reference="baseline",
        choice=SimpleNamespace(artifact="student-int8"),
        tried=(tried("baseline", 950, 1.0), tried("student-fp32", 940, 0.6), tried("student-int8", 945, 0.4)),
        verdict=SimpleNamespace(limits=limits),
    )


def read(result):
    return ElementTree.fromstring(svg.file(picture(result).svg, title(result)))


def places(root, kind):
    """Of the marks of a kind in the plot: their first two numbers."""
    groups = root.findall(f"{SVG}g")
    marks = [mark for group in groups for mark in group if mark.get("class") == kind]
    numbers = [re.findall(r"[\d.]+", mark.get("d") or f"{mark.get('cx')} {mark.get('cy')}") for mark in marks]
    return [tuple(map(float, found[:2])) for found in numbers]


def test_it_is_titled_and_described_whatever_the_model_is_called(result):
    root = read(result)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Accuracy over latency: mine:<b> & co"
    description = root.get("aria-label")
    assert description.startswith("Accuracy over latency: mine:<b> & co. ")
    assert "student-int8: 94.50%, 0.400 [0.390, 0.420]" in description
    assert description.endswith(
        "Kept: student-int8. The latency limit is 0.5 of the reference's. The accuracy limit is 94.00 %."
    )


def test_each_artifact_is_where_its_values_are_and_the_kept_one_is_marked(result):
    root = read(result)
    (kept,), (other,) = places(root, "kept"), places(root, "other")
    assert kept[0] < other[0]  # faster
    assert kept[1] + 8 < other[1]  # more accurate: higher up
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert "3  student-int8: 94.50%, 0.400 [0.390, 0.420] (kept)" in words
    assert "1  baseline: 95.00%, 1.000 [0.990, 1.020] (reference)" in words
    # the limit is between the kept one and the other
    across, along = (path.get("d") for path in root.findall(f"{SVG}path") if path.get("class") == "limit")
    assert kept[0] < float(re.match(r"M([\d.]+) ", across)[1]) < other[0]
    assert float(re.match(r"M\S+ ([\d.]+)H", along)[1]) == other[1]  # exactly at the limit
    assert {"budget: 0.5", "budget: 94.00 %"} <= {*words}
    (foot,) = (float(text.get("y")) for text in root.iter(f"{SVG}text") if text.text == "budget: 0.5")
    kept_at = next(
        float(text.get("y")) for text in root.iter(f"{SVG}text") if (text.text, text.get("class")) == ("3", None)
    )
    assert foot > kept_at + 100  # not in its way


def test_limits_that_are_not_of_these_axes_are_not_drawn(result):
    result.verdict.limits = limit("latency.limit_ms", 5.0), limit("accuracy.max_drop_pp", 100.0)
    assert 'class="limit"' not in picture(result).svg
    result.verdict.limits = (limit("accuracy.min_top1", 0.9),)
    assert "budget: 90.00 %" in picture(result).svg


def test_one_artifact_alone_has_a_picture_and_what_was_not_measured_has_none(result):
    result.choice.artifact = "baseline"
    result.tried = (tried("baseline", 1000, 1.0), tried("student-int8", 945))
    root = read(result)
    assert len(root.findall(f"{SVG}g")) == 1
    assert any("(kept and reference)" in (text.text or "") for text in root.iter(f"{SVG}text"))
    result.tried = (tried("baseline", 1000),)
    assert picture(result) is None


def test_a_long_name_is_cut_in_the_key_and_whole_below(result):
    long = "a" * 60
    result.tried = (*result.tried, tried(long, 930, 0.7))
    drawn = picture(result)
    assert f"4  {'a' * 35}…: 93.00%" in drawn.svg
    assert drawn.numbers.rows[3][0] == long
