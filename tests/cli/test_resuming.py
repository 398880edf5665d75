import shlex
import sys

import pytest
import typer

from edgekd.cli.panels import Verb
from edgekd.cli.resuming import command, way_back
from edgekd.cli.working import working
from edgekd.errors import EdgekdError
from edgekd.failures import run

TYPED = ["edgekd", "compress", "--out", "my run", "--target", "x86-cpu"]


@pytest.fixture(autouse=True)
def typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", TYPED)


@pytest.fixture
def folder(tmp_path):
    """A run folder with two finished stages and a training that was stopped."""
    for name in ("teacher-1", "recover-2", ".recover-3.partial"):
        (tmp_path / "stages" / name).mkdir(parents=True)
        (tmp_path / "stages" / name / ("checkpoint.pt" if name[0] == "." else "result.json")).touch()
    return tmp_path


def test_the_command_can_be_typed_again():
    assert command() == "edgekd compress --out 'my run' --target x86-cpu"
    assert shlex.split(command()) == TYPED


@pytest.mark.parametrize(
    ("argv", "variables", "expected"),
    [
        (["/src/edgekd/__main__.py", "profile", "m.onnx"], {}, f"{sys.executable} -m edgekd profile m.onnx"),
        (["/opt/venv/bin/edgekd", "doctor"], {}, "/opt/venv/bin/edgekd doctor"),
        (["/x/__main__.py", "doctor"], {"LOCAL_WORLD_SIZE": "2"}, "torchrun --nproc-per-node 2 -m edgekd doctor"),
    ],
)
def test_it_is_named_as_a_shell_finds_it(monkeypatch, argv, variables, expected):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setenv("PATH", "/nowhere")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command() == expected


def test_it_says_where_it_was_what_is_kept_and_how_it_goes_on(folder):
    expected = [
        "it ended in: recover: training the student",
        f"kept in {folder}: 2 finished stages and this training up to its last complete epoch",
        "to go on: edgekd compress --out 'my run' --target x86-cpu",
    ]
    assert way_back("recover: training the student", folder) == expected
    assert way_back("plan: measuring it", folder)[1] == f"kept in {folder}: 2 finished stages"


def test_nothing_is_promised_where_nothing_is_kept(tmp_path):
    assert way_back("", tmp_path) == []  # before anything began, the error says it all
    assert way_back("measure: measuring a", None) == ["it ended in: measure: measuring a"]
    assert way_back("start: a", tmp_path / "absent") == ["it ended in: start: a"]
    assert way_back("start: a", tmp_path) == ["it ended in: start: a", f"kept in {tmp_path}: nothing yet"]


def test_a_teacher_of_all_runs_is_kept_in_their_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    partial = tmp_path / "cache" / "stages" / ".teacher-1.partial"
    partial.mkdir(parents=True)
    (partial / "checkpoint.pt").touch()
    (tmp_path / "run").mkdir()
    assert "up to its last complete epoch" in way_back("teacher: training", tmp_path / "run")[1]


@pytest.mark.parametrize(
    ("raised", "first", "code"),
    [
        (KeyboardInterrupt(), ["interrupted"], 130),
        (EdgekdError("no memory", "Buy some."), ["error: no memory", "hint: Buy some."], 2),
    ],
)
def test_an_ended_command_says_so_after_its_error(folder, capsys, raised, first, code):
    app = typer.Typer()

    @app.command(cls=Verb)
    def compress():
        with working(folder) as progress:
            progress.stage("recover", "training the student")
            raise raised

    assert run(lambda: app(["--quiet"], standalone_mode=False)) == code
    assert capsys.readouterr().err.splitlines() == [*first, *way_back("recover: training the student", folder)]
