"""The `edgekd` command as it is called: a real process, its streams and its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekd.profiling.document import read_measurement, write
from edgekd.schema import Measurement, Verdict

# as for most users: then what can't be written is noticed late
BUFFERED = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}

QUICK = ["--launches", "1", "--seconds", "0.05"]


def edgekd(*arguments, timeout=120, **settings):
    command = [sys.executable, "-m", "edgekd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **settings)


@pytest.fixture
def budget(tmp_path):
    def make(text):
        path = tmp_path / "budget.toml"
        path.write_text(f'name = "mine"\n{text}\n')
        return path

    return make


@pytest.fixture
def stored(tmp_path, measurement):
    def store(name="m.json", **changes):
        write(tmp_path / name, measurement(**changes))
        return tmp_path / name

    return store


@pytest.mark.parametrize(
    ("limits", "changes", "ends"),
    [
        ("[latency]\nlimit_ms = 2.0", {}, (0, "PASS")),
        ("[latency]\nlimit_ms = 0.5", {}, (1, "FAIL")),
        ("[latency]\nlimit_ms = 2.0\npercentile = 99.9", {}, (3, "INCONCLUSIVE")),
        ("[accuracy]\nmin_top1 = 0.9", {}, (3, "NOT MEASURED")),
        ("[latency]\nlimit_ms = 2.0", {"invalid": ("it throttled",)}, (4, "INVALID")),
    ],
)
def test_check_ends_in_the_verdicts_code(budget, stored, limits, changes, ends):
    code, word = ends
    found = edgekd("check", stored(**changes), "--budget", budget(limits))
    assert (found.returncode, found.stderr) == (code, "")
    assert found.stdout.startswith(f"{word}: net on budget mine\n")
    assert "→" in found.stdout


@pytest.mark.parametrize(
    ("policy", "code", "says"), [("fail", 3, ""), ("warn", 0, "warning: not measured"), ("pass", 0, "")]
)
def test_what_is_undecided_ends_as_asked(budget, stored, policy, code, says):
    limits = budget("[accuracy]\nmin_top1 = 0.9")
    found = edgekd("check", stored(), "--budget", limits, "--on-inconclusive", policy)
    assert found.returncode == code
    assert found.stderr.startswith(says) if says else not found.stderr


def test_an_undecided_policy_never_hides_a_broken_budget(budget, stored):
    limits = budget("[accuracy]\nmin_top1 = 0.9\n[latency]\nlimit_ms = 0.5")
    assert edgekd("check", stored(), "--budget", limits, "--on-inconclusive", "pass").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["check"],
        ["check", "m.json", "--budgt", "x"],
        ["check", "m.json", "--budget", "half-latency", "--on-inconclusive", "maybe"],
        ["check", "missing.json", "--budget", "half-latency"],
        ["check", "m.json", "--budget", "no-such-budget"],
        ["targets", "no-such-target"],
        ["profile", "missing.onnx", "--target", "x86-cpu"],
        ["profile", "m.onnx", "--target", "x86-cpu", "--threads", "0"],
        ["profile", "m.onnx", "--target", "x86-cpu", "--device", "telepathy://me"],
    ],
)
def test_wrong_usage_ends_in_2_and_says_what(tmp_path, arguments):
    found = edgekd(*arguments, cwd=tmp_path)
    assert found.returncode == 2
    assert found.stderr
    assert "Traceback" not in found.stderr
    assert found.stdout == ""


def test_a_damaged_measurement_ends_in_2_with_the_place(budget, stored):
    path = stored()
    path.write_text(
        path.read_text().replace('"load_ms":20.0', '"load_ms":-1').replace('"load_ms": 20.0', '"load_ms": -1')
    )
    found = edgekd("check", path, "--budget", budget("[latency]\nlimit_ms = 2"))
    assert found.returncode == 2
    assert f"error: {path}: launches.0.load_ms" in found.stderr
    assert "hint: " in found.stderr


def test_measurements_that_do_not_compare_end_in_4(stored):
    other = stored("base.json", session="two")
    found = edgekd("check", stored(), "--baseline", other, "--budget", "half-latency")
    assert found.returncode == 4
    assert "different sessions" in found.stderr


def test_a_target_of_another_kind_ends_in_3(model):
    found = edgekd("profile", model(), "--target", "jetson", *QUICK)
    assert found.returncode == 3
    assert "not measured: this machine" in found.stderr


def test_an_unreachable_device_ends_in_5(model):
    found = edgekd("profile", model(), "--target", "x86-cpu", "--device", "local:/no/such/python", *QUICK)
    assert found.returncode == 5
    assert "/no/such/python" in found.stderr


BROKEN = """
import sys
import edgekd.console
def broken(*_):
    {raises}
