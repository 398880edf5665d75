import sys

import pytest
from browser import PROGRAM, Browser

from edgekd.report.page import page
from edgekd.studies._base import SMOKE, Arm, Published
from edgekd.studies._compare import compared, with_gains, with_tradeoffs
from edgekd.studies._results import Cell, Costs, Failure, Plan, StudyResult, TeacherResult
from edgekd.studies.run.report import arm_rows, document, intervals, markdown
from edgekd.values import Accuracy, Interval


def accuracy(correct):
    return Accuracy(correct=correct, images=1000, dataset="made", split="test")


def costs(nonzero, ratio=0.5):
    latency = Interval(estimate=ratio, low=ratio - 0.01, high=ratio + 0.01) if ratio else None
    counts = {"parameters": 1000, "nonzero": nonzero, "macs": 7, "disk_bytes": 4000, "transfer_bytes": 3000}
    return Costs(**counts, median_ms=ratio, latency=latency)


def result(*, seeds=3, ratio=0.5, **changes):
    arms = [
        Arm(name=name, factors={"structure": name, "learns from": name}, settings={"model": "net"}, control=control)
        for name, control in (("labels", None), ("distilled", "labels"), ("broken", "labels"))
    ]
    scores = {"labels": (800, 810, 805), "distilled": (830, 845, 838), "broken": ()}
    cells = {
        name: [
            Cell(seed=seed, test=accuracy(n), val=accuracy(n), training_seconds=12.0)
            for seed, n in enumerate(correct[:seeds])
        ]
        for name, correct in scores.items()
    }
    teacher = TeacherResult(
        model="net", test=accuracy(850), val=accuracy(850), epochs=9, costs=costs(1000, ratio and 1.0)
    )
    rows = [compared(arm, cells[arm.name], costs(777, ratio) if cells[arm.name] else None) for arm in arms]
    fields = {
        "title": "A study",
        "paper": "Somebody, 1999",
        "published": (Published(what="gain", value="+4.71 points", data="CIFAR-100"),),
        "differs": ("The data.",),
        "plan": Plan(study="s", data="digits", data_fingerprint="", scale=SMOKE, seeds=seeds, target="x86-cpu"),
        "folder": "out",
        "device": "local:" if ratio else None,
        "teachers": (teacher,),
        "arms": with_tradeoffs(with_gains(rows, arms), {"net": teacher}),
        "failures": (Failure(arm="broken", seed=0, message="a | b\nc"),),
    }
    return StudyResult(**fields | changes)


def test_an_arms_row_has_mean_deviation_and_paired_interval():
    header, teacher, labels, distilled, broken = arm_rows(result())
    row = dict(zip(header, distilled, strict=True))
    assert row["test accuracy"] == "83.77 ± 0.75 % (3)"
    assert row["gain in points (95 %)"] == "+3.27 [+2.64, +3.89]"
    assert row["not zero"] == "777"
    assert row["latency ÷ teacher's (95 %)"] == "0.500 [0.490, 0.510]"
    assert row["training"] == "12 s"
    assert teacher[0] == "teacher net"
    assert dict(zip(header, labels, strict=True))["gain in points (95 %)"] == "–"
    assert dict(zip(header, broken, strict=True))["test accuracy"] == "failed"


def test_the_intervals_are_counted():
    assert "Of 1 intervals, each at 95 %, 1 exclude 0" in intervals(result())
    assert "One seed has no interval" in intervals(result(seeds=1))


def test_what_was_not_measured_is_marked():
    found = result(ratio=None)
    header, _, labels, *_ = arm_rows(found)
    assert dict(zip(header, labels, strict=True))["latency ÷ teacher's (95 %)"] == "not measured"
    assert "not measured: no device of target x86-cpu" in markdown(found)
    assert "measured on `local:`" in markdown(result())
    failed = markdown(result(ratio=None, device="local:", remarks=("it throttled (Let it cool.)",)))
    assert "not measured, though there was the device `local:`: see the remarks" in failed
    assert "measured on" not in failed


def test_the_report_has_the_papers_numbers_and_what_failed():
    report = markdown(result(remarks=("no plots: install it",)))
    assert "| gain | +4.71 points | CIFAR-100 | unknown |" in report
    assert "- The data." in report
    assert "| broken | 0 | a \\| b c |" in report
    assert "no plots: install it" in report
    assert "| distilled | +1.23 | 0.777 | 1.000 | 0.500 | 1 | -0.23 |" in report


def test_the_page_has_the_tables_and_draws_each_arm_where_it_is():
    found = result(title="A <b>study</b>", files={"accuracy against latency": "l.png", "features": "f 1.png"})
    shown = page(document(found))
    assert "<b>" not in shown
    assert shown.count("<table>") == 4 + 2  # and the numbers of two pictures
    assert "<title>distilled: 83.77 %, 0.5</title>" in shown
    assert '<a href="f%201.png">features</a>' in shown
    assert "![features](f 1.png)" in markdown(found)
    assert "](l.png)" in markdown(found)  # Markdown shows the file, the page draws it
    assert "## Plots" not in markdown(result())
    assert '<td class="n">83.77 ± 0.75 % (3)</td>' in shown


def test_what_was_not_measured_is_not_drawn():
    shown = page(document(result(ratio=None)))
    assert "Test accuracy against parameters" in shown
    assert "Test accuracy against median latency" not in shown


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="chromium isn't installed: apt-get install chromium")
def test_a_browser_shows_it_without_errors_and_sorts_its_tables(tmp_path):
    (tmp_path / "report.html").write_text(page(document(result())))
    with Browser() as browser:
        browser.open(tmp_path / "report.html", width=400)
        assert browser.value("document.documentElement.scrollWidth") <= 400
        gains = "[...document.querySelector('table').tBodies[0].rows].map((row) => row.cells[3].textContent)"
        browser.value("document.querySelectorAll('table thead button')[3].click()")
        assert browser.value(gains) == ["+3.27 [+2.64, +3.89]", "–", "–", "–"]
        assert browser.complaints() == []


@pytest.fixture
def plots():
    pytest.importorskip("matplotlib")
    from edgekd.studies.run import plots

    return plots


def test_plots_are_drawn_where_there_is_something_to_show(plots):
    assert plots.accuracy_against_parameters(result()).startswith(b"\x89PNG")
    assert plots.accuracy_against_latency(result()).startswith(b"\x89PNG")
    assert plots.accuracy_against_latency(result(ratio=None)) == b""
    assert plots.accuracy_against_parameters(result(arms=())) == b""
    assert plots.features({}) == b""
    points = ((0.0, 1.0), (2.0, 3.0))
    assert plots.features({str(i): (points, (0, 1)) for i in range(5)}).startswith(b"\x89PNG")


def test_drawing_leaves_no_figure_open(plots):
    plots.accuracy_against_parameters(result())
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
