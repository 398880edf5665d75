import pytest

from edgekd.devices.pythons import install_command, installing, upgrading
from edgekd.values import DeviceFacts, DeviceRuntime, Host, Platform


def facts(python, *, runtime="onnxruntime", origin=""):
    host = Host(machine="m", arch="aarch64", os="linux", cpu="c", cores=1, python=python)
    return DeviceFacts(host=host, runtimes={runtime: DeviceRuntime(version="1.2.3", provider="CPU", origin=origin)})


@pytest.mark.parametrize(
    ("device", "least", "how"),
    [
        (facts("3.11.2"), "1.24", "/opt/python -m pip install 'onnxruntime>=1.24'"),
        (facts("3.10.12"), "1.23", "/opt/python -m pip install 'onnxruntime>=1.23'"),
        (facts("3.10.12"), "1.24", "it needs a newer Python there, since 1.23.2 is the last one for Python 3.10.12"),
        (
            facts("3.11.2", origin="Linux/arm64 build"),
            "1.24",
            "make the bundle again with `edgekd devices bundle --arch aarch64`",
        ),
    ],
)
def test_a_newer_runtime_is_installed_where_there_is_one_for_the_devices_python(device, least, how):
    assert upgrading("ssh://pi", ["/opt/python"], device, "onnxruntime", least) == how


def test_a_newer_tensorrt_comes_with_a_newer_jetpack():
    assert (
        upgrading("ssh://pi", ["python3"], facts("3.10.12", runtime="tensorrt"), "tensorrt", "10.9")
        == "it comes with a newer JetPack"
    )


@pytest.mark.parametrize("url", ["ssh://pi", "ssh://pi/usr/bin/python3"])
def test_where_the_systems_python_takes_no_packages_a_virtual_environment_is_made_and_named(url):
    venv = "/usr/bin/python3 -m venv ~/edgekd && ~/edgekd/bin/python -m pip install"
    then = "; then use that Python: ssh://pi/home/USER/edgekd/bin/python"
    assert installing(url, ["/usr/bin/python3"], "3.11.2", "onnxruntime") == f"{venv} onnxruntime{then}"
    upgraded = upgrading(url, ["/usr/bin/python3"], facts("3.11.2"), "onnxruntime", "1.24")
    assert upgraded == f"{venv} 'onnxruntime>=1.24'{then}"


def test_a_virtual_environment_on_a_jetson_has_the_systems_tensorrt_too():
    board = facts("3.12.3").model_copy(update={"platform": Platform(l4t="38.2.0")})
    command = install_command("ssh://pi", ["/usr/bin/python3"], board, "onnxruntime")
    assert command.startswith("/usr/bin/python3 -m venv --system-site-packages ~/edgekd && ")


@pytest.mark.parametrize(
    ("python", "version", "package"),
    [
        ("/usr/bin/python3", "3.10.12", "onnxruntime==1.23.2"),
        ("/home/pi/edgekd/bin/python", "3.11.2", "onnxruntime"),
        ("/usr/local/bin/python3", "3.12.1", "onnxruntime"),
    ],
)
def test_other_pythons_take_packages_themselves(python, version, package):
    assert installing("ssh://pi", [python], version, "onnxruntime") == f"{python} -m pip install {package}"
