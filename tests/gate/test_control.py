import pytest

from edgekd.gate.budget import Budget
from edgekd.gate.control import controlled
from edgekd.gate.judge import judge

BUDGET = Budget.model_validate({"name": "b", "latency": {"max_ratio": 1.05}})


def blocks(ms):
    return [[[ms] * 5] * 20] * 5


@pytest.mark.parametrize(("off", "status"), [(1.0, "pass"), (1.019, "pass"), (1.03, "invalid"), (0.97, "invalid")])
def test_a_baseline_that_differs_from_itself_spoils_the_session(measurement, off, status):
    base, model, again = (measurement(blocks(ms)) for ms in (1.0, 0.9, off))
    verdict = controlled(judge(BUDGET, model, base), again, base)
    assert verdict.status == status
    assert verdict.control.estimate == pytest.approx(off)
    assert any("beside itself" in reason for reason in verdict.reasons) == (status == "invalid")
