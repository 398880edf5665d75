"""The page in a real browser: without errors, missing pictures or sideways scrolling, in every width and colour."""

import os
from pathlib import Path

import pytest
from browser import PROGRAM, Browser
from example_report import report

from edgekd.report.formats import html

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="chromium isn't installed: apt-get install chromium"),
]

WIDTHS = (400, 1000, 1600)


@pytest.fixture
def shots(written):
    """Where pictures of the page are kept: $EDGEKD_SHOTS, or beside the page."""
    kept = os.environ.get("EDGEKD_SHOTS")
    return Path(kept) / written.parent.name if kept else written.parent


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.fixture(scope="module", params=["pass", "invalid"])
def written(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html.text(report(request.param)))
    return path


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
