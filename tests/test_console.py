import io
import re
import sys
import time

import pytest

from edgekd import catalog, console
from edgekd.console import progress as progress_module
from edgekd.console.pace import Pace, pace
from edgekd.console.progress import ConsoleProgress
from edgekd.errors import EdgekdError
from edgekd.progress import runs
from edgekd.values import DeviceMeasurements, DevicesMeasured, Failure, LimitVerdict, RuntimeInfo, Verdict


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_errors_are_reported_with_their_remedy_on_stderr(capsys):
    console.error(EdgekdError("it broke", "Mend it."))
    console.error(EdgekdError("no remedy"))
    assert capsys.readouterr() == ("", "error: it broke\nhint: Mend it.\nerror: no remedy\n")


def test_square_brackets_are_not_taken_for_styling(capsys, measurement):
    odd = measurement().artifact.model_copy(update={"name": "net[red]"})
    console.measurements([measurement(artifact=odd)])
    assert "net[red]" in capsys.readouterr().out


def test_percentiles_come_with_a_bound_or_the_samples_they_need(capsys, measurement):
    console.measurements([measurement([[[1.0] * 6] * 5])])
    lines = {line[:15].strip(): line[15:].strip() for line in capsys.readouterr().out.splitlines()}
    assert lines["p50"] == "1 ms (≤ 1)"
    assert lines["p90"] == "1 ms (≤ 1)"
    assert lines["p95"] == "needs 59 samples"
    assert lines["peak memory"] == "5.00 MB"
    assert lines["samples"] == "30 in 1 launch"


def test_measurements_are_compared_with_the_last(capsys, measurement):
    console.measurements([measurement([[[0.5] * 20] * 4] * 5), measurement()])
    assert "net ÷ net: latency ratio 0.500 (0.500 to 0.500 at 95 %)" in capsys.readouterr().out
    console.measurements([measurement(session="two"), measurement()])
    assert "different sessions" in capsys.readouterr().out


