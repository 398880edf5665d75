"""Annotations, read back as the runner reads them (actions/runner, ActionCommand.TryParseV2)."""

import re

import pytest

from edgekd.gate.ci import github, markdown
from edgekd.gate.ci._findings import plain
from edgekd.gate.judge import Judged


def annotations(verdict, *, tolerate):
    return github.text([Judged(verdict, None)], tolerate=tolerate)


def parse(text):
    """(command, title, message) of each line."""
    return [_command(line) for line in text.split("\n")]


def _command(line):
    assert "\r" not in line
    kind, title, message = re.fullmatch(r"::(\w+) title=([^:,]+)::(.*)", line).groups()
    return kind, _unescaped(title), _unescaped(message)


def _unescaped(text):
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


@pytest.mark.parametrize(
    ("status", "tolerate", "kind"),
    [
        ("pass", False, "notice"),
        ("fail", False, "error"),
        ("fail", True, "error"),
        ("inconclusive", False, "error"),
        ("inconclusive", True, "warning"),
        ("not measured", False, "error"),
        ("not measured", True, "warning"),
        ("invalid", False, "error"),
        ("invalid", True, "error"),
    ],
)
def test_what_fails_is_an_error_and_what_is_tolerated_a_warning(verdict, limit, status, tolerate, kind):
    judged = limit(status)
    ((found, title, message),) = parse(annotations(verdict(status, judged), tolerate=tolerate))
    assert found == kind
    assert title.startswith("net on camera: ")
    assert title.endswith(status)
    assert message == judged.evidence


def test_passed_limits_are_reported_only_if_all_passed(verdict, limit):
    mixed = verdict("fail", limit("pass", "load.limit_ms"), limit("fail"))
    assert [title for _, title, _ in parse(annotations(mixed, tolerate=False))] == [
        "net on camera: latency.limit_ms: fail"
    ]
    ((kind, _, message),) = parse(annotations(verdict("pass", limit("pass"), limit("pass")), tolerate=False))
    assert kind == "notice"
    assert message == "\n".join([limit("pass").evidence] * 2)


def test_an_invalid_measurement_is_reported_with_its_reasons(verdict, limit):
    judged = verdict("invalid", limit("pass"), reasons=("it throttled", "it drifted"))
    assert parse(annotations(judged, tolerate=True)) == [
        ("error", "net on camera: measurement: invalid", "it throttled\nit drifted")
    ]


@pytest.mark.parametrize(("count", "shown", "left_out"), [(10, 10, None), (11, 10, 2), (25, 10, 16)])
def test_ten_of_a_kind_at_most_and_the_last_says_what_is_missing(verdict, limit, count, shown, left_out):
    broken = [limit("fail", name=f"x.{i}") for i in range(count)]
    open_ones = [limit("inconclusive", name=f"y.{i}") for i in range(count)]
    told = parse(annotations(verdict("fail", *broken, *open_ones), tolerate=True))
    for kind in ("error", "warning"):
        messages = [message for found, _, message in told if found == kind]
        assert len(messages) == shown
        assert (f"and {left_out} more" in messages[-1]) == (left_out is not None)


@pytest.mark.parametrize("status", ["pass", "fail"])
def test_hostile_names_make_no_commands_of_their_own(verdict, limit, hostile, status):
    judged = limit(status, name=hostile, evidence=hostile)
    text = annotations(verdict(status, judged, budget=hostile, artifact=hostile), tolerate=False)
    ((kind, title, message),) = parse(text)
    assert kind == {"pass": "notice", "fail": "error"}[status]
    assert title.startswith(plain(f"{hostile} on {hostile}"))
    assert message == (plain(hostile) if status == "fail" or hostile else "no limits")


def test_what_went_wrong_before_there_was_a_verdict_is_an_error_too():
    assert github.failure("no such file\n::warning::x", "Give 100 % of it.") == (
        "::error title=edgekd check::no such file ::warning::x%0AGive 100 %25 of it."
    )


def test_the_summary_is_added_to_the_file_that_the_runner_names(measurement, verdict, limit):
    judged = Judged(verdict("fail", limit()), measurement())
    variable, added = github.appended([judged], tolerate=False)
    assert (variable, added) == ("GITHUB_STEP_SUMMARY", markdown.text([judged], tolerate=False))
