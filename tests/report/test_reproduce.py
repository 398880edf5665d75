from example_report import report

from edgekd.report import reproduce
from edgekd.report.formats.markdown import written


def commands(device, **changes):
    return "\n".join(written(reproduce.section(report(device=device, **changes).result, None).blocks))


def test_a_run_on_another_device_is_reproduced_there():
    text = commands("ssh://lab@board")
    assert "edgekd compress --recipe recipe.toml --device ssh://lab@board" in text
    assert text.count("--device ssh://lab@board") == 3


def test_milliseconds_are_judged_on_the_device_that_they_are_meant_for():
    """Beside a baseline `check` refuses them unless the device is named, this machine too."""
    checked = [line for line in commands("local:").splitlines() if "edgekd check" in line and "--baseline" in line]
    assert [("--device local:" in line) for line in checked] == [False, True]  # the first one is of stored samples


def test_paths_with_spaces_are_one_word():
    files = {"budget": "/my budgets/b.toml", "target": "/my targets/t.toml"}
    stated = report().result.recipe.model_copy(update=files)
    text = commands("ssh://lab@board", recipe=stated)
    assert "--budget '/my budgets/b.toml'" in text
    assert "--target '/my targets/t.toml'" in text
