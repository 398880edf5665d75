"""`edgekd report`: the page of what is stored is the one that the run wrote."""

import pytest
from example_report import KEPT, REFERENCE, measured, report

from edgekd import cli
from edgekd.errors import EdgekdError, StorageError
from edgekd.failures import run as ending
from edgekd.measuring.document import write
from edgekd.pipeline import reports
from edgekd.report.formats import html


@pytest.fixture
def stored(tmp_path):
    """A run's folder, as far as its report is made from it."""
    found = report()
    files = {"result.json": found.result, f"measurements/{REFERENCE.name}.json": found.reference}
    files |= zip(("verdict/model.json", "verdict/reference.json"), found.judged, strict=True)
    for name, value in files.items():
        write(tmp_path / name, value)
    return tmp_path


def test_the_page_of_a_stored_run_is_the_one_that_the_run_wrote(stored):
    assert reports.report([stored]) == stored / "report.html"
    assert (stored / "report.html").read_text() == html.text(report())


def test_a_run_without_a_device_has_a_page(tmp_path):
    found = report("not measured", device=None)
    write(tmp_path / "result.json", found.result)
    assert "Nothing was measured" in reports.report([tmp_path]).read_text()


def test_measurements_have_a_page_with_their_ratio_and_their_nodes(stored):
    kept, reference = (stored / "verdict" / name for name in ("model.json", "reference.json"))
    page = reports.report([kept, reference])
    assert page == stored / "verdict" / "model.html"
    text = page.read_text()
    assert f"{KEPT.name} ÷ {REFERENCE.name}: latency ratio 0.40" in text
    assert "stem/Conv_quant" in text
    assert "<title>student-onnxruntime-int8 and baseline-onnxruntime-fp32 on x86-cpu</title>" in text
    alone = reports.report([kept], stored / "alone.html").read_text()
    assert REFERENCE.name not in alone


def test_a_measurement_that_is_invalid_says_so_at_once(tmp_path):
    write(tmp_path / "m.json", measured(KEPT, 0.4, invalid=("the power mode changed",)))
    text = reports.report([tmp_path / "m.json"]).read_text()
    assert '<span class="status invalid">invalid</span></h1>' in text
    assert "the power mode changed" in text


def test_a_launch_whose_clock_drifted_spoils_milliseconds_alone(tmp_path):
    drifting = {"canary_ms": tuple(1.0 + 0.0001 * i for i in range(50)) + tuple(1.1 + 0.0001 * i for i in range(50))}
    whole = measured(KEPT, 0.4)
    launches = (whole.launches[0].model_copy(update=drifting), *whole.launches[1:])
    write(tmp_path / "m.json", whole.model_copy(update={"launches": launches}))
    text = reports.report([tmp_path / "m.json"]).read_text()
    name = KEPT.name
    assert f"<strong>milliseconds of {name} are invalid</strong>, ratios to what took turns with it are not" in text


def test_two_are_put_side_by_side_in_a_page_of_their_own(stored):
    assert reports.report([stored], compare=stored) == stored / "compared.html"
    assert "are the same." in (stored / "compared.html").read_text()
    kept, reference = (stored / "verdict" / name for name in ("model.json", "reference.json"))
    assert reports.report([kept], compare=reference) == stored / "verdict" / "model.compared.html"
    for paths, other in (([stored], kept), ([kept, reference], kept)):
        with pytest.raises(EdgekdError, match="side by side"):
            reports.report(paths, compare=other)


def test_what_is_no_run_is_refused_with_what_to_give(tmp_path, stored):
    with pytest.raises(StorageError, match="absent: No such file") as absent:
        reports.report([tmp_path / "absent"])
    assert "folder of a finished run" in absent.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match=r"result\.json"):
        reports.report([tmp_path / "empty"])
    with pytest.raises(EdgekdError, match="a page is of one run") as refused:
        reports.report([stored, stored])
    assert "folder of a finished run" in refused.value.hint
    (tmp_path / "empty" / "result.json").write_text("{}")
    with pytest.raises(EdgekdError, match="is missing"):
        reports.report([tmp_path / "empty"])


def test_the_command_writes_where_it_is_told(stored, capsys):
    out = stored / "elsewhere" / "page.html"
    assert ending(lambda: cli.app(["report", str(stored), "--out", str(out)], standalone_mode=False)) == 0
    assert f"wrote {out}" in capsys.readouterr().err
    assert out.read_text().startswith("<!DOCTYPE html>")
