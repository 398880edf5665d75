import pytest

from edgekd.gate.ci._findings import figure, findings, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("p99 ≤ 12.1 ms at 95 %", "p99 ≤ 12.1 ms at 95 %"),
        (" two\r\nlines\u2028of\ttext ", "two lines of text"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("turned \u202eround", "turned \ufffdround"),
        ("名前🙂", "名前🙂"),
    ],
)
def test_plain_text_is_one_line_that_can_be_printed(text, shown):
    assert plain(text) == shown
    assert plain(plain(text)) == shown


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (15.16, "ms", "15.16 ms"),
        (0.98765, "", "0.9877"),
        (1234567, "bytes", "1,234,567 bytes"),
        (12345.6, "ms", "12,346 ms"),
    ],
)
def test_a_figure_has_four_digits_and_bytes_in_full(value, unit, text):
    assert figure(value, unit) == text


def test_each_limit_is_a_finding(verdict, limit):
    found = findings(verdict("fail", limit("pass", "load.limit_ms"), limit("fail")))
    assert [(finding.name, finding.status) for finding in found] == [
        ("load.limit_ms", "pass"),
        ("latency.limit_ms", "fail"),
    ]


def test_reasons_that_the_evidence_does_not_tell_are_added_to_what_is_invalid(verdict, limit):
    broken = limit("invalid", evidence="p99: net: it throttled → invalid")
    found = findings(
        verdict("invalid", broken, limit("pass", "size.disk_bytes"), reasons=("it throttled", "it drifted"))
    )
    assert [finding.reasons for finding in found] == [("it drifted",), ()]


@pytest.mark.parametrize("status", ["pass", "fail"])
def test_a_verdict_that_no_limit_explains_is_a_finding_of_its_own(verdict, limit, status):
    found = findings(verdict("invalid", limit(status), reasons=("it drifted", "it throttled")))
    assert [finding.status for finding in found] == [status, "invalid"]
    assert (found[1].name, found[1].evidence, found[1].reasons) == ("measurement", "it drifted", ("it throttled",))


def test_a_passed_budget_without_limits_finds_nothing(verdict):
    assert findings(verdict("pass")) == []
