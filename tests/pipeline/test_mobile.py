"""`compress` for a phone that isn't there: what an app takes lies beside the chosen file."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_an_app_gets_its_file_with_the_chosen_one(compress, tmp_path):
    options = ["--ratio", "0.5", "--json"]
    ended = compress(tmp_path / "run", *options, target="mobile")
    assert ended.code == 3, ended.err
    app = ended.document["app"]
    assert app["artifact"]["format"] == "ort"
    assert app["parity"]["sqnr_db"] > 50
    files = ended.document["files"]
    assert (files["app"], files["operators for an app"], files["usability in an app"]) == (
        "model.ort",
        "model.required_operators_and_types.config",
        "model.mobile.txt",
    )
    assert all((ended.folder / name).is_file() for name in files.values())
    report = (ended.folder / "report.md").read_text()
    assert "## In an app" in report
    assert f"model.ort ({app['artifact']['disk_bytes']:,} bytes" in report
    assert json.loads((ended.folder / "result.json").read_text())["app"] == app
