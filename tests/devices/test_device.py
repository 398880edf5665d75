import platform
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import psutil
import pytest
from onnx import TensorProto, helper

from edgekd import runtimes
from edgekd.devices import client
from edgekd.devices._base import Device
from edgekd.devices.device import Reached, connect, require_target
from edgekd.devices.transports import local as transport
from edgekd.errors import DeviceError, EdgekdError, ExitCode, MeasurementError, NoDeviceError, UnsupportedModelError
from edgekd.files import sha256
from edgekd.measuring.artifact import describe
from edgekd.values import DeviceFacts, MeasuringProtocol, Target, Variant


def target(**changes):
    variants = tuple(Variant(runtime=runtime, precision="fp32") for runtime in ("tensorrt", "onnxruntime"))
    here = {"arch": platform.machine(), "os": "linux", "reference": variants[0], "variants": variants}
    return Target(name="t", title="Some Board", **here | changes)


@pytest.fixture(scope="module")
def local():
    with connect("local:") as device:
        yield device


def test_local_is_this_python_or_the_one_given():
    assert transport.connect("").python([]) == [sys.executable]
    assert transport.connect("/usr/bin/python3").python([]) == ["/usr/bin/python3"]
    assert connect("local:/usr/bin/python3").url == "local:/usr/bin/python3"


def test_opening_is_lazy():
    """A device that isn't there is told where something is wanted of it, and not before."""
    with connect("local:/no/such/python") as device:
        assert device.url == "local:/no/such/python"
        assert device.push([Path(__file__)]) == __file__
        with pytest.raises(DeviceError, match="/no/such/python"):
            _ = device.facts


@pytest.mark.parametrize("url", ["telepathy://me", "jetson", "", ":x"])
def test_an_unknown_transport_is_reported_with_the_known_ones(url):
    with pytest.raises(EdgekdError) as e:
        connect(url)
    assert e.value.exit_code == ExitCode.USAGE
    assert "local" in e.value.hint


@pytest.mark.parametrize(
    ("url", "hint"), [("SSH://board", "Did you mean 'ssh'?"), ("pi@board:22", "Over ssh, write ssh://pi@board:22")]
)
def test_what_nearly_is_a_url_is_answered_with_it(url, hint):
    with pytest.raises(EdgekdError) as e:
        connect(url)
    assert hint in e.value.hint


def test_files_are_where_they_are(local, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.onnx").touch()
    assert Path(local.push([Path("a.onnx")])) == (tmp_path / "a.onnx").resolve()


def test_a_python_that_is_not_there_or_lacks_the_runtime_is_reported(tmp_path):
    with pytest.raises(DeviceError, match="/no/such/python"):
        connect("local:/no/such/python").start("onnxruntime")
    bare = tmp_path / "python"
    # -S leaves out the installed packages, -E what the environment adds
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(DeviceError, match="machine: onnxruntime can't be loaded: No module named 'onnxruntime'") as e:
        connect(f"local:{bare}").start("onnxruntime")
    assert f"{bare} -m pip install onnxruntime" in e.value.hint
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho no agent here >&2\nexit 3\n")
    silent.chmod(0o755)
    with pytest.raises(DeviceError, match="no agent here"):
        connect(f"local:{silent}").start("onnxruntime")


def test_a_bundle_that_lacks_the_runtime_is_made_again(monkeypatch):
    """Its Python is started by a loader of its own, and has no pip."""
    device = connect("local:")
    bundled = [sys.executable, "-S", "-E"]  # without the installed packages
    monkeypatch.setattr(type(device._connection), "python", lambda self, runtimes: bundled)
    with pytest.raises(DeviceError, match="onnxruntime can't be loaded") as e:
        device.start("onnxruntime")
    assert f"edgekd devices bundle --arch {device.facts.host.arch}`" in e.value.hint
    assert "pip" not in e.value.hint


def test_a_runtime_that_edgekd_does_not_have_is_reported():
    with pytest.raises(EdgekdError, match="abacus") as e:
        connect("local:").start("abacus")
    assert "onnxruntime" in e.value.hint


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"arch": "sparc"}, False),
        ({"os": "android"}, False),
        ({"marker": "/proc/self"}, True),
        ({"marker": "/proc/no/such/board"}, False),
    ],
)
def test_a_device_is_of_a_target_by_architecture_system_and_marker(local, changes, expected):
    kind = target(**changes)
    # asked with its facts, and later where it wasn't connected as that target
    with connect("local:", kind) as device:
        assert device.is_of(kind) is expected
        assert device.facts.are_of(kind) is expected
    assert local.is_of(kind) is expected
    if expected:
        require_target(local, kind)
        return
    with pytest.raises(NoDeviceError, match=r"this machine \(.* linux\) is not a device of target t") as e:
        require_target(local, kind)
    assert e.value.exit_code == ExitCode.INCONCLUSIVE