edgekd.console.targets = broken
sys.argv = ["edgekd", "targets"]
from edgekd.cli import main
main()
"""


def broken(raises, **environment):
    command = [sys.executable, "-c", BROKEN.format(raises=raises)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )


def test_a_bug_ends_in_70_with_its_traceback_in_a_file(tmp_path):
    found = broken("1 / 0", TMPDIR=str(tmp_path))
    assert found.returncode == 70
    (log,) = tmp_path.glob("edgekd-*.log")
    assert str(log) in found.stderr
    assert "Traceback" not in found.stderr
    text = log.read_text()
    assert "ZeroDivisionError" in text
    assert "in broken" in text
    assert text.startswith("edgekd ")


@pytest.mark.parametrize("raises", ["sys.exit(1)", "raise RuntimeError", "raise OSError(5, 'Input/output error')"])
def test_nothing_but_a_broken_budget_ends_in_1(raises):
    assert broken(raises).returncode == 70


def test_a_full_disk_ends_in_2():
    found = broken("import errno; raise OSError(errno.ENOSPC, 'No space left on device', '/runs/m.json')")
    assert found.returncode == 2
    assert "error: /runs/m.json: No space left on device" in found.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output_ends_in_2():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "edgekd", "targets"]
        found = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=BUFFERED
        )
    assert found.returncode == 2
    assert "No space left" in found.stderr


@pytest.mark.parametrize("arguments", [["targets"], ["targets", "--json"], ["--help"]])
def test_a_reader_that_goes_away_is_no_broken_budget(arguments):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "edgekd", *arguments]
    found = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=BUFFERED
    )
    os.close(write)
    assert found.returncode == 141
    assert found.stderr == ""


def test_an_interrupt_ends_in_130_and_leaves_no_agent(model):
    command = [sys.executable, "-m", "edgekd", "profile", str(model()), "--target", "x86-cpu", "--seconds", "60"]
    # a shell lets what it starts in the background ignore Ctrl-C
    settings = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **settings) as process:
        deadline = time.monotonic() + 60
        while not (agents := children(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert agents
    # one that was just being started ends by itself, when it sees that nobody will ask it anything
    deadline = time.monotonic() + 20
    while (left := [a for a in agents if Path(f"/proc/{a}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_a_profile_is_written_shown_and_checked(tmp_path, model):
    small, large, out = model("small"), model("large", layers=12, channels=32), tmp_path / "small.json"
    found = edgekd(
        *("profile", small, "--baseline", large, "--target", "x86-cpu", "--out", out, "--launches", 2, "--seconds", 0.2)
    )
    assert found.returncode == 0, found.stderr
    for says in ("p50", "(≤ ", "first inference", "peak memory", "1 thread", "small ÷ large: 0."):
        assert says in found.stdout
    assert read_measurement(out).session == read_measurement(tmp_path / "small.baseline.json").session
    limits = tmp_path / "b.toml"
    limits.write_text('name = "b"\n[latency]\nmax_ratio = 0.8')
    found = edgekd("check", out, "--baseline", tmp_path / "small.baseline.json", "--budget", limits)
    assert found.returncode == 0, found.stdout


def test_json_is_one_document_alone_on_stdout(model, stored, budget, tmp_path):
    found = edgekd("profile", model(), "--target", "x86-cpu", "--json", "--out", tmp_path / "same.json", *QUICK)
    assert Measurement.model_validate_json(found.stdout) == read_measurement(tmp_path / "same.json")
    limits = budget("[latency]\nlimit_ms = 0.5")
    found = edgekd("check", stored(), "--budget", limits, "--json", "--out", tmp_path / "verdict.json")
    assert found.returncode == 1
    assert Verdict.model_validate_json(found.stdout).status == "fail"
    assert json.loads(found.stdout) == json.loads((tmp_path / "verdict.json").read_text())
    for command, key in (("targets", "x86-cpu"), ("budgets", "half-latency")):
        document = json.loads(edgekd(command, "--json").stdout)
        assert key in [entry["name"] for entry in document[command]]
        one = json.loads(edgekd(command, key, "--json").stdout)
        assert [entry["name"] for entry in one[command]] == [key]


def test_an_unwritable_file_ends_in_2(stored, budget):
    found = edgekd("check", stored(), "--budget", budget("[latency]\nlimit_ms = 2"), "--out", "/proc/verdict.json")
    assert found.returncode == 2
    assert "/proc/verdict.json" in found.stderr


def test_targets_and_budgets_are_listed_and_shown():
    listed = edgekd("targets").stdout
    assert "x86-cpu" in listed
    assert "jetson-orin-nano (jetson)" in listed
    assert "arch = aarch64" in edgekd("targets", "jetson").stdout
    assert "half-latency" in edgekd("budgets").stdout
    assert "latency.max_ratio = 0.5" in edgekd("budgets", "half-latency").stdout


HEAVY = {"torch", "onnx", "onnxruntime", "numpy"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["profile", "--help"], ["--version"], ["targets"], ["budgets", "half-latency"], ["check"]],
)
def test_what_should_start_at_once_imports_nothing_heavy(arguments, stored, budget):
    if arguments == ["check"]:
        base = stored("base.json")
        arguments = [
            "check",
            str(stored()),
            "--baseline",
            str(base),
            "--budget",
            str(budget("[latency]\nmax_ratio = 2")),
        ]
    code = f"""
import sys
from edgekd.cli import main
sys.argv = ["edgekd", *{arguments!r}]
try:
    main()
except SystemExit as e:
    assert e.code == 0, e.code
print("heavy:", sorted({HEAVY!r} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.endswith("heavy: []\n")


def test_profile_needs_no_torch(model):
    code = f"""
import sys
sys.modules["torch"] = None  # as if it weren't installed
from edgekd.cli import main
sys.argv = ["edgekd", "profile", {str(model())!r}, "--target", "x86-cpu", *{QUICK!r}]
main()
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
