import pytest

from edgekd import catalog
from edgekd.errors import EdgekdError, NoDeviceError
from edgekd.pipeline.profile import profile, unmeasured
from edgekd.progress import Silent
from edgekd.schema import Measuring

QUICK = Measuring(launches=1, seconds=0.03, block_seconds=0.01, warmup_seconds=0.02)


def profiled(path, target="x86-cpu", **changes):
    return profile(path, target=catalog.target(target), progress=Silent(), **{"settings": QUICK} | changes)


def test_a_model_is_measured_beside_its_baseline(model):
    found, base = profiled(model("small"), baseline=model("large"))
    assert (found.artifact.name, base.artifact.name) == ("small", "large")
    assert found.session == base.session
    assert found.artifact.precision == "fp32"
    assert found.artifact.runtime == "onnxruntime"


def test_on_a_machine_of_another_kind_nothing_is_measured(model):
    with pytest.raises(NoDeviceError, match=r"not measured: this machine \(x86_64 linux\) is no NVIDIA Jetson") as e:
        profiled(model(), target="jetson")
    assert "--device" in e.value.hint
    assert e.value.exit_code == 3


def test_a_target_none_of_whose_runtimes_is_here_is_told(model):
    target = catalog.target("x86-cpu").model_copy(update={"runtimes": ("abacus",)})
    with pytest.raises(EdgekdError, match="abacus"):
        profile(model(), target=target, settings=QUICK, progress=Silent())


def test_what_was_not_measured_still_has_its_size(model):
    (found,) = unmeasured(model(), target=catalog.target("jetson"), settings=QUICK)
    assert found.launches == ()
    assert not found.on_target
    assert found.artifact.disk_bytes == model().stat().st_size
