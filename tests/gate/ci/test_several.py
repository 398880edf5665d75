"""The formats for several devices."""

import json
from dataclasses import replace

import pytest

from edgekd import catalog
from edgekd.gate.ci import badge, bencher, benchmark_action, github, junit, markdown
from edgekd.gate.ci._base import FORMATS
from edgekd.gate.judge import Judged, Unjudged
from edgekd.values import Failure

GONE = Unjudged("gone", Failure(message="gone is off", hint="Switch it on.", exit_code=5))


@pytest.fixture
def on(verdict, limit, measurement):
    """Makes the outcome of a device."""

    def make(device, status):
        return Judged(verdict(status, limit(status)), measurement(), device=device)

    return make


def test_the_badge_is_of_the_worst_device(on):
    def said(*outcomes):
        found = json.loads(badge.text(outcomes, tolerate=False))
        return found["message"], found["color"]

    failed, passed = on("pi", "fail"), on("orin", "pass")
    assert said(passed, GONE, failed)[0].startswith("fail")
    assert said(passed, GONE, failed)[0].endswith("on pi")
    assert said(passed, GONE) == ("not measured on gone", "lightgrey")
    assert said(GONE) == ("not measured on gone", "lightgrey")
    assert said(passed, on("pi", "pass"))[1] == "brightgreen"


def test_figures_are_named_by_device_and_a_failed_one_has_none(on):
    outcomes = [on("orin", "pass"), GONE, on("pi", "fail")]
    assert [*json.loads(bencher.text(outcomes, tolerate=False))] == ["net on orin", "net on pi"]
    names = {entry["name"].partition(":")[0] for entry in json.loads(benchmark_action.text(outcomes, tolerate=False))}
    assert names == {"net on orin", "net on pi"}


def test_github_annotates_each_device(on):
    lines = github.text([on("orin", "pass"), GONE, on("pi", "fail")], tolerate=False).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error", "::notice"]
    assert "on gone::gone is off%0ASwitch it on." in lines[0]
    assert " on pi%3A " in lines[1]
    assert " on orin%3A " in lines[2]


def test_markdown_stays_below_what_github_takes(on):
    many = [replace(on("pi", "fail"), device=f"d{number} {'x' * 250}") for number in range(2000)]
    text = markdown.text(many, tolerate=False)
    assert len(text.encode()) < 1_000_000
    assert text.rstrip().endswith("more devices")


@pytest.mark.parametrize("name", catalog.names(FORMATS))
def test_hostile_names_of_devices_stay_text(name, on, hostile):
    failed = Unjudged(hostile, Failure(message=hostile, hint=hostile, exit_code=5))
    format_ = catalog.load(FORMATS, name)
    written = format_.text([on(hostile, "fail"), failed], tolerate=False)
    assert "\x1b" not in written
    if format_ is junit:
        assert written.count("<testsuite ") == 2
    if format_ is github:
        assert all(line.startswith("::error title=") for line in written.splitlines())
