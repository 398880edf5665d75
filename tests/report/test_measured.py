"""The page of measurements."""

from example_report import KEPT, measured

from edgekd.report.formats.markdown import written
from edgekd.report.measured import measurements, time_of_nodes
from edgekd.values import Trace


def test_measurements_of_several_devices_are_told_apart():
    here, name = measured(KEPT, 0.4), KEPT.name
    there = here.model_copy(update={"session": "another", "device": "ssh://pi", "target": "arm-cpu"})
    page = measurements([here, there])
    assert page.title == f"{name} ({here.device}) and {name} (ssh://pi) on {here.target} and arm-cpu"
    where = "\n".join(written(next(one for one in page.sections if one.title.startswith("Where")).blocks))
    assert where.count("measured on") == 2
    assert "measured on ssh://pi" in where
    figures = "\n".join(written(page.sections[0].blocks))
    assert f"{name} (ssh://pi)" in figures
    assert name in measurements([here, here]).title
    assert "(" not in measurements([here, here]).title


def test_a_trace_without_nodes_has_no_table():
    empty = measured(KEPT, 0.4).model_copy(update={"trace": Trace(inferences=1, nodes=())})
    assert time_of_nodes(empty) is None
