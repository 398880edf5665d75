import tomllib
from pathlib import Path

import pytest

from edgekd import catalog, folders
from edgekd.errors import EdgekdError, StorageError
from edgekd.gate import budget as budgets

VARIANT = 'runtime = "onnxruntime"\nprecision = "fp32"\n'


@pytest.fixture(autouse=True)
def no_user_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "configs", lambda: (tmp_path / "earlier", tmp_path / "user"))


def test_shipped_targets_and_budgets_are_valid():
    names = [t.name for t in catalog.targets()]
    assert {"x86-cpu", "jetson-orin-nano", "android-phone"} <= set(names)
    known = {b.name for b in budgets.known()}
    assert {t.default_budget for t in catalog.targets()} <= known


@pytest.mark.parametrize(("family", "member"), [("jetson", "jetson-orin-nano"), ("mobile", "android-phone")])
def test_a_family_stands_for_its_most_common_member(family, member):
    assert catalog.target(family).name == member
    assert sum(t.family == family and t.family_default for t in catalog.targets()) == 1


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(EdgekdError) as e:
        catalog.target("jetsen")
    assert "'jetson'" in e.value.hint
    with pytest.raises(EdgekdError) as e:
        budgets.load("half-latancy")
    assert "'half-latency'" in e.value.hint


@pytest.mark.parametrize("load", [catalog.target, budgets.load])
def test_a_name_that_is_a_files_without_its_ending_is_answered_with_the_file(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").touch()
    with pytest.raises(EdgekdError) as e:
        load("mine")
    assert e.value.hint == "For the file of that name, write mine.toml"


def test_a_users_own_target_is_found_by_name_and_by_path(tmp_path):
    text = f'name = "mine"\ntitle = "Mine"\narch = "x86_64"\n[reference]\n{VARIANT}[[variants]]\n{VARIANT}'
    own = tmp_path / "user" / "targets"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text(text)
    assert catalog.target("mine").title == "Mine"
    assert catalog.target(str(own / "mine.toml")).title == "Mine"


def test_targets_where_earlier_versions_kept_them_are_found_and_newer_ones_count_more(tmp_path):
    text = 'name = "mine"\ntitle = "{}"\narch = "x86_64"\n[reference]\n' + f"{VARIANT}[[variants]]\n{VARIANT}"
    for place in ("earlier", "user"):
        (tmp_path / place / "targets").mkdir(parents=True)
        (tmp_path / place / "targets" / "mine.toml").write_text(text.format(place))
        assert catalog.target("mine").title == place


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
        ('name = "b"\n[latency]\npercentile = 100\nlimit_ms = 5\n', "latency.percentile", "percentile"),
        ('name = "b"\n[latency]\ncadence_hz = 30\n', "limit_ms or max_ratio", ""),
        ('name = "b"\n[latency]\nlimit_ms = inf\n', "latency.limit_ms", "limit_ms"),
        ('name = "b"\n[size]\ndisk_bytes = -1\n', "size.disk_bytes", "disk_bytes"),
        ('name = "b"\n[size]\ndisk_bytes = 1.5\n', "size.disk_bytes", "disk_bytes"),
        (f'name = "b"\n[size]\ndisk_bytes = {10**400}\n', "size.disk_bytes", "disk_bytes"),
        (f'name = "b"\n[size]\ndisk_bytes = {"9" * 5000}\n', "4300 digits", "damaged"),
        (f"name = {'[' * 100_000}", "nested too deeply", "damaged"),
        (f"{'.'.join(['a'] * 5000)} = 1", "line 1 has a key of more than 100 parts", "damaged"),
        (f"name = 'b'\n[{' . '.join(['1'] * 5000)}]", "line 2 has a key of more than 100 parts", "damaged"),
        (f"x = {{y = 1, {'.'.join(['1'] * 5000)} = 1}}", "line 1 has a key of more than 100 parts", "damaged"),
        (f'name = "b"\n[latency]\nlimit_ms = "{"x" * 10_000}"\n', "latency.limit_ms", "limit_ms"),
        ('name = "b"\n[conditions]\nruntime_verson = "1"\n', "conditions.runtime_verson", "'runtime_version'"),
        ('name = "b"\nlatency = 5\n', "latency: should be a table, not 5", "latency"),
        ('name = "b"\n[fallback]\nmax_nodes = -1\n', "fallback.max_nodes", "max_nodes"),
        ("", "'name' is missing", ""),
        ('nam = "b"\n', "unknown key 'nam'", "'name'"),
        ("[latency]\nlimit_ms = 5\n", "name", ""),
        ('name = "b\n', "TOML", ""),
    ],
)
def test_a_bad_budget_is_an_error_with_file_key_and_remedy(tmp_path, text, where, remedy):
    path = tmp_path / "b.toml"
    path.write_text(text)
    with pytest.raises(EdgekdError) as e:
        budgets.load(str(path))
    assert str(path) in e.value.message
    assert where in e.value.message
    assert remedy in e.value.hint
    assert e.value.exit_code == 2
    assert len(e.value.message) < len(str(path)) + 250


