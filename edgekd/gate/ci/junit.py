"""JUnit XML, which CI systems show as test results: one suite for a budget (and device), one case for each limit.

The form is that of Jenkins (junit-10.xsd of its xunit plug-in), which GitLab and the reporters for GitHub read too.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Final

from edgekd.gate.ci._findings import UNDECIDED, Finding, findings, on, plain
from edgekd.gate.judge import Judged, Outcome

HELP = "Write JUnit XML, a case for each limit."
OPTION: Final = "file"

if TYPE_CHECKING:
    from junitparser import TestCase, TestSuite


def text(outcomes: Sequence[Outcome], *, tolerate: bool) -> str:
    """The XML document of verdicts, with a failed or broken case exactly where the exit code isn't 0.

    Args:
        outcomes: a broken limit is a failure, an invalid one an error, and so is a device without a verdict.
        tolerate: a limit that isn't decided, or wasn't measured, is skipped instead of failed.
    """
    from junitparser import JUnitXml

    document, written = JUnitXml(), BytesIO()
    for outcome in outcomes:
        document.add_testsuite(_suite(outcome, tolerate))
    document.write(written)
    return written.getvalue().decode() + "\n"


def _suite(outcome: Outcome, tolerate: bool) -> "TestSuite":
    from junitparser import Error, TestCase, TestSuite

    if isinstance(outcome, Judged):
        verdict = outcome.verdict
        suite = TestSuite(plain(f"edgekd {verdict.budget} {verdict.artifact}") + on(outcome.device))
        suite.add_testcases([_case(outcome, finding, tolerate) for finding in findings(verdict)])
        return suite
    suite, failure = TestSuite(f"edgekd{on(outcome.device)}"), outcome.failure
    case = TestCase("device", classname=f"edgekd{on(outcome.device)}")
    error = Error(plain(failure.message), f"exit code {failure.exit_code}")
    error.text = "\n".join([plain(failure.message), plain(failure.hint)])
    case.result = [error]
    suite.add_testcase(case)
    return suite


def _case(judged: Judged, finding: Finding, tolerate: bool) -> "TestCase":
    from junitparser import Error, Failure, Skipped, TestCase

    case = TestCase(finding.name, classname=plain(f"edgekd.{judged.verdict.budget}") + on(judged.device))
    if finding.status == "pass":
        case.system_out = finding.evidence
        return case
    tolerated = tolerate and finding.status in UNDECIDED
    kind = Skipped if tolerated else Error if finding.status == "invalid" else Failure
    result = kind(finding.evidence, finding.status)
    # some readers show the attribute alone, some the text alone
    result.text = "\n".join([finding.evidence, *finding.reasons])
    case.result = [result]
    return case
