import json

import pytest
from bundles import described

from edgekd.cli import main
from edgekd.devices.bundle import manifest


@pytest.fixture
def run(monkeypatch, capfd):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["edgekd", "devices", "bundle", *arguments])
        with pytest.raises(SystemExit) as e:
            main()
        return e.value.code, *capfd.readouterr()

    return call


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = described(bytes=130_000_000)
    manifest.place("aarch64").mkdir(parents=True)
    manifest.write(found, manifest.place("aarch64"))
    return found


def test_it_says_what_it_has_and_where_it_is(run, made):
    code, out, err = run("--arch", "aarch64")
    assert (code, err) == (0, "")
    assert out.startswith(f"{manifest.place('aarch64')}: aarch64, 130 MB, Python 3.11, glibc 2.36, onnxruntime 1.23.2")


def test_its_manifest_is_printed_as_json(run, made):
    code, out, _ = run("--arch", "aarch64", "--onnxruntime", "1.23.2", "--json")
    assert (code, json.loads(out)) == (0, made.model_dump(mode="json"))


def test_an_architecture_without_bundles_is_wrong_usage(run):
    code, _, err = run("--arch", "aarch46")
    assert code == 2
    assert "no bundle for 'aarch46'" in err
    assert "Did you mean 'aarch64'?" in err