def test_its_facts_are_asked_once_and_can_be_given(local, monkeypatch):
    facts = local.facts
    assert facts.host.python == platform.python_version()
    assert facts.runtimes["onnxruntime"].version == onnxruntime.__version__
    assert not facts.runtimes["onnxruntime"].builds
    assert DeviceFacts.model_validate_json(facts.model_dump_json()) == facts
    monkeypatch.setattr(client.Agent, "survey", None)
    assert local.facts is facts
    with connect("local:/no/such/python", known=facts) as unplugged:
        assert unplugged.facts is facts
        assert not unplugged.is_of(target(arch="sparc"))
        with pytest.raises(DeviceError):
            unplugged.start("onnxruntime")


def test_only_the_targets_runtimes_are_requested():
    with connect("local:", target()) as device:
        assert [*device.facts.runtimes] == ["onnxruntime"]


def matrix(folder, value):
    """A model that multiplies ones by a matrix of one value, which is beside it in a file of its own."""
    folder.mkdir(parents=True)
    weights = onnx.numpy_helper.from_array(np.full((256, 256), value, np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 256]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    return path


def given_by(path):
    session = onnxruntime.InferenceSession(connect("local:").push([path]))
    return session.run(None, {"x": np.ones((1, 256), np.float32)})[0][0, 0]


def test_a_linked_models_data_is_that_beside_the_link(tmp_path):
    first, second = matrix(tmp_path / "v1", 1.0), matrix(tmp_path / "v2", 2.0)
    second.unlink()
    second.symlink_to(first)
    assert given_by(first) == 256
    assert given_by(second) == 512
    assert describe(first, name="n", runtime="r").id != describe(second, name="n", runtime="r").id


def test_a_model_whose_files_are_all_links_elsewhere_is_read(tmp_path):
    model, blobs, snapshot = matrix(tmp_path / "plain", 1.0), tmp_path / "blobs", tmp_path / "snapshots"
    blobs.mkdir()
    snapshot.mkdir()
    for number, file in enumerate((model, model.with_name("model.onnx_data"))):
        (snapshot / file.name).symlink_to(file.rename(blobs / str(number)))
    assert given_by(snapshot / "model.onnx") == 256
    assert describe(snapshot / "model.onnx", name="n", runtime="r").disk_bytes > 256 * 256 * 4


class Elsewhere:
    """As a device that is not this machine: it has its own folders, and has only what was sent to it."""

    url, title = "elsewhere:", "a device elsewhere"

    def __init__(self, root):
        self.root, self.sent, self.closed = root, [], False
        self.cache = str(root / "cache")

    def python(self, runtimes):
        return [sys.executable]

    def start(self, command):
        return transport.connect("").start(command)

    def push(self, folder, hashes, key):
        there = self.root / key
        if not there.exists():
            for name in hashes:
                self.sent.append(name)
                (there / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / name, there / name)
        return str(there)

    def fetch(self, path, to):
        shutil.copy(path, to)

    def close(self):
        self.closed = True


@pytest.fixture
def elsewhere(tmp_path):
    """Its connection and the device."""
    connection = Elsewhere(tmp_path / "elsewhere")
    with Reached(connection) as device:
        yield connection, device
    assert connection.closed


ONES = np.ones((3, 256), np.float32)


def test_what_the_devices_runtime_does_not_read_is_not_sent(elsewhere, tmp_path, local):
    connection, device = elsewhere
    runtime = local.facts.runtimes["onnxruntime"].model_copy(update={"version": "1.8.1"})
    known = local.facts.model_copy(update={"runtimes": {"onnxruntime": runtime}})
    artifact = described(matrix(tmp_path / "v1", 1.0))
    with Reached(connection, known=known) as older:
        says = r"model\.onnx: onnxruntime 1\.8\.1 on a device elsewhere does not read it: it has opset 17"
        with pytest.raises(UnsupportedModelError, match=says) as e:
            list(older.evaluate(artifact, [ONES]))
        with pytest.raises(UnsupportedModelError, match=says):
            older.build(artifact)
    assert f"{sys.executable} -m pip install 'onnxruntime>=1.12'" in e.value.hint
    assert connection.sent == []
    device.build(artifact)
    assert "model.onnx" in connection.sent


def test_what_a_device_has_is_not_sent_again_and_what_belongs_together_stays_together(elsewhere, tmp_path):
    connection, device = elsewhere
    first, second = (described(matrix(tmp_path / name, value)) for name, value in (("v1", 1.0), ("v2", 2.0)))
    for artifact, value in ((first, 256), (second, 512), (first, 256)):
        (found,) = device.evaluate(artifact, [ONES])
        assert found.tolist() == [[value] * 256] * 3
    assert connection.sent.count("model.onnx") == connection.sent.count("model.onnx_data") == 2
    assert connection.sent.count("__main__.py") == connection.sent.count("onnxruntime.py") == 1
    second.path.rename(tmp_path / "renamed.onnx")
    assert "renamed.onnx" in device.push([tmp_path / "renamed.onnx"])


def described(path):
    return describe(path, name=path.parent.name, runtime="onnxruntime")


def test_it_evaluates_by_one_agent_until_something_is_started(local, tmp_path):
    artifact = described(matrix(tmp_path / "v1", 1.0))
    taken = local.evaluate(artifact, [ONES, 2 * ONES])
    assert next(taken).shape == (3, 256)
    process = local._evaluating._open[1].process
    assert next(taken)[0, 0] == 512
    assert [one.shape for one in local.evaluate(artifact, [ONES])] == [(3, 256)]
    assert local._evaluating._open[1].process is process
    with local.start("onnxruntime"):
        assert process._process.poll() in (0, 1)  # 1: it took more than a second


def test_an_evaluation_that_is_left_early_ends_its_agent(local, tmp_path):
    """What was sent ahead would be answered to whoever asks next."""
    artifact = described(matrix(tmp_path / "v1", 1.0))
    taken = local.evaluate(artifact, [ONES] * 5)
    next(taken)
    taken.close()
    assert [one[0, 0] for one in local.evaluate(artifact, [3 * ONES])] == [768]


def test_what_changed_on_the_device_since_it_was_sent_is_not_evaluated(elsewhere, tmp_path):
    _, device = elsewhere
    artifact, other = described(matrix(tmp_path / "v1", 1.0)), matrix(tmp_path / "v2", 2.0)
    sent = Path(device.push([file.path for file in artifact.files])).with_name("model.onnx_data")
    shutil.copy(other.with_name(sent.name), sent)
    with pytest.raises(MeasurementError, match=rf"{sent} has another content there than was sent") as e:
        list(device.evaluate(artifact, [ONES]))
    assert "edgekd devices clean" in e.value.hint


def test_a_file_that_changed_since_it_was_opened_is_opened_again(local, tmp_path):
    path, other = matrix(tmp_path / "v1", 1.0), matrix(tmp_path / "v2", 2.0)
    (before,) = local.evaluate(described(path), [ONES])
    data = path.with_name("model.onnx_data")
    data.unlink()  # it is mapped
    shutil.copy(other.with_name(data.name), data)
    (after,) = local.evaluate(described(path), [ONES])
    assert (before[0, 0], after[0, 0]) == (256, 512)


def test_what_a_runtime_refuses_names_the_file(local, one_node, tmp_path):
    odd = one_node("odd", "Oddity", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], domain="made.up")
    with pytest.raises(UnsupportedModelError, match=r"odd\.onnx: onnxruntime can't run it: .*Oddity"):
        list(local.evaluate(describe(odd, name="odd", runtime="onnxruntime"), [ONES]))
    artifact = described(matrix(tmp_path / "v1", 1.0))
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx: onnxruntime can't run it: .*invalid dimensions"):
        list(local.evaluate(artifact, [ONES[..., :7]]))
    assert [one.shape for one in local.evaluate(artifact, [ONES])] == [(3, 256)]