def test_many_numbers_in_a_line_are_no_long_key(tmp_path):
    (tmp_path / "b.toml").write_text(f"x = [{', '.join(['1.5', '-0.25e3'] * 500)}] # {'a. ' * 40}")
    assert len(catalog.toml_keys(tmp_path / "b.toml", "")["x"]) == 1000


@pytest.mark.parametrize("data", [bytes(range(256)), b"\0" * 20, 'name = "b"'.encode("utf-16")])
def test_what_is_no_text_is_reported(tmp_path, data):
    path = tmp_path / "b.toml"
    path.write_bytes(data)
    with pytest.raises(EdgekdError, match=r"b\.toml: (isn't UTF-8 text|not valid TOML)"):
        budgets.load(str(path))


def test_a_folder_is_no_budget(tmp_path):
    with pytest.raises(StorageError, match=r"is a folder, not a file"):
        budgets.load(f"{tmp_path}/")


def test_a_byte_order_mark_is_read_over(tmp_path):
    path = tmp_path / "b.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "b"\r\n[latency]\r\nlimit_ms = 5\r\n')
    assert budgets.load(str(path)).latency.limit_ms == 5


def test_published_figures_say_where_from_when_and_how():
    references = [r for b in budgets.known() for r in b.references]
    assert references
    for reference in references:
        assert all(reference.model_dump().values()), reference


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"none\.toml"):
        budgets.load(str(tmp_path / "none.toml"))


def test_every_extra_is_named_for_a_library_of_its_own():
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert set(catalog._EXTRAS.values()) == set(pyproject["project"]["optional-dependencies"]) - {"dev", "docs"}


def test_a_missing_library_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "edgekd.zoo.weights", raising=False)
    with pytest.raises(EdgekdError) as e:
        catalog.require("edgekd.zoo.weights")
    assert "pip install 'edgekd[compress]'" in e.value.hint


def test_dots_in_texts_are_no_parts_of_a_key(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(f"remove = \"{' '.join(['features.denseblock1.denselayer1'] * 99)}\"\nother = '{'.' * 999}'\n")
    assert set(catalog.toml_keys(path, "")) == {"remove", "other"}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('runtimes = ["onnxruntime"]\nprecisions = ["fp32"]\nthreads = 2', "runtimes and precisions and threads are"),
        (f"threads = 2\n[reference]\n{VARIANT}[[variants]]\n{VARIANT}", "threads is"),
    ],
)
def test_a_target_with_the_keys_of_old_is_refused_with_what_to_write(tmp_path, keys, says):
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\ntitle = "Mine"\narch = "x86_64"\n{keys}\n')
    with pytest.raises(EdgekdError) as e:
        catalog.target(str(path))
    assert f"{path}: {says} no longer read: write a [reference] table and a [[variants]] table" in e.value.message
    assert "settings = {threads = 2}" in e.value.message


def test_a_variant_that_is_listed_twice_is_reported(tmp_path):
    path = tmp_path / "mine.toml"
    head = 'name = "m"\ntitle = "M"\narch = "x86_64"'
    path.write_text(f"{head}\n[reference]\n{VARIANT}[[variants]]\n{VARIANT}[[variants]]\n{VARIANT}")
    with pytest.raises(EdgekdError, match="the variant onnxruntime-fp32 is listed twice"):
        catalog.target(str(path))
