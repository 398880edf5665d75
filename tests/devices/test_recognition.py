import pytest

from edgekd import catalog
from edgekd.devices.recognition import require_possible
from edgekd.errors import EdgekdError


@pytest.mark.parametrize(
    ("change", "says", "hint"),
    [
        ({"arch": "amd64"}, "no device has the arch 'amd64'", "Devices report it as 'x86_64'."),
        ({"arch": "arm64"}, "no device has the arch 'arm64'", "Devices report it as 'aarch64'."),
        ({"arch": "aarhc64"}, "no device has the arch 'aarhc64'", "Did you mean 'aarch64'?"),
        ({"os": "windows"}, "no device has the os 'windows'", "Known: android, darwin, linux"),
    ],
)
def test_a_target_that_no_device_can_be_of_is_refused(change, says, hint):
    with pytest.raises(EdgekdError, match=says) as e:
        require_possible(catalog.target("x86-cpu").model_copy(update=change))
    assert hint in e.value.hint


def test_every_shipped_target_is_possible():
    for target in catalog.targets():
        require_possible(target)