BUILDS = """
import errno, os, signal, numpy
formats = ("onnx",)
SETTINGS = {}
builds = True
def describe():
    return {"version": "7", "provider": "none"}
def build(path, engine, shapes):
    with __builtins__["open"](path) as file:
        text = file.read()
    taken = [{"name": "x", "shape": [None, 2], "dtype": "float32"}]
    (sizes,) = shapes(taken).values()
    if text == "refused":
        raise ValueError("no such layers here")
    if text == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    if text == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    with __builtins__["open"](engine, "w") as file:
        file.write("engine of " + text)
    return f"by hand for {sizes}"
class open:
    provider = "none"
    def __init__(self, path):
        with __builtins__["open"](path) as file:
            self.length = len(file.read())
    def inputs(self):
        return [{"name": "x", "shape": [1, 2], "dtype": "float32"}]
    def run(self, feeds):
        return [feeds["x"] + self.length]
"""


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """A runtime called `builder` that builds engines; makes artifacts for it of a text."""
    folder = tmp_path / "runtimes"
    folder.mkdir()
    (folder / "builder.py").write_text(BUILDS)
    monkeypatch.setattr(runtimes, "__path__", [*runtimes.__path__, str(folder)])

    def artifact(text, model):
        path = tmp_path / f"{text}.onnx"
        path.write_text(text)
        variant = Variant(runtime="builder", precision="fp32")
        known = describe(model, name="n", runtime="onnxruntime")
        file = known.files[0].model_copy(update={"path": path, "sha256": sha256(path)})
        return known.model_copy(update={"variant": variant, "files": (file,)})

    return artifact


