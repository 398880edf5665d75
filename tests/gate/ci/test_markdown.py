"""The Markdown as it is shown: rendered, and read as HTML."""

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from edgekd.gate.budget import Budget
from edgekd.gate.ci import markdown as format_
from edgekd.gate.ci._findings import plain
from edgekd.gate.judge import Judged, judge
from edgekd.values import Artifact, File, Interval

SUMMARY_LIMIT = 1024 * 1024
NO_WIDTH = "\u200b"


def markdown(verdict, measurement, baseline=None):
    return format_.text([Judged(verdict, measurement, baseline)], tolerate=False)


@pytest.fixture
def nothing(measurement):
    return measurement(launches=(), on_target=False)


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.rows, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        assert not [a for a in attrs if a[0] != "style"], attrs  # a table's alignment
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        self.text += data
        if self.tags and self.tags[-1] in ("td", "th") and data.strip():
            self.rows[-1][-1] += data


def shown(text):
    page = _Page()
    page.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))
    return page


@pytest.mark.parametrize(
    ("status", "mark"),
    [("pass", "✅"), ("fail", "❌"), ("inconclusive", "❔"), ("not measured", "➖"), ("invalid", "⚠️")],
)
def test_the_headline_tells_the_status(verdict, limit, nothing, status, mark):
    page = shown(markdown(verdict(status, limit(status)), nothing))
    assert page.text.startswith(f"{mark} {status}: net on budget camera\n")
    assert page.tags[0] == "h3"


def test_each_limit_has_a_row_and_its_evidence(verdict, limit, nothing):
    open_one = limit("inconclusive", "accuracy.min_top1", limit=0.9, observed=None, low=None, high=None, unit="")
    size = limit("fail", "size.disk_bytes", limit=10**6, observed=1234567, low=None, high=None, unit="bytes")
    page = shown(markdown(verdict("fail", limit(), open_one, size), nothing))
    assert page.rows == [
        ["limit", "observed", "budget", "status"],
        ["latency.limit_ms", "15.2 ms, ≥ 15.1 and ≤ 15.4", "≤ 15 ms", "fail"],
        ["accuracy.min_top1", "–", "≥ 0.9", "inconclusive"],
        ["size.disk_bytes", "1,234,567 bytes", "≤ 1,000,000 bytes", "fail"],
    ]
    assert limit().evidence in page.text
    assert page.tags[: page.tags.index("details")].count("li") == 3


def test_reasons_and_the_control_are_reported(verdict, nothing):
    control = Interval(estimate=1.004, low=0.997, high=1.011, confidence=0.975)
    page = shown(markdown(verdict("invalid", reasons=("it throttled",), control=control), nothing))
    assert "it throttled" in page.text
    assert "1.004 (0.997 to 1.011 at 97.5 %)" in page.text
    assert page.rows == []


def test_the_details_tell_how_it_was_measured(measurement):
    budget = Budget.model_validate({"name": "b", "latency": {"max_ratio": 0.6}})
    m, base = measurement(), measurement([[[2.0] * 20] * 4] * 5)
    page = shown(markdown(judge(budget, m, base), m, base))
    assert page.tags.count("details") == page.tags.count("summary") == 1
    for fact in ("on local: some, 2 cores", "onnxruntime 1.31.1", "Target x86-cpu; 5 launches", "0" * 64, "95 % each"):
        assert fact in page.text
    figures = {row[0]: row[1:] for row in page.rows}
    assert page.rows[2] == ["", "net", "net (baseline)"]
    assert figures["p50"] == ["1 ms (≤ 1)", "2 ms (≤ 2)"]


@pytest.mark.parametrize("changes", [{"invalid": ("it throttled",)}, {"on_target": False}, {"launches": ()}])
def test_figures_that_say_nothing_are_left_out(measurement, verdict, changes):
    page = shown(markdown(verdict("pass"), measurement(), measurement(**changes)))
    assert "measured on local: some" in page.text
    assert page.rows == []


def called(artifact, text):
    files = (File(path="n", sha256=text),)
    return Artifact(**dict(artifact) | {"name": text, "files": files})


def test_hostile_names_stay_text(measurement, verdict, limit, hostile):
    def of(name):
        host = measurement().host.model_copy(update={"cpu": name})
        artifact = called(measurement().artifact, name)
        m = measurement(artifact=artifact, host=host, target=name, device=name)
        judged = limit("invalid", name, evidence=name, unit=name)
        return shown(markdown(verdict("invalid", judged, budget=name, artifact=name, reasons=(name,)), m, m))

    page, harmless = of(hostile), of("name")
    assert page.tags == harmless.tags
    assert [len(row) for row in page.rows] == [len(row) for row in harmless.rows]
    found = plain(hostile)
    assert f"invalid: {found} on budget {found}".strip() in page.text.replace(NO_WIDTH, "")
    for reference in ("@someone", "#1", "!1", "://"):
        assert reference not in page.text


@pytest.mark.parametrize("text", ["@" * 10**4, "名" * 10**4, "a`b" * 10**4])
def test_it_fits_a_step_summary_whatever_it_is_given(measurement, verdict, limit, text):
    artifact = called(measurement().artifact, text)
    m = measurement(artifact=artifact, target=text, device=text)
    limits = [limit("fail", text, evidence=text, unit=text)] * 200
    page = markdown(verdict("fail", *limits, budget=text, artifact=text, reasons=(text,) * 200), m, m)
    assert len(page.encode()) < SUMMARY_LIMIT
