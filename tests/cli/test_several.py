"""Several devices by one command."""

import fcntl
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest
from sshd import assert_nothing_left

from edgekd.cli.profile import _free
from edgekd.errors import ExitCode

SHORT = ("--launches", 2, "--seconds", 0.05)


def started(*arguments):
    command = [sys.executable, "-m", "edgekd", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def edgekd(*arguments):
    process = started(*arguments)
    stdout, stderr = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def held(path):
    """Whether somebody holds the lease of that file."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_profile_reports_on_each_device_and_names_the_one_that_fails(lab, model, tmp_path):
    devices, out = lab(2), tmp_path / "out.json"
    several = ("--devices", devices, "--device", "tag:lab", "--device", "gone")
    found = edgekd("profile", model("a"), model("b"), *several, *SHORT, "--json", "--out", out)
    assert found.returncode == ExitCode.UNREACHABLE, found.stderr
    document = json.loads(found.stdout)
    assert document["schema_version"] == "edgekd.profiles/1"
    d0, d1, gone = document["devices"]
    assert [one["device"] for one in (d0, d1, gone)] == ["d0", "d1", "gone"]
    assert [m["artifact"]["name"] for m in d0["measurements"]] == ["a", "b"]
    assert {m["device"] for m in d1["measurements"]} == {d1["url"]}
    assert (gone["measurements"], gone["failure"]["exit_code"]) == ([], ExitCode.UNREACHABLE)
    assert "error: gone: " in found.stderr
    names = {f"out.{device}.json" for device in ("d0", "d1")} | {f"out.{device}.b.json" for device in ("d0", "d1")}
    assert {path.name for path in tmp_path.glob("out*.json")} == names
    assert json.loads((tmp_path / "out.d1.b.json").read_text())["artifact"]["name"] == "b"


def test_check_ends_with_the_worst_and_has_a_suite_for_each_device(lab, model, tmp_path):
    budget, junit, markdown = (tmp_path / name for name in ("mine.toml", "j.xml", "s.md"))
    budget.write_text('name = "mine"\n[size]\ndisk_bytes = 1\n')
    several = ("--devices", lab(2), "--device", "tag:lab", "--device", "gone")
    files = ("--junit", junit, "--markdown", markdown)
    found = edgekd("check", model(), "--budget", budget, *several, *SHORT, *files, "--json")
    assert found.returncode == ExitCode.OVER_BUDGET, found.stderr
    document = json.loads(found.stdout)
    assert (document["schema_version"], document["exit_code"]) == ("edgekd.verdicts/1", 1)
    assert [one["device"] for one in document["devices"]] == ["d0", "d1", "gone"]
    assert [one["verdict"] and one["verdict"]["status"] for one in document["devices"]] == ["fail", "fail", None]
    suites = [suite.get("name") for suite in ElementTree.parse(junit).getroot().iter("testsuite")]
    assert suites == ["edgekd mine model on d0", "edgekd mine model on d1", "edgekd on gone"]
    titles = [line for line in markdown.read_text().splitlines() if line.startswith("###")]
    assert [title.rpartition(" on ")[2] for title in titles] == ["d0", "d1", "gone: exit code 5"]


def test_a_model_passes_if_it_does_on_every_device(lab, model, tmp_path):
    budget = tmp_path / "mine.toml"
    budget.write_text('name = "mine"\n[size]\ndisk_bytes = 100_000_000\n')
    devices = lab(2)
    found = edgekd("check", model(), "--budget", budget, "--devices", devices, "--device", "tag:lab", *SHORT)
    assert found.returncode == ExitCode.PASS, found.stderr
    assert [line.split(" on ")[-1] for line in found.stdout.splitlines() if line.startswith("PASS")] == ["d0", "d1"]


def test_what_cannot_be_of_several_devices_is_refused(lab, model, tmp_path):
    two = ("--devices", lab(2), "--device", "tag:lab")
    found = edgekd("profile", model("a"), model("b"), *two, "--explain")
    assert found.returncode == ExitCode.USAGE
    assert "--explain on several devices" in found.stderr
    (tmp_path / "m.json").write_text("{}")
    found = edgekd("check", tmp_path / "m.json", "--budget", "half-latency", *two)
    assert found.returncode == ExitCode.USAGE
    assert "of one device" in found.stderr


@pytest.mark.parametrize("command", [("doctor",), ("targets", "detect"), ("compress",), ("export", "m.onnx")])
def test_a_second_device_is_refused_where_one_is_wanted(command):
    found = edgekd(*command, "--device", "local:", "--device", "local:/x")
    assert found.returncode == ExitCode.USAGE
    assert "2 devices (local:, local:/x), and one is wanted" in found.stderr


def test_a_document_is_never_written_over_another_of_the_same_command(tmp_path):
    written, out = set(), tmp_path / "out.json"
    names = [_free(out, given, written).name for given in ([], ["a"], ["a"], ["a", "b"], ["a"])]
    assert names == ["out.json", "out.a.json", "out.a.2.json", "out.a.b.json", "out.a.3.json"]


@pytest.mark.slow
def test_twenty_devices_are_profiled_by_one_command(lab, model, sshd):
    """All leases are held at once, and none is lost: twenty connections to one ssh server as Debian configures it."""
    devices, most = lab(20, at="ssh://device", has=sshd.python), 0
    command = ["profile", model(), "--devices", devices, "--device", "tag:lab", "--json", *SHORT]
    with started(*command) as process, ThreadPoolExecutor(1) as pool:
        printed = pool.submit(process.communicate)
        while process.poll() is None:
            most = max(most, sum(map(held, devices.parent.glob("*.lease"))))
            time.sleep(0.1)
    assert most == 20
    out, err = printed.result()
    measured = json.loads(out)["devices"]
    assert len(measured) == 20, err
    assert [one["failure"] for one in measured] == [None] * 20
    assert all(len(one["measurements"][0]["launches"]) == 2 for one in measured)
    assert len({one["measurements"][0]["session"] for one in measured}) == 20
    assert_nothing_left(sshd)


def test_devices_lists_those_of_the_file_or_only_those_that_are_named(lab):
    devices = lab(1)
    found = edgekd("devices", "--devices", devices, "--device", "tag:lab", "--device", "local:", "--json")
    assert found.returncode == ExitCode.PASS, found.stderr
    document = json.loads(found.stdout)
    assert document["schema_version"] == "edgekd.devices/1"
    assert [one["device"] for one in document["devices"]] == ["d0", "local:"]
    shown = edgekd("devices", "--devices", devices)
    assert shown.returncode == ExitCode.PASS
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["device", "gone", "d0"]
    assert "/no/such/python" in shown.stderr
    assert "exit code" not in shown.stderr  # it is none of this command's
    assert edgekd("devices", "--json", "bundle", "--arch", "aarch64").returncode == ExitCode.USAGE
