"""Two runs side by side: what differs first; what can't be compared is refused."""

import pytest
from example_report import KEPT, accuracy, measured, report, result

from edgekd.errors import EdgekdError
from edgekd.recipe import recipe
from edgekd.report import compared
from edgekd.report.formats.markdown import written
from edgekd.values import Proposal, Structure
from edgekd.values.lineage import DataOrigin, Lineage

STATED = {"model": "mobilenet_v1:width=0.25", "data.source": "digits", "target": "x86-cpu"}


def told(found):
    return {section.title: "\n\n".join(written(section.blocks)) for section in found.sections}


def of_data(fingerprint):
    data = DataOrigin(name="digits", fingerprint=fingerprint, train=1_258, validation=180, test=1_000)
    return result().manifest.model_copy(update={"lineage": Lineage(data=data)})


def test_what_differs_comes_first_and_what_is_the_same_is_counted():
    other = recipe(None, {**STATED, "recover.epochs": 9, "seed": 3})
    first, second = report(), report("fail", recipe=other)
    narrower = first.result.plan.model_copy(
        update={"proposal": Proposal(structure=Structure(widths={"stem": 8, "block": 24}), what="more")}
    )
    second = type(second)(second.result.model_copy(update={"plan": narrower}), second.reference, second.judged)
    parts = told(compared.runs(first, second))
    assert next(iter(parts)) == "What differs"
    assert "| `recover.epochs` | – | 9 |" in parts["What differs"]
    assert "| `seed` | 0 | 3 |" in parts["What differs"]
    assert "`data.source`" not in parts["What differs"]
    assert "are the same." in parts["What differs"]
    assert "| verdict | pass | fail |" in parts["Verdicts"]
    assert "| `stem` | 16 | 8 |" in parts["Layers"]
    assert "| `block` | whole | 24 |" in parts["Layers"]


def test_the_same_run_twice_differs_in_nothing():
    parts = told(compared.runs(report(), report()))
    assert "| what |" not in parts["What differs"]


def test_times_of_different_sessions_are_never_divided():
    first, second = measured(KEPT, 0.4), measured(KEPT, 0.5, session="another")
    parts = told(compared.measurements(first, second))
    assert "measured in different sessions" in parts["Samples"]
    assert "latency ratio" not in "".join(parts.values())
    assert "latency ratio 1.2" in told(compared.measurements(first, measured(KEPT, 0.5)))["Samples"]


def test_other_images_and_other_targets_are_refused():
    few = tuple(tried.model_copy(update={"test": accuracy(9, images=10)}) for tried in result().tried)
    with pytest.raises(EdgekdError, match="different images don't compare: 1,000 test images of digits and 10 test"):
        compared.runs(report(), report(tried=few))
    with pytest.raises(EdgekdError, match="fingerprint 0123456789ab and 1,000 test images of digits with the finger"):
        compared.runs(report(manifest=of_data("0123456789abcdef")), report(manifest=of_data("f" * 64)))
    compared.runs(report(manifest=of_data("f" * 64)), report(manifest=of_data("f" * 64)))
    with pytest.raises(EdgekdError, match="different targets don't compare"):
        compared.runs(report(), report(recipe=recipe(None, {**STATED, "target": "arm-cpu"})))
    with pytest.raises(EdgekdError, match="different targets don't compare"):
        compared.measurements(measured(KEPT, 0.4), measured(KEPT, 0.4, target="arm-cpu"))
