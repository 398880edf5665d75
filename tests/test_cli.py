"""The `edgekd` command as it is called: a real process, its streams and its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgekd.gate import budget as budgets
from edgekd.measuring.document import read_measurement, write
from edgekd.values import Measurement, Measurements, Verdict
from tests.devices import boards

# as for most users: then what can't be written is noticed late
BUFFERED = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}

QUICK = ["--launches", "1", "--seconds", "0.05"]
MEASURED = (0, 4)
"""How measuring ends that has worked: others may take the machine meanwhile, which makes it invalid."""


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
        ["check", "m.onnx", "--budget", "no-slower", "--target", "x86-cpu", "--variant", "a", "--variant", "b"],
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


@pytest.mark.parametrize("raises", ["sys.exit(1)", "raise RuntimeError", "raise OSError(2, 'No such file')"])
def test_nothing_but_a_broken_budget_ends_in_1(raises):
    assert broken(raises).returncode == 70


def test_a_full_disk_ends_in_2():
    found = broken("import errno; raise OSError(errno.ENOSPC, 'No space left on device', '/runs/m.json')")
    assert found.returncode == 2
    assert "error: /runs/m.json: No space left on device" in found.stderr


@pytest.mark.parametrize(
    ("raises", "says"),
    [
        ("import errno; raise OSError(errno.ENAMETOOLONG, 'File name too long', 'a' * 300)", "aaa: File name too long"),
        ("import errno; raise OSError(errno.EMFILE, 'Too many open files', '/m.onnx')", "/m.onnx: Too many open files"),
        ("import errno; raise OSError(errno.EIO, 'Input/output error')", "error: Input/output error"),
        ("raise MemoryError", "error: not enough memory"),
        (
            "raise RuntimeError('[enforce fail] DefaultCPUAllocator: can\\'t allocate memory')",
            "error: not enough memory",
        ),
        ("raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')", "error: not enough memory"),
    ],
)
def test_what_the_system_refuses_is_no_bug(raises, says):
    found = broken(raises)
    assert found.returncode == 2
    assert says in found.stderr
    assert "hint: " in found.stderr


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


@pytest.mark.usefixtures("undisturbed")
def test_a_profile_is_written_shown_and_checked(tmp_path, model):
    small, large, out = model("small"), model("large", layers=12, channels=32), tmp_path / "small.json"
    found = edgekd(
        *("profile", small, "--baseline", large, "--target", "x86-cpu", "--out", out, "--launches", 2, "--seconds", 0.2)
    )
    assert found.returncode in MEASURED, found.stderr
    for says in (
        "p50",
        "(≤ ",
        "throughput",
        "first inference",
        "peak memory",
        "zstd",
        "threads 1",
        "small ÷ large: latency ratio 0.",
    ):
        assert says in found.stdout
    assert "of 12 convolutions and matrix products in integers" in found.stdout
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
        one = json.loads(edgekd(command, "show", key, "--json").stdout)
        assert [entry["name"] for entry in one[command]] == [key]


def test_several_models_are_shown_side_by_side_and_written_beside_each_other(tmp_path, model):
    paths = [model(name) for name in ("a", "b", "c")]
    found = edgekd("profile", *paths, "--target", "x86-cpu", "--out", tmp_path / "m.json", "--json", *QUICK)
    assert found.returncode in MEASURED, found.stderr
    document = Measurements.model_validate_json(found.stdout)
    assert [m.artifact.name for m in document.measurements] == ["a", "b", "c"]
    files = [tmp_path / name for name in ("m.json", "m.b.json", "m.c.json")]
    assert [read_measurement(file) for file in files] == list(document.measurements)


def test_two_models_are_explained_node_by_node(model):
    # some hundred times the work: nodes of microseconds are timed in whole ones
    pair = [model("a", layers=3, size=32), model("b", layers=3, channels=96, size=32)]
    found = edgekd("profile", *pair, "--target", "x86-cpu", "--explain", *QUICK)
    assert found.returncode in MEASURED, found.stderr
    assert "all nodes" in found.stdout
    assert "3 of 3 convolutions and matrix products are slower" in found.stdout
    assert edgekd("profile", pair[0], "--target", "x86-cpu", "--explain", *QUICK).returncode == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--shape", "image=1x3x8"], "doesn't match"),
        (["--shape", "image=1xNx8x8"], "--shape 1xNx8x8: not whole numbers"),
        (["--shape", "picture=1x3x8x8"], "has no input 'picture'"),
        (["--affinity", "0,x"], "--affinity 0,x: not whole numbers"),
        (["--shape", "8x3x8x8", "--affinity", "9999"], "hint: Give --affinity some of these CPUs"),
        (["--affinity", f"{min(os.sched_getaffinity(0))},9999"], ", 9999]\nhint: Give --affinity"),
        (["--shape", "8x3x8x8", "--no-transfers"], "hint: Leave --no-transfers out"),
        (["--provider", "AbacusExecutionProvider"], "the provider 'AbacusExecutionProvider'"),
        (["--provider", "AbacusExecutionProvider"], "hint: Give another --provider"),
        (["--out", "."], "error: .: is a folder, not a file"),
        (["--provider-option", "a=b"], "--provider-option without --provider"),
        (["--provider", "CPUExecutionProvider", "--provider-option", "ab"], "not KEY=VALUE"),
        (["--inputs", "missing.npz"], "missing.npz"),
        (["--cadence-hz", "-3"], "--cadence-hz"),
        (["--shape", "8x3x8x8", "--batch", "4"], "error: --batch 4: "),
    ],
)
def test_a_wrong_way_of_measuring_ends_in_2_with_what_to_do(model, options, says):
    found = edgekd("profile", model(axis="height"), "--target", "x86-cpu", *QUICK, *options)
    assert found.returncode == 2, found.stderr
    assert says in found.stderr
    assert "hint: " in found.stderr


def test_the_protocol_is_as_asked(model, tmp_path):
    np.savez(tmp_path / "in.npz", image=np.zeros((1, 3, 5, 8), np.float32))
    out, cpu = tmp_path / "m.json", min(os.sched_getaffinity(0))
    found = edgekd(
        *("profile", model(axis="height"), "--target", "x86-cpu", "--out", out, "--inputs", tmp_path / "in.npz"),
        *("--cadence-hz", 200, "--threads", 1, "--no-spinning", "--affinity", cpu, *QUICK),
    )
    assert found.returncode in MEASURED, found.stderr
    measured = read_measurement(out)
    protocol = measured.protocol
    assert (protocol.loop, protocol.cadence_hz, protocol.affinity) == ("paced", 200, (cpu,))
    assert measured.artifact.variant.settings == {"spinning": False}
    assert protocol.inputs.startswith("sha256:")
    assert "spinning off" in found.stdout
    assert "; batch 1, paced at 200 Hz, sha256 inputs" in found.stdout


def test_what_ci_reads_is_written_whatever_the_verdict(stored, budget, tmp_path):
    names = ("junit", "markdown", "html", "badge", "bencher", "benchmark-action", "out")
    files = {name: tmp_path / name for name in names}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    environment = {**os.environ, "GITHUB_STEP_SUMMARY": str(summary)}
    limits = budget("[latency]\nlimit_ms = 0.5")
    found = edgekd("check", stored(), "--budget", limits, "--github", *options, env=environment)
    assert found.returncode == 1
    assert all(path.read_text() for path in files.values())
    assert "::error title=" in found.stderr
    assert summary.read_text() == "before\n" + files["markdown"].read_text()


def test_github_gets_a_wrong_name(stored):
    found = edgekd("check", stored(), "--budget", "camera-30fsp", "--github")
    assert found.returncode == 2
    assert "::error" in found.stderr
    assert "camera-30fps" in found.stderr


def test_github_gets_what_went_wrong_before_a_verdict(budget, tmp_path):
    found = edgekd("check", tmp_path / "no.json", "--budget", budget("[latency]\nlimit_ms = 5"), "--github")
    assert found.returncode == 2
    assert "::error title=edgekd check::" in found.stderr


def test_doctor_says_what_is_here():
    found = edgekd("doctor")
    assert found.returncode == 0, found.stderr
    for says in ("onnxruntime", "matching targets:", "x86-cpu", "instructions:"):
        assert says in found.stdout
    assert json.loads(edgekd("doctor", "--json").stdout)["schema_version"] == "edgekd.doctor/3"


def test_an_unwritable_file_ends_in_2(stored, budget):
    found = edgekd("check", stored(), "--budget", budget("[latency]\nlimit_ms = 2"), "--out", "/proc/verdict.json")
    assert found.returncode == 2
    assert "/proc/verdict.json" in found.stderr
    assert found.stdout == ""


def test_what_cannot_be_written_is_shown_all_the_same(stored, budget, model):
    limits = budget("[latency]\nlimit_ms = 2")
    for command in (["check", stored(), "--budget", limits], ["profile", model(), "--target", "x86-cpu", *QUICK]):
        found = edgekd(*command, "--out", "/dev/full")
        assert found.returncode == 2
        assert "error: /dev/full: No space left on device\nhint: Free some space" in found.stderr
        assert found.stdout


def test_targets_and_budgets_are_listed_and_shown():
    listed = edgekd("targets").stdout
    assert "x86-cpu" in listed
    assert "jetson-orin-nano (jetson)" in listed
    assert "arch = aarch64" in edgekd("targets", "show", "jetson").stdout
    listed = edgekd("budgets").stdout
    for name in ("camera-30fps", "half-latency", "interactive-mobile", "no-slower", "pi-class-cpu"):
        assert f"\n{name} " in listed
    assert "latency.max_ratio = 0.5" in edgekd("budgets", "show", "half-latency").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["budgets", "show", "camera-30"], "'camera-30fps'"),
        (["targets", "show", "jetsen"], "'jetson'"),
        (["budgets", "--json", "show", "half-latency"], "after 'show'"),
        (["budgets", "half-latency"], "No such command"),
        (["budgets", "validate"], "FILE"),
        (["budgets", "init"], "--from"),
        (["budgets", "init", "--from", "missing.json"], "missing.json: No such file"),
    ],
)
def test_wrong_usage_of_the_catalog_ends_in_2(tmp_path, arguments, says):
    found = edgekd(*arguments, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert says in found.stderr


@pytest.mark.parametrize(
    ("options", "says", "names"),
    [
        (["--data", "json:dum"], "json has no function 'dum'", "'dump'"),
        (["--model", "json:dum"], "json has no function 'dum'", "'dump'"),
        (["--data", "digit:s"], "no module 'digit'", "'digits'"),
        (["--model", "resnet:make"], "no module 'resnet'", "'resnet"),
    ],
)
def test_a_wrong_factory_is_reported_with_one_list_at_most(tmp_path, options, says, names):
    found = edgekd("compress", "--target", "jetson", "--out", tmp_path / "run", *options, cwd=tmp_path)
    assert found.returncode == 2
    assert says in found.stderr
    assert names in found.stderr
    assert found.stderr.count("Known:") <= 1


def test_files_are_validated_one_by_one(tmp_path, budget):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('name = "w"\n[latency]\nlimit = 3\n')
    right = budget("[latency]\nlimit_ms = 3")
    found = edgekd("budgets", "validate", right)
    assert (found.returncode, found.stdout, found.stderr) == (0, f"{right}: ok\n", "")
    found = edgekd("budgets", "validate", wrong, right, tmp_path)
    assert (found.returncode, found.stdout) == (2, f"{right}: ok\n")
    assert f"error: {wrong}: unknown key 'latency.limit'\nhint: Did you mean 'limit_ms'?" in found.stderr
    assert f"error: {tmp_path}: is a folder, not a file\n" in found.stderr
    right.write_text('name = "b"\n[size]\n')
    found = edgekd("budgets", "validate", right)
    assert found.returncode == 2
    assert "has no limits" in found.stderr


def test_targets_are_validated_as_targets(budget, tmp_path):
    shipped = Path(__file__).parents[1] / "targets" / "x86-cpu.toml"
    assert edgekd("targets", "validate", shipped).stdout == f"{shipped}: ok\n"
    found = edgekd("targets", "validate", budget("[latency]\nlimit_ms = 3"))
    assert found.returncode == 2
    assert "unknown key 'latency'" in found.stderr
    never = tmp_path / "never.toml"
    never.write_text(shipped.read_text().replace('"x86_64"', '"amd64"'))
    found = edgekd("targets", "validate", never)
    assert (found.returncode, found.stdout) == (2, "")
    assert "no device has the arch 'amd64'\nhint: Devices report it as 'x86_64'." in found.stderr


def test_a_budget_is_made_from_a_measurement(stored, tmp_path):
    out = tmp_path / "mine.toml"
    found = edgekd("budgets", "init", "--from", stored(), "--headroom", 2, "--out", out)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", f"wrote {out}\n")
    made = budgets.load(str(out))
    assert (made.name, made.latency.limit_ms, made.size.disk_bytes) == ("mine", 2.0, 2_000_000)
    assert edgekd("budgets", "validate", out).returncode == 0
    shown = edgekd("budgets", "init", "--from", stored(), "--name", "other").stdout
    assert shown.startswith("# Made by `edgekd budgets init`")
    assert 'name = "other"' in shown
    assert "limit_ms = 1.25 #" in shown
    assert 'name = "net"' in edgekd("budgets", "init", "--from", stored()).stdout


def test_a_budget_is_never_overwritten(stored, tmp_path):
    out = tmp_path / "mine.toml"
    out.write_text("precious")
    found = edgekd("budgets", "init", "--from", stored(), "--out", out)
    assert found.returncode == 2
    assert f"{out} already exists" in found.stderr
    assert out.read_text() == "precious"


@pytest.mark.parametrize(
    ("changes", "headroom", "ends"),
    [
        ({}, "0.9", (2, "headroom of 0.9")),
        ({}, "nan", (2, "headroom of nan")),
        ({"invalid": ("it throttled",)}, "1.25", (4, "it throttled")),
        ({"on_target": False}, "1.25", (4, "wasn't made on such a device")),
    ],
)
def test_no_budget_is_made_of_what_says_nothing(stored, tmp_path, changes, headroom, ends):
    code, says = ends
    out = tmp_path / "mine.toml"
    found = edgekd("budgets", "init", "--from", stored(**changes), "--headroom", headroom, "--out", out)
    assert (found.returncode, found.stdout) == (code, "")
    assert says in found.stderr
    assert not out.exists()


HEAVY = {"torch", "onnx", "onnxruntime", "numpy"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["profile", "--help"],
        ["--version"],
        ["targets"],
        ["budgets", "show", "half-latency"],
        ["budgets", "init"],
        ["check"],
    ],
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
    if arguments == ["budgets", "init"]:
        arguments = [*arguments, "--from", str(stored())]
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
    # what is printed after the command's end goes to stderr
    assert found.stderr.endswith("heavy: []\n")


def test_detecting_a_target_imports_no_runtime_and_its_code_says_whether_there_is_one(tmp_path):
    python = boards.python("jetson-orin-nano", tmp_path)
    code = f"""
import sys
from edgekd.cli import main
sys.argv = ["edgekd", "targets", "detect", "--device", "local:{python}", "--json"]
try:
    main()
finally:
    print("heavy:", sorted({HEAVY - {"numpy"}!r} & set(sys.modules)), file=sys.stderr)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(found.stdout)["targets"][0]["target"] == "jetson-orin-nano"
    assert found.stderr == "heavy: []\n"
    unknown = boards.python("raspberry-pi-4", tmp_path / "other", arch="riscv64")
    assert edgekd("targets", "detect", "--device", f"local:{unknown}").returncode == 3
    assert edgekd("targets", "detect", "--device", "local:/no/such/python").returncode == 5


@pytest.mark.usefixtures("undisturbed")
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
