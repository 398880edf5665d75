"""The pages in a real browser: without errors, missing pictures or sideways scrolling, in every width and colour."""

import os
from pathlib import Path

import pytest
from browser import PROGRAM, Browser
from example_report import KEPT, measured, report

from edgekd.gate.budget import Budget
from edgekd.gate.ci import html as gated
from edgekd.gate.judge import Judged, Unjudged, judge
from edgekd.report import compared
from edgekd.report.formats import html
from edgekd.report.measured import measurements
from edgekd.report.page import page
from edgekd.values import Failure

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="chromium isn't installed: apt-get install chromium"),
]

WIDTHS = (400, 1000, 1600)


@pytest.fixture
def shots_of(tmp_path):
    """Where pictures of a page are kept: in $EDGEKD_SHOTS, or in the test's folder."""
    return lambda what: Path(os.environ.get("EDGEKD_SHOTS") or tmp_path) / what


@pytest.fixture
def shots(written, shots_of):
    return shots_of(written.parent.name)


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.fixture(scope="module", params=["pass", "invalid"])
def written(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html.text(report(request.param)))
    return path


def verdicts():
    """What `check` writes of two devices: a verdict, and a device that couldn't be reached, under a hostile name."""
    found, reference = report().judged
    budget = Budget.model_validate({"name": "b <img src=x>", "latency": {"max_ratio": 0.5, "percentile": 50}})
    gone = Unjudged("attic <script>alert(1)</script>" + 30 * "-long", Failure(message="gone", hint="", exit_code=5))
    return gated.text([Judged(judge(budget, found, reference), found, reference, device="desk"), gone], tolerate=False)


FURTHER = {
    "verdicts": verdicts,
    "measurements": lambda: page(measurements(report().judged)),
    "runs side by side": lambda: page(compared.runs(report(), report("fail"))),
    "measurements side by side": lambda: page(
        compared.measurements(measured(KEPT, 0.4), measured(KEPT, 0.5, session="another"))
    ),
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("what", FURTHER)
def test_the_other_pages_are_shown_whole_in_every_width(browser, tmp_path, shots_of, what, dark):
    path = tmp_path / "page.html"
    path.write_text(FURTHER[what]())
    for width in WIDTHS:
        browser.open(path, width=width, dark=dark)
        browser.picture(shots_of(what) / f"{width}-{'dark' if dark else 'light'}.png")
        assert browser.complaints() == []
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("document.querySelectorAll('main img, main script').length") == 0
        assert browser.value("document.querySelectorAll('h1, main table').length") > 1
        assert browser.value(_CONTRAST) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_shown_whole_in_every_width(browser, written, width, dark, shots):
    browser.open(written, width=width, dark=dark)
    browser.picture(shots / f"{width}-{'dark' if dark else 'light'}.png")
    assert browser.complaints() == []
    assert browser.value("document.title").startswith("mobilenet_v1:width=0.25 on a computer <img")
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value("document.querySelectorAll('main img, main script').length") == 0
    drawn = "[...document.querySelectorAll('svg[role=img], svg.bar')].filter((e) => e.checkVisibility())"
    assert browser.value(f"{drawn}.length") > 10
    assert browser.value(f"{drawn}.every((e) => e.getBoundingClientRect().height > 5)")
    assert browser.value(_CONTRAST) == []


_CONTRAST = """(() => {
  const channel = (c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((c) => channel(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    const colour = getComputedStyle(e).backgroundColor;
    return /^rgba.*, 0\\)$/.test(colour) && e.parentElement ? ground(e.parentElement) : colour;
  };
  return [...document.querySelectorAll('p, td, th, li, summary, figcaption, a, .status')].filter((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < 4.5;
  }).map((e) => e.textContent);
})()"""
"""Texts whose contrast is below what WCAG 2.1 asks for (level AA, 1.4.3)."""


def test_tables_are_sorted_by_numbers_and_come_back(browser, written):
    browser.open(written)
    browser.value(
        "window.table = [...document.querySelectorAll('table')].find((t) => t.textContent.includes('gzip bytes'))"
    )
    ratios = "[...window.table.tBodies[0].rows].map((r) => parseFloat(r.cells[1].textContent))"
    press = "window.table.querySelectorAll('thead button')[1].click()"
    as_written = browser.value(ratios)
    for order in (sorted(as_written), sorted(as_written, reverse=True), as_written):
        browser.value(press)
        assert browser.value(ratios) == order


def test_a_series_can_be_hidden_and_marks_say_what_they_are(browser, written):
    browser.open(written)
    browser.value("document.querySelector('.series input').click()")
    assert browser.value("getComputedStyle(document.querySelector('figure [data-series]')).display") == "none"
    mark = "document.querySelectorAll('figure [data-series]')[1].querySelector('path:last-of-type')"
    browser.value("document.querySelector('figure').scrollIntoView()")
    x, y = browser.value(
        f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({mark}.getBoundingClientRect())"
    )
    browser("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert "student-onnxruntime-int8: 94.00%" in browser.value("document.querySelector('#tip').textContent")


def test_it_can_be_walked_through_by_the_keyboard(browser, written):
    browser.open(written)
    seen = set()
    for _ in range(60):
        for kind in ("keyDown", "keyUp"):
            browser("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        seen.add(browser.value("document.activeElement.tagName"))
    assert {"A", "BUTTON", "INPUT", "SUMMARY", "DIV"} <= seen  # links, headings, series, numbers, wide tables


def test_without_scripts_nothing_is_missing_and_it_can_be_printed(browser, written, shots):
    browser.open(written, scripts=False)
    browser.picture(shots / "without-scripts.png")
    assert browser.complaints() == []
    assert len(browser("Page.printToPDF", printBackground=True)["data"]) > 30_000
