import pytest

from edgekd import catalog
from edgekd.errors import EdgekdError, StorageError


@pytest.fixture(autouse=True)
def no_user_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "user_folder", lambda kind: tmp_path / "user" / kind)


def test_shipped_targets_and_budgets_are_valid():
    names = [t.name for t in catalog.targets()]
    assert {"x86-cpu", "jetson-orin-nano", "android-phone"} <= set(names)
    budgets = {b.name for b in catalog.budgets()}
    assert {t.default_budget for t in catalog.targets()} <= budgets


@pytest.mark.parametrize(("family", "member"), [("jetson", "jetson-orin-nano"), ("mobile", "android-phone")])
def test_a_family_stands_for_its_most_common_member(family, member):
    assert catalog.target(family).name == member
    assert sum(t.family == family and t.family_default for t in catalog.targets()) == 1


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(EdgekdError) as e:
        catalog.target("jetsen")
    assert "'jetson'" in e.value.hint
    with pytest.raises(EdgekdError) as e:
        catalog.budget("half-latancy")
    assert "'half-latency'" in e.value.hint


def test_a_users_own_target_is_found_by_name_and_by_path(tmp_path):
    text = 'name = "mine"\ntitle = "Mine"\narch = "x86_64"\nruntimes = ["onnxruntime"]\nprecisions = ["fp32"]\n'
    own = tmp_path / "user" / "targets"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text(text)
    assert catalog.target("mine").title == "Mine"
    assert catalog.target(str(own / "mine.toml")).title == "Mine"


@pytest.mark.parametrize(
    ("text", "where", "remedy"),
    [
        ('name = "b"\n[latency]\nlimit = 5\n', "latency.limit", "limit_ms"),
        ('name = "b"\n[latancy]\nlimit_ms = 5\n', "latancy", "latency"),
        ('name = "b"\n[latency]\nlimit_ms = -5\n', "latency.limit_ms", "limit_ms"),
        ('name = "b"\n[latency]\nlimit_ms = "fast"\n', "latency.limit_ms", "limit_ms"),
        ('name = "b"\n[latency]\nlimit_ms = nan\n', "latency.limit_ms", "limit_ms"),
        ('name = "b"\n[latency]\nlimit_ms = true\n', "latency.limit_ms", "limit_ms"),
        ('name = "b"\n[latency]\npercentile = 95\nmax_ratio = 0.5\n', "percentile 50", ""),
        ('name = "b"\n[latency]\n', "limit_ms or max_ratio", ""),
        ("[latency]\nlimit_ms = 5\n", "name", ""),
        ('name = "b\n', "TOML", ""),
    ],
)
def test_a_bad_budget_is_an_error_with_file_key_and_remedy(tmp_path, text, where, remedy):
    path = tmp_path / "b.toml"
    path.write_text(text)
    with pytest.raises(EdgekdError) as e:
        catalog.budget(str(path))
    assert str(path) in e.value.message
    assert where in e.value.message
    assert remedy in e.value.hint
    assert e.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"none\.toml"):
        catalog.budget(str(tmp_path / "none.toml"))


def test_plug_ins_are_found_by_file_name():
    assert "onnxruntime" in catalog.names("runtimes")
    assert not any(name.startswith("_") for name in catalog.names("runtimes"))
    with pytest.raises(EdgekdError) as e:
        catalog.load("runtimes", "onnxruntim")
    assert "'onnxruntime'" in e.value.hint


def test_a_missing_library_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "edgekd.zoo.weights", raising=False)
    with pytest.raises(EdgekdError) as e:
        catalog.require("edgekd.zoo.weights")
    assert "pip install 'edgekd[compress]'" in e.value.hint
