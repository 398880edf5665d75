"""JUnit XML as its readers take it: junitparser, and the schema of Jenkins' xunit plug-in."""

from pathlib import Path

import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml, Skipped

from edgekd.gate.budget import Budget
from edgekd.gate.ci import junit as format_
from edgekd.gate.ci._findings import plain
from edgekd.gate.judge import Judged, exit_code, judge
from edgekd.values import Artifact


def junit(verdict, *, tolerate=False):
    return format_.text([Judged(verdict, None)], tolerate=tolerate)


STATUSES = ["pass", "fail", "inconclusive", "not measured", "invalid"]


@pytest.fixture(scope="session")
def schema():
    return xmlschema.XMLSchema(Path(__file__).with_name("junit-10.xsd"))


@pytest.fixture
def read(schema):
    """The one suite of a document that is valid."""

    def parse(text):
        schema.validate(text)
        (suite,) = JUnitXml.fromstring(text.encode())
        return suite

    return parse


@pytest.mark.parametrize(
    ("status", "strict", "tolerant"),
    [
        ("fail", Failure, Failure),
        ("inconclusive", Failure, Skipped),
        ("not measured", Failure, Skipped),
        ("invalid", Error, Error),
    ],
)
def test_a_case_ends_as_its_limit(read, verdict, limit, *, status, strict, tolerant):
    for tolerate, kind in ((False, strict), (True, tolerant)):
        (case,) = read(junit(verdict(status, limit(status)), tolerate=tolerate))
        (result,) = case.result
        assert type(result) is kind
        assert result.type == status
        assert result.message == result.text == limit(status).evidence


def test_a_passed_case_states_its_evidence(read, verdict, limit):
    suite = read(junit(verdict("pass", limit("pass"))))
    (case,) = suite
    assert (suite.name, case.classname, case.name) == ("edgekd camera net", "edgekd.camera", "latency.limit_ms")
    assert case.is_passed
    assert case.system_out == limit("pass").evidence


def test_the_suite_counts_its_cases(read, verdict, limit):
    cases = [limit(status, name=f"x.{status}") for status in STATUSES]
    for tolerate, counts in ((False, (5, 3, 1, 0)), (True, (5, 1, 1, 2))):
        suite = read(junit(verdict("invalid", *cases), tolerate=tolerate))
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == counts


@pytest.mark.parametrize("limits", [{"size": {"disk_bytes": 10**9}}, {"latency": {"limit_ms": 9}}])
@pytest.mark.parametrize("invalid", [(), ("it throttled 3 times", "it drifted")])
def test_a_case_is_broken_just_where_the_command_fails(read, measurement, limits, invalid):
    judged = judge(Budget.model_validate({"name": "b", **limits}), measurement(invalid=invalid))
    suite = read(junit(judged))
    assert (suite.failures + suite.errors > 0) == (exit_code(judged) != 0) == bool(invalid)
    told = "".join(result.text for case in suite for result in case.result)
    assert all(reason in told for reason in invalid)


def test_without_limits_the_suite_is_empty_or_tells_why(read, verdict):
    assert len(read(junit(verdict("pass")))) == 0
    (case,) = read(junit(verdict("invalid", reasons=("it throttled",))))
    assert case.result == [Error("it throttled", "invalid")]


def test_hostile_names_stay_text(read, verdict, limit, hostile):
    judged = verdict("fail", limit(name=hostile, evidence=hostile), budget=hostile, artifact=hostile)
    suite = read(junit(judged))
    (case,) = suite
    assert suite.name == plain(f"edgekd {hostile} {hostile}")
    assert case.classname == plain(f"edgekd.{hostile}")
    assert case.name == plain(hostile)
    assert (case.result[0].text or "") == plain(hostile)


def test_a_hostile_artifact_and_reason_stay_text_when_judged(read, measurement, hostile):
    plainly = measurement().artifact.model_dump()
    bad = measurement(artifact=Artifact(**plainly | {"name": hostile}), invalid=(hostile,))
    suite = read(junit(judge(Budget.model_validate({"name": "b", "latency": {"limit_ms": 9}}), bad)))
    assert suite.errors == len(suite) == 1