def test_what_ran_measurements_is_a_row_only_where_it_differs(capsys, measurement):
    one = measurement()
    console.measurements([one, one])
    alike = capsys.readouterr().out
    assert "onnxruntime 1.31.1 CPUExecutionProvider, threads 1, spinning on; batch 1" in alike
    assert not [line for line in alike.splitlines() if line.startswith(("runtime", "threads", "provider"))]
    run_by = RuntimeInfo(name="openvino", version="2", provider="CPU", settings={**one.runtime.settings, "threads": 2})
    console.measurements([one, measurement(runtime=run_by)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["runtime", "onnxruntime", "1.31.1", "openvino", "2"] in lines
    assert ["provider", "CPUExecutionProvider", "CPU"] in lines
    assert ["threads", "1", "2"] in lines
    assert not [line for line in lines if line[:1] == ["spinning"]]
    assert not [line for line in lines if line[:1] == ["measured"] and "onnxruntime" in line]


def test_an_invalid_measurement_says_why(capsys, measurement):
    console.measurements([measurement(invalid=("it throttled",))])
    assert "invalid: net: it throttled" in capsys.readouterr().out


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    limit = LimitVerdict(name="l", status="fail", limit=1, observed=2, unit="ms", evidence="e")
    verdict = Verdict(status="fail", budget="b", artifact="a", limits=(limit,), reasons=("r",))
    shown = []
    for stream, wanted in ((Terminal(), True), (Terminal(), False), (io.StringIO(), True)):
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.delenv("NO_COLOR", raising=False)
        if not wanted:
            monkeypatch.setenv("NO_COLOR", "1")
        console.verdict(verdict)
        shown.append(stream.getvalue())
    assert "\x1b[31mFAIL\x1b[0m" in shown[0]
    assert "\x1b" not in shown[1]
    assert shown[1] == shown[2] == "FAIL: a on budget b\n  fail          e\n  invalid: r\n"


@pytest.mark.parametrize("width", [60, 100])
def test_names_and_urls_are_whole_in_a_narrow_terminal(monkeypatch, width):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    console.targets(catalog.targets())
    shown = re.sub(r"\x1b\[[\d;]*m", "", sys.stdout.getvalue())
    for target in catalog.targets():
        assert re.search(rf"^{target.name}\b", shown, re.MULTILINE), shown
    assert "…" not in shown
    words = {word for target in catalog.targets() for word in (*target.title.split(), target.arch)}
    assert not [word for word in words if word not in shown]
    assert width < 100 or max(map(len, shown.splitlines())) <= width


def test_no_legend_without_a_figure(capsys):
    failure = Failure(message="it is off", hint="Switch it on.", exit_code=5)
    console.devices_measured(DevicesMeasured(devices=(DeviceMeasurements(device="d", url="ssh://d", failure=failure),)))
    assert "upper bound" not in capsys.readouterr().out


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    with ConsoleProgress() as progress:
        progress.stage("recover", "distilling")
        for done in range(5, 96):
            progress.advance(done, 125, "loss 0.5")
            progress.forecast(600)
            now[0] += 1
        progress.note("found something")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "recover: distilling"
    assert lines[1] == "  35 of 125, 1 s each, 1:30 left, loss 0.5, in all about 10 min left"
    assert [line.split(" of ")[0] for line in lines[1:4]] == ["  35", "  65", "  95"]
    assert len(lines) == 5
    assert lines[-1] == "  found something"


def test_a_stage_that_can_not_tell_how_far_it_is_is_not_silent(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress_module, "_LOOK_S", 0.01)
    with ConsoleProgress() as progress:
        progress.stage("prune", "trying how far it can be pruned")
        now[0] += 31
        until = time.time() + 10
        while "for 31 s" not in (err := capsys.readouterr().err) and time.time() < until:
            time.sleep(0.01)
    assert err.splitlines()[-1] == "  for 31 s"


def test_a_quiet_command_says_warnings_alone(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    with ConsoleProgress("quiet") as progress:
        progress.stage("measure", "measuring a file")
        now[0] += 60
        progress.advance(1, 2)
        progress.note("found something")
        progress.warn("the device is hot")
    assert capsys.readouterr() == ("", "  the device is hot\n")
    assert progress.current == "measure: measuring a file"


@pytest.mark.parametrize(("loudness", "says"), [("normal", False), ("verbose", True)])
def test_a_verbose_command_says_which_commands_it_runs(capsys, loudness, says):
    with ConsoleProgress(loudness):
        runs(["python", "-c", "print(1)", "x" * 1000])
    runs(["after"])
    err = capsys.readouterr().err
    assert err.startswith("  runs: python -c 'print(1)' xxx") is says
    assert len(err) < 450
    assert "after" not in err


def test_a_pace_begins_again_with_another_total():
    found = Pace(started=0.0)
    for now, done, total in ((10, 50, 100), (20, 100, 100), (30, 10, 300), (40, 20, 300)):
        found.advance(now, done, total)
    assert found.told() == "20 of 300, 1 s each, 4:40 left"


def test_progress_on_a_terminal_is_a_bar_and_leaves_the_terminal_clean(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with ConsoleProgress() as progress:
        progress.stage("measure", "measuring [a]")
        for done in range(3):
            progress.advance(done, 2)
        progress.note("a note")
    shown = sys.stderr.getvalue()
    assert "measuring [a]" in shown
    assert "2 of 2" in shown
    assert "a note" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is hidden and shown again


@pytest.mark.parametrize(
    ("seconds", "done", "left", "text"),
    [
        (0, 0, 10, ""),
        (2, 0, 10, ""),
        (4, 10, 20, ", 2.5/s, 0:08 left"),
        (10, 5, 10, ", 2 s each, 0:20 left"),
        (1, 1000, 200_000, ", 1,000/s, 3:20 left"),
        (10, 1, 800, ", 10 s each, 2:13:20 left"),
    ],
)
def test_pace_is_reported_once_there_is_one(seconds, done, left, text):
    assert pace(seconds, done, left) == text


@pytest.mark.parametrize(
    ("device", "message", "shown"),
    [
        ("ssh://device", "ssh://device: can't connect", "error: ssh://device: can't connect (exit code 5)"),
        ("orin", "ssh://lab@orin: can't connect", "error: orin: ssh://lab@orin: can't connect (exit code 5)"),
        ("local:", "no answer within 1 s", "error: this machine: no answer within 1 s (exit code 5)"),
        ("local:", "this machine: in use by a", "error: this machine: in use by a (exit code 5)"),
        ("orin", "orin in devices.toml: no target 'x'", "error: orin in devices.toml: no target 'x' (exit code 5)"),
    ],
)
def test_a_device_that_failed_is_named_once(capsys, device, message, shown):
    console.failure(device, Failure(message=message, hint="", exit_code=5))
    assert capsys.readouterr().err == f"{shown}\n"