def test_an_engine_is_built_on_the_device_once_and_run_there(builder, elsewhere, model):
    connection, device = elsewhere
    assert device.facts.runtimes["builder"].builds
    artifact = builder("abc", model())
    engine = device.build(artifact)
    assert Path(engine.path).read_text() == "engine of abc"
    assert engine.path.startswith(connection.cache)
    assert engine.bytes == len("engine of abc")
    assert engine.build_seconds >= 0
    assert engine.build_how == "by hand for (1, 2)"
    assert device.build(artifact) == engine
    assert device.build(builder("other", model())).path != engine.path
    larger = device.build(artifact, MeasuringProtocol(batch=3))
    assert (larger.build_how, larger.path != engine.path) == ("by hand for (3, 2)", True)
    (found,) = device.evaluate(artifact, [np.zeros((1, 2), np.float32)])
    assert found.tolist() == [[13, 13]]


def test_another_power_mode_has_engines_and_timings_of_its_own(builder, elsewhere, model):
    _, device = elsewhere
    artifact = builder("abc", model())

    def engine(**host):
        device._facts = device.facts.model_copy(update={"host": device.facts.host.model_copy(update=host)})
        return Path(device.build(artifact).path)

    first, fast = engine(power_mode="15W"), engine(power_mode="MAXN_SUPER")
    assert first.parent != fast.parent
    assert engine(power_mode="15W") == first


def test_another_gpu_has_engines_of_its_own(builder, elsewhere, model):
    """As where CUDA_VISIBLE_DEVICES chooses another card."""
    _, device = elsewhere
    artifact = builder("abc", model())

    def engine(capability):
        known = device.facts.runtimes["builder"].model_copy(update={"compute_capability": capability})
        device._facts = device.facts.model_copy(update={"runtimes": {**device.facts.runtimes, "builder": known}})
        return device.build(artifact).path

    assert engine("8.9") != engine("8.6")
    assert engine("8.9") == engine("8.9")


def test_what_runs_on_a_device_waits_for_its_lease(builder, elsewhere, model, tmp_path):
    """Not what only looks, or copies a file."""
    _, device = elsewhere
    artifact = builder("abc", model())
    plain = described(matrix(tmp_path / "v1", 1.0))
    assert device.facts
    with connect("local:") as other, other.leased():
        assert device.push([artifact.path])
        assert device.build(plain).bytes is None
        with pytest.raises(DeviceError, match="in use by"):
            device.build(artifact)
        with pytest.raises(DeviceError, match="in use by"):
            list(device.evaluate(plain, [ONES]))
    # given back as soon as an evaluation ends, also where its outputs are taken no further
    device.build(artifact)
    outputs = device.evaluate(plain, [ONES, ONES])
    next(outputs)
    with pytest.raises(DeviceError, match="in use by"), connect("local:") as other, other.leased():
        pass
    outputs.close()
    with connect("local:") as other, other.leased():
        pass


def test_an_engine_that_was_built_for_a_file_of_inputs_has_their_shapes(builder, elsewhere, model, tmp_path):
    _, device = elsewhere
    np.savez(tmp_path / "inputs.npz", x=np.zeros((5, 2), np.float32))
    protocol = MeasuringProtocol(inputs="sha256:of-the-file")
    built = device.build(builder("abc", model()), protocol, str(tmp_path / "inputs.npz"))
    assert built.build_how == "by hand for (5, 2)"


