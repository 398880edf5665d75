"""Which target a device is of, by the files of boards (tests/devices/boards)."""

import pytest

from edgekd import catalog
from edgekd.devices.device import connect
from edgekd.errors import DeviceError, ExitCode
from edgekd.pipeline.detect import compared, detect
from edgekd.pipeline.detect_text import lines
from edgekd.values import DeviceFacts, Host, Platform
from tests.devices import boards


def described(*compatible, arch="aarch64", os="linux", **more):
    host = Host(machine="m", arch=arch, os=os, cpu="some", cores=4, python="3.10.12", **more)
    facts = DeviceFacts(host=host, runtimes={}, platform=Platform(compatible=compatible))
    return compared("ssh://board", facts, catalog.targets())


@pytest.mark.parametrize("name", boards.NAMES)
def test_the_target_of_its_board_is_proposed(name, tmp_path):
    found = detect(f"local:{boards.python(name, tmp_path)}")
    assert found.targets[0].target == name
    assert found.exit_code == ExitCode.PASS
    assert found.remarks == ()


def test_why_it_is_that_one_and_none_of_its_family_is_said(tmp_path):
    found = detect(f"local:{boards.python('jetson-orin-nano', tmp_path)}")
    text = "\n".join(lines(found))
    assert "target: jetson-orin-nano (NVIDIA Jetson Orin Nano)\n" in text
    assert (
        "because its architecture is aarch64, its system is linux, "
        "its board's identifier nvidia,p3768-0000+p3767-0005-super fits *p3767-000[345]*\n"
    ) in text
    assert "also: arm-cpu" in text
    assert "not jetson-orin-nx: none of its board's identifiers fits *p3767-000[012]*\n" in text
    assert {one.target for one in found.close} == {
        target.name for target in catalog.targets() if target.family == "jetson"
    } - {"jetson-orin-nano"}


def test_a_device_over_ssh_is_recognised_by_its_own_files(sshd, tmp_path):
    found = detect(f"ssh://device{boards.python('raspberry-pi-5', tmp_path)}")
    assert [one.target for one in found.targets] == ["raspberry-pi-5", "arm-cpu"]
    assert [one.target for one in found.close] == ["raspberry-pi-4"]


def test_a_board_without_a_target_is_of_the_general_one():
    found = described("radxa,rock-5b", "rockchip,rk3588")
    assert [one.target for one in found.targets] == ["arm-cpu"]
    assert all(one.why[0].startswith("none of its board's identifiers fits") for one in found.close)
    assert found.remarks == ()


def test_a_module_without_a_target_gets_the_way_to_one_with_its_gpu():
    found = described("nvidia,p3740-0002+p3701-0002", "nvidia,p3701-0002", "nvidia,tegra234")
    assert [one.target for one in found.targets] == ["arm-cpu"]
    (remark,) = found.remarks
    assert "compute capability 8.7" in remark
    assert "a copy of " in remark
    assert "jetson-agx-orin.toml" in remark
    assert 'compatible = ["nvidia,p3740-0002+p3701-0002"]' in remark


@pytest.mark.parametrize(
    ("arch", "os", "start"),
    [("aarch64", "darwin", "arm-cpu"), ("x86_64", "windows", "x86-cpu"), ("armv7l", "linux", "arm-cpu")],
)
def test_where_none_fits_a_target_to_start_from_is_named(arch, os, start):
    found = described(arch=arch, os=os)
    assert (found.targets, found.exit_code) == ((), ExitCode.INCONCLUSIVE)
    assert "target: none" in [*lines(found)]
    (remark,) = found.remarks
    assert f"{start}.toml" in remark
    assert "docs/targets.md" in remark
    assert f'arch = "{arch}", os = "{os}"' in remark


def test_a_target_of_your_own_is_recognised_by_a_path_too():
    (known,) = (target for target in catalog.targets() if target.name == "arm-cpu")
    own = known.model_copy(update={"name": "acme", "marker": "/etc/acme-release"})
    host = Host(machine="m", arch="aarch64", os="linux", cpu="some", cores=4, python="3.10.12")
    facts = DeviceFacts(host=host, runtimes={}, markers={"/etc/acme-release": True})
    found = compared("ssh://board", facts, [known, own])
    assert [one.target for one in found.targets] == ["acme", "arm-cpu"]
    assert found.targets[0].why[-1] == "it has /etc/acme-release"
    without = facts.model_copy(update={"markers": {"/etc/acme-release": False}})
    assert [(one.target, one.why) for one in compared("ssh://board", without, [known, own]).close] == [
        ("acme", ("it has no /etc/acme-release",))
    ]


def test_an_emulated_device_is_called_so():
    assert any("emulated" in remark for remark in described(emulated=True).remarks)


def test_a_device_in_use_is_not_disturbed():
    with connect("local:") as holder, holder.leased():
        assert detect(None).targets[0].target == "x86-cpu"


def test_a_device_that_is_not_there_is_reported():
    with pytest.raises(DeviceError, match="can't start"):
        detect("local:/no/such/python")
