import pytest

from edgekd import folders
from edgekd.devices.listed import THIS_MACHINE, Place, chosen, every, known, only, several, stated_target
from edgekd.errors import EdgekdError

LAB = """
[devices.orin]
url = "ssh://lab@orin"
target = "jetson-orin-nano"
tags = ["lab", "jetson"]

[devices.pi]
url = "ssh://pi@pi"
tags = ["lab"]

[devices.here]
url = "local:"
"""


@pytest.fixture
def lab(tmp_path):
    path = tmp_path / "devices.toml"
    path.write_text(LAB)
    return path


ORIN = Place("orin", "ssh://lab@orin", "jetson-orin-nano", ("lab", "jetson"))
PI = Place("pi", "ssh://pi@pi", tags=("lab",))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [THIS_MACHINE]),
        (["local:"], [THIS_MACHINE]),
        (["pi", "orin"], [PI, ORIN]),
        (["tag:lab"], [ORIN, PI]),
        (["pi", "tag:lab", "adb://1"], [PI, ORIN, Place("adb://1", "adb://1")]),
        (["here", "local:", "here", "local:"], [Place("here", "local:"), THIS_MACHINE]),
    ],
)
def test_urls_names_and_tags_name_devices_each_once(lab, given, expected):
    assert chosen(given, lab) == expected


def test_two_names_with_one_url_are_two_devices(lab):
    """In either order: they may state different targets."""
    lab.write_text(f'{LAB}\n[devices.nx]\nurl = "ssh://lab@orin"\ntarget = "jetson-orin-nx"\n')
    nx = Place("nx", "ssh://lab@orin", "jetson-orin-nx")
    assert chosen(["orin", "nx"], lab) == [ORIN, nx]
    assert chosen(["nx", "orin"], lab) == [nx, ORIN]
    assert nx in every([], lab)


def test_a_tag_is_a_list_however_few_have_it(lab):
    assert several(["tag:jetson"], chosen(["tag:jetson"], lab))
    assert several(["pi", "orin"], chosen(["pi", "orin"], lab))
    assert not several(["orin"], chosen(["orin"], lab))
    assert not several([], chosen([], lab))


def test_a_command_for_one_device_refuses_several(lab):
    assert only(["pi"], lab) == only(["pi", "pi"], lab) == PI
    assert only(["tag:jetson"], lab) == ORIN
    assert only([]) == THIS_MACHINE
    for several_of_them in (["tag:lab"], ["orin", "pi"]):
        with pytest.raises(EdgekdError, match=r"2 devices \(orin, pi\)"):
            only(several_of_them, lab)


@pytest.fixture
def no_file(monkeypatch):
    monkeypatch.setattr(folders, "configs", lambda: ())


def test_every_device_of_the_file_or_only_what_is_named(lab, no_file):
    assert [place.name for place in every([], lab)] == ["orin", "pi", "here"]
    assert [place.name for place in every(["tag:jetson", "local:/x"], lab)] == ["orin", "local:/x"]
    assert every([]) == [THIS_MACHINE]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("ping", "'pi'"),
        ("root@pi", "A host is given as ssh://root@pi."),
        ("tag:labs", "'lab'"),
        ("", "here, orin, pi"),
    ],
)
def test_what_is_not_listed_is_refused_with_the_nearest(lab, given, hint):
    with pytest.raises(EdgekdError, match=r"devices\.toml") as e:
        chosen([given], lab)
    assert hint in e.value.hint


def test_without_a_file_the_remedy_says_where_one_goes(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "configs", lambda: (tmp_path,))
    with pytest.raises(EdgekdError) as e:
        chosen(["pi"])
    assert str(tmp_path / "devices.toml") in e.value.hint
    assert chosen(["local:/x"]) == [Place("local:/x", "local:/x")]


def test_the_files_of_the_users_folders_are_one_and_the_last_counts_most(monkeypatch, tmp_path):
    places = (tmp_path / "old", tmp_path / "new", tmp_path / "none")
    monkeypatch.setattr(folders, "configs", lambda: places)
    for place, url in zip(places, ("local:/old", "local:/new"), strict=False):
        place.mkdir()
        (place / "devices.toml").write_text(f'[devices.a]\nurl = "{url}"\n[devices.{place.name}]\nurl = "local:"\n')
    assert {name: one.url for name, one in known().items()} == {"a": "local:/new", "old": "local:", "new": "local:"}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[devices.a]\nurk = "local:"', r"unknown key 'devices.a.urk'", "'url'"),
        ('[device.a]\nurl = "local:"', r"unknown key 'device'", "'devices'"),
        ("[devices.a]", r"'devices.a.url' is missing", "Add"),
        ('[devices.a]\nurl = "pi"', r"devices.a.url: should be a URL, such as ssh://.*, not 'pi'", "url"),
        ("[devices.a]\nurl = 3", r"devices.a.url: should be a URL", "url"),
        ('[devices."a:b"]\nurl = "local:"', "devices: 'a:b' is no name: use up to 100 letters, digits", "Correct"),
        ('[devices.""]\nurl = "local:"', "devices: '' is no name: use", "Correct"),
        ('[devices]\na = "local:"', r"devices\.a: should be a table, not 'local:'", "Correct"),
        ("devices = 3", r"devices: should be tables, one for each device: \[devices.NAME\], not 3", "Correct"),
        ('[devices.a]\nurl = "local:"\ntags = "lab"', r"tags: should be a list of texts, such as \[.lab.\]", "tags"),
        ('[devices.a]\nurl = "local:"\ntags = ["a b"]', "tags: 'a b' is no tag: use up to 100 letters", "tags"),
        ("[devices.a", "end of document", "isn't closed"),
    ],
)
def test_mistakes_are_named_with_file_and_key(tmp_path, text, message, hint):
    path = tmp_path / "devices.toml"
    path.write_text(text)
    with pytest.raises(EdgekdError, match=message) as e:
        known(path)
    assert str(path) in e.value.message
    assert hint in e.value.hint


def test_a_file_that_is_not_there_is_an_error_though_no_name_is_used(tmp_path):
    with pytest.raises(EdgekdError, match="nowhere"):
        chosen(["local:"], tmp_path / "nowhere.toml")


def test_names_and_tags_may_have_letters_of_every_language(tmp_path):
    path = tmp_path / "devices.toml"
    path.write_text('[devices."größe_1.x"]\nurl = "local:"\ntags = ["über", "5g"]\n')
    assert (
        chosen(["tag:über"], path)
        == chosen(["größe_1.x"], path)
        == [Place("größe_1.x", "local:", None, ("über", "5g"))]
    )


def test_a_file_that_is_a_link_to_nothing_is_no_missing_file(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "configs", lambda: (tmp_path,))
    assert known() == {}
    (tmp_path / "devices.toml").symlink_to("nowhere")
    with pytest.raises(EdgekdError, match=r"devices\.toml"):
        known()


def test_the_remedy_for_a_file_that_is_not_there_is_about_devices(tmp_path):
    with pytest.raises(EdgekdError) as e:
        known(tmp_path / "nowhere.toml")
    assert e.value.hint == "Give the path of a TOML file that lists your devices."


def test_a_target_that_does_not_exist_is_named_with_the_device():
    assert stated_target(ORIN) == "jetson-orin-nano"
    assert stated_target(PI) is None
    with pytest.raises(EdgekdError, match=r"^a in devices.toml: no target 'jetson-orn-nano'") as e:
        stated_target(Place("a", "local:", "jetson-orn-nano"))
    assert "'jetson-orin-nano'" in e.value.hint
