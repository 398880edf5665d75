"""JUnit XML, which CI systems show as test results: one suite for a budget, one case for each of its limits.

The form is that of Jenkins (junit-10.xsd of its xunit plug-in), which GitLab and the reporters for GitHub read too.
"""

from io import BytesIO
from typing import TYPE_CHECKING, Final

from edgekd.gate.ci._findings import UNDECIDED, Finding, findings, plain
from edgekd.gate.judge import Judged
from edgekd.values import Verdict

HELP = "Write JUnit XML, a case for each limit."
OPTION: Final = "file"

if TYPE_CHECKING:
    from junitparser import TestCase


def text(judged: Judged, *, tolerate: bool) -> str:
    """The XML document of a verdict, with a failed or broken case exactly where the command doesn't end in 0.

    Args:
        judged: a broken limit is a failure, an invalid one an error.
        tolerate: a limit that isn't decided, or wasn't measured, is skipped instead of failed.
    """
    from junitparser import JUnitXml, TestSuite

    verdict = judged.verdict
    suite = TestSuite(plain(f"edgekd {verdict.budget} {verdict.artifact}"))
    suite.add_testcases([_case(finding, verdict, tolerate) for finding in findings(verdict)])
    document, written = JUnitXml(), BytesIO()
    document.add_testsuite(suite)
    document.write(written)
    return written.getvalue().decode() + "\n"


def _case(finding: Finding, verdict: Verdict, tolerate: bool) -> "TestCase":
    from junitparser import Error, Failure, Skipped, TestCase

    case = TestCase(finding.name, classname=plain(f"edgekd.{verdict.budget}"))
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