def test_what_a_killed_build_left_is_removed_by_the_next(builder, elsewhere, model):
    _, device = elsewhere
    artifact = builder("abc", model())
    engine = Path(device.build(artifact).path)
    left = engine.with_name(f".{engine.name}.4711")
    left.write_text("half an engine")
    engine.unlink()
    assert device.build(artifact).path == str(engine)
    assert sorted(file.name for file in engine.parent.iterdir()) == [
        engine.name,
        f"{engine.name}.json",
        f"{engine.name}.used",
    ]


def test_an_engine_that_was_not_written_whole_is_built_again(builder, elsewhere, model):
    _, device = elsewhere
    artifact = builder("abc", model())
    engine = Path(device.build(artifact).path)
    whole = engine.read_text()
    for spoil in (
        lambda: engine.write_text("half"),
        lambda: engine.write_text("x" * len(whole)),
        lambda: Path(f"{engine}.json").write_text("{"),
        engine.unlink,
    ):
        spoil()
        assert device.build(artifact).bytes == len(whole)
        assert engine.read_text() == whole


PACKAGE = """
from . import _answer
formats, SETTINGS, builds = ("onnx",), {}, False
def describe():
    return {"version": _answer.VERSION, "provider": "none"}
"""


def test_a_runtime_of_several_files_is_sent_whole(tmp_path, monkeypatch):
    folder = tmp_path / "runtimes"
    for name, version in (("package_a", "1"), ("package_b", "2")):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(PACKAGE)
        (folder / name / "_answer.py").write_text(f"VERSION = {version!r}")
    monkeypatch.setattr(runtimes, "__path__", [*runtimes.__path__, str(folder)])
    with Reached(Elsewhere(tmp_path / "elsewhere")) as device:
        found = device.facts.runtimes
    assert (found["package_a"].version, found["package_b"].version) == ("1", "2")


def test_an_artifact_that_cannot_be_built_is_reported_with_the_runtimes_words(builder, elsewhere, model):
    _, device = elsewhere
    with pytest.raises(UnsupportedModelError, match=r"refused\.onnx: builder can't build it: no such layers here"):
        device.build(builder("refused", model()))
    with pytest.raises(MeasurementError, match=r"crash\.onnx: builder failed to build it: ended with signal 11"):
        device.build(builder("crash", model()))


def test_a_disk_that_gets_full_as_an_engine_is_built_is_no_fault_of_the_artifact(builder, elsewhere, model):
    _, device = elsewhere
    with pytest.raises(DeviceError, match=r"full\.onnx: builder can't build it: .*: No space left on device") as e:
        device.build(builder("full", model()))
    assert "edgekd devices clean" in e.value.hint


def test_what_builds_nothing_is_run_as_it_is(local, tmp_path):
    artifact = described(matrix(tmp_path / "v1", 1.0))
    engine = local.build(artifact)
    assert (engine.path, engine.bytes, engine.build_seconds) == (str(artifact.path), None, None)


LEAVES = """
import sys, numpy
from pathlib import Path
from edgekd.devices.device import connect
from edgekd.measuring.artifact import describe
device = connect("local:")
artifact = describe(Path(sys.argv[1]), name="n", runtime="onnxruntime")
for _ in device.evaluate(artifact, [numpy.ones((3, 256), "float32")] * 100_000_000):
    print(device._evaluating._open[1].process.pid, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_agent_outlives_its_host_however_it_ends(tmp_path, number):
    path = matrix(tmp_path / "v1", 1.0)
    # a shell lets what it starts in the background ignore Ctrl-C
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    line = [sys.executable, "-c", LEAVES, path]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, preexec_fn=heed) as host:
        agent = psutil.Process(int(host.stdout.readline()))
        host.send_signal(number)
        host.stdout.read()
    gone, _ = psutil.wait_procs([agent], timeout=20)
    assert gone == [agent]


def test_the_simulated_device_is_a_device(simulated, local, tmp_path):
    """And it computes what a real one does."""
    device: Device = simulated()
    artifact = described(matrix(tmp_path / "v1", 1.0))
    with device:
        (found,), (expected,) = (one.evaluate(artifact, [ONES]) for one in (device, local))
        assert (found == expected).all()
        assert device.build(artifact).path == local.push([artifact.path])
        missing = {name for name in dir(Device) if not name.startswith("_")} - set(dir(device))
        assert missing == set()
