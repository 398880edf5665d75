import pytest

from edgekd.cli.resuming import resumable


@pytest.mark.parametrize(("name", "says"), [("run", True), ("not-begun", False)])
def test_an_interrupted_run_says_how_it_is_resumed(tmp_path, capsys, name, says):
    (tmp_path / "run").mkdir()
    with pytest.raises(KeyboardInterrupt), resumable(tmp_path / name):
        raise KeyboardInterrupt
    expected = f"finished stages are kept in {tmp_path / name}: run the same command again to resume\n" if says else ""
    assert capsys.readouterr() == ("", expected)
