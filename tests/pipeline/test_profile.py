import hashlib

import numpy as np
import pytest

from edgekd import catalog
from edgekd.errors import EdgekdError, NoDeviceError, StorageError
from edgekd.pipeline.profile import profile
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol, Variant

QUICK = MeasuringProtocol(launches=1, seconds=0.03, block_seconds=0.01, warmup_seconds=0.02)


def profiled(*files, target="x86-cpu", **changes):
    given = {"protocol": QUICK} | changes
    return profile(files, target=catalog.target(target), progress=Silent(), **given)


def test_models_are_measured_side_by_side(model):
    found, base = profiled(model("small"), model("large"))
    assert (found.artifact.name, base.artifact.name) == ("small", "large")
    assert found.session == base.session
    assert found.artifact.precision == "fp32"
    assert found.artifact.runtime == "onnxruntime"


def test_on_a_machine_of_another_kind_nothing_is_measured(model):
    with pytest.raises(
        NoDeviceError, match=r"not measured: this machine \(x86_64 linux\) is not a device of target jetson"
    ) as e:
        profiled(model(), target="jetson")
    assert "--device" in e.value.hint
    assert e.value.exit_code == 3


def test_a_target_none_of_whose_runtimes_is_here_is_reported(model):
    target = catalog.target("x86-cpu").model_copy(update={"variants": (Variant(runtime="abacus", precision="fp32"),)})
    with pytest.raises(EdgekdError, match="abacus"):
        profile([model()], target=target, protocol=QUICK, progress=Silent())


def test_a_stated_batch_size_is_not_replaced_by_that_of_the_model(model):
    with pytest.raises(EdgekdError, match=r"--batch 4: .* is for batch size 1"):
        profiled(model(batch=1), protocol=QUICK.model_copy(update={"batch": 4}))


def test_a_file_given_twice_is_measured_twice(model):
    one, other = profiled(model(), model())
    assert one.artifact == other.artifact
    assert one.launches != other.launches


def test_files_of_one_name_are_distinguished_by_their_paths(model, tmp_path):
    (tmp_path / "old").mkdir()
    old = model().rename(tmp_path / "old" / "model.onnx")
    assert [m.artifact.name for m in profiled(model(), old)] == [str(tmp_path / "model.onnx"), str(old)]


def test_what_fed_a_model_is_declared(model, tmp_path):
    np.savez(tmp_path / "inputs.npz", image=np.zeros((3, 3, 8, 8)))
    (found,) = profiled(model(), inputs=tmp_path / "inputs.npz")
    assert found.protocol.inputs == f"sha256:{hashlib.sha256((tmp_path / 'inputs.npz').read_bytes()).hexdigest()}"
    assert found.protocol.batch == 3
    with pytest.raises(StorageError, match=r"missing\.npz"):
        profiled(model(), inputs=tmp_path / "missing.npz")


def test_a_provider_that_is_not_there_is_reported(model):
    with pytest.raises(
        EdgekdError, match="the provider 'CUDAExecutionProvider' is not available here; available: "
    ) as e:
        profiled(model(), settings={"provider": "CUDAExecutionProvider"})
    assert e.value.hint == "Give another --provider, or leave it out."


def test_a_paced_loop_is_declared_and_slower_paced_than_closed(model):
    paced = QUICK.model_copy(update={"loop": "paced", "cadence_hz": 100.0})
    (found,) = profiled(model(), protocol=paced)
    assert (found.protocol.loop, found.protocol.cadence_hz) == ("paced", 100)
    # ten periods a turn
    assert all(8 <= len(block) <= 11 for block in found.launches[0].blocks_ms)
