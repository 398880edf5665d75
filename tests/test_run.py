from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from edgekd import files
from edgekd.progress import Silent
from edgekd.run import Resources, Run, Workspace
from edgekd.store import Store, key_of
from edgekd.values import File, Value


class Written(Value):
    n: int
    file: File


@dataclass(frozen=True)
class Inputs:
    n: int
    source: File


def write(inputs: Inputs, at: Workspace) -> Written:
    path = at.folder / "text"
    path.write_text(inputs.source.path.read_text() * inputs.n)
    return Written(n=inputs.n, file=File(path=path, sha256=files.sha256(path)))


def pass_on(inputs: Inputs, at: Workspace) -> Written:
    return Written(n=inputs.n, file=inputs.source)


def fail(inputs: Inputs, at: Workspace) -> Written:
    raise AssertionError("it was built before")


def run_in(folder):
    return Run(store=Store(folder / "run"), shared=Store(folder / "shared"), progress=Silent())


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_text("ab")
    return File(path=path, sha256=files.sha256(path))


def test_a_stage_is_found_by_its_inputs_with_its_files_in_place(tmp_path, source):
    run = run_in(tmp_path)
    built = run.stage("text", Inputs(2, source), write)
    assert built.file.path.read_text() == "abab"
    assert built.file.path.is_relative_to(tmp_path / "run")
    assert run_in(tmp_path).stage("text", Inputs(2, source), fail) == built


def test_a_run_directory_can_be_moved(tmp_path, source):
    run_in(tmp_path).stage("text", Inputs(2, source), write)
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = Run(store=Store(tmp_path / "moved"), shared=Store(tmp_path / "shared"), progress=Silent())
    assert moved.stage("text", Inputs(2, source), fail).file.path.read_text() == "abab"


def test_a_result_may_hold_another_stages_file(tmp_path, source, monkeypatch):
    """Also where the run's folder is given relative to where the command is started, and where it is moved to."""
    monkeypatch.chdir(tmp_path)
    run = run_in(Path("here"))
    first = run.stage("text", Inputs(2, source), write)
    then = run.stage("then", Inputs(2, first.file), pass_on)
    assert then.file.path.read_text() == "abab"
    assert run_in(Path("here")).stage("then", Inputs(2, first.file), fail) == then
    Path("here").rename("there")
    assert run_in(Path("there")).stage("then", Inputs(2, first.file), fail).file.path.read_text() == "abab"


def test_a_result_may_hold_a_file_from_outside(tmp_path, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_in(Path("here")).stage("then", Inputs(2, source), pass_on)
    Path("here").rename("there")
    assert run_in(Path("there")).stage("then", Inputs(2, source), fail).file == source


def test_a_file_counts_by_its_content_and_not_by_its_place(tmp_path, source):
    run = run_in(tmp_path)
    run.stage("text", Inputs(2, source), write)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("ab")
    assert run.stage("text", Inputs(2, File(path=elsewhere, sha256=source.sha256)), fail).n == 2
    elsewhere.write_text("cd")
    changed = File(path=elsewhere, sha256=files.sha256(elsewhere))
    assert run.stage("text", Inputs(2, changed), write).file.path.read_text() == "cdcd"


def test_a_result_whose_file_is_gone_is_built_again(tmp_path, source):
    run = run_in(tmp_path)
    run.stage("text", Inputs(2, source), write).file.path.unlink()
    assert run.stage("text", Inputs(2, source), write).file.path.read_text() == "abab"


def test_every_part_of_the_inputs_is_in_the_key(source):
    assert key_of(Inputs(2, source)) == {"n": 2, "source": source.sha256}
    with pytest.raises(TypeError, match="Linear"):
        key_of({"model": nn.Linear(1, 1)})
    with pytest.raises(TypeError, match="Tensor"):
        key_of([torch.zeros(1)])
    with pytest.raises(TypeError, match="Path"):
        key_of(source.path)


def test_a_builder_that_sees_more_than_its_inputs_is_refused(tmp_path, source):
    more = 3

    def closure(inputs: Inputs, at: Workspace) -> Written:
        return Written(n=more, file=source)

    with pytest.raises(TypeError, match="more than its inputs"):
        run_in(tmp_path).stage("text", Inputs(2, source), closure)
    with pytest.raises(TypeError, match="more than its inputs"):
        run_in(tmp_path).stage("text", Inputs(2, source), lambda inputs, at: write(inputs, at))


class Opened:
    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self.log.append("open")
        return self

    def __exit__(self, *_):
        self.log.append("closed")


def test_a_resource_stays_open_between_stages_until_it_is_closed():
    log = []
    with Resources() as resources:
        first = resources.get("child", lambda: Opened(log))
        assert resources.get("child", lambda: Opened(log)) is first
        resources.close()
        assert log == ["open", "closed"]
        assert resources.get("child", lambda: Opened(log)) is not first
    assert log == ["open", "closed", "open", "closed"]
