"""A network's variants are measured shortly on a simulated device, and the hopeless ones are left out."""

from dataclasses import dataclass
from random import Random

import pytest

from edgekd import catalog, files
from edgekd.devices.agent import protocol
from edgekd.errors import ConnectionLostError, UnsupportedModelError
from edgekd.gate.budget import Budget
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.race import HOPELESS, race
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.values import Artifact, File, MeasuringProtocol, Variant

MS = {"fp32": 1.0, "int8": 0.3, "bf16": 0.44, "fp16": 0.5, "int8-u8s8": 2.0}
LATENCY = {"name": "b", "latency": {"max_ratio": 0.5}}


@dataclass
class Notes(Silent):
    said: list[str]

    def note(self, text):
        self.said.append(text)


@pytest.fixture
def artifacts(tmp_path):
    """One for each precision, the first being the reference's."""

    def make(*precisions, disk_bytes=10):
        found = []
        for precision in precisions:
            path = tmp_path / f"{precision}.onnx"
            path.write_text(precision)
            variant = Variant(runtime="onnxruntime", precision=precision)
            file = File(path=path, sha256=files.sha256(path))
            sizes = {"disk_bytes": disk_bytes if precision != "int8" else 3, "transfer_bytes": 1}
            found.append(Artifact(name=f"net-{variant.name}", variant=variant, files=(file,), **sizes))
        return found

    return make


@pytest.fixture
def raced(tmp_path, simulated):
    def make(found, ms=MS, budget=LATENCY, notes=None, **more):
        device = simulated(lambda path: ms[path.stem], **more)
        goal = Goal(Budget.model_validate(budget), catalog.target("x86-cpu"), device, MeasuringProtocol())
        store = Store(tmp_path / device.machine)
        progress = Notes(notes) if notes is not None else Silent()
        return race(Run(store=store, shared=store, progress=progress), goal, found[0], found), device

    return make


def left_out(race, found, rivals=None, times=HOPELESS):
    whys = {artifact.precision: race.hopeless(artifact, rivals or found, times) for artifact in found}
    return {precision: why for precision, why in whys.items() if why}


def test_what_takes_far_longer_than_the_fastest_is_left_out_with_its_numbers(artifacts, raced):
    """Of five, in two groups: 0.44 ms is within 1.5 times 0.3 ms, 0.5 ms is not."""
    found = artifacts(*MS)
    race, _ = raced(found)
    assert left_out(race, found) == {
        "fp32": "left out after a quick race: 3.3 times the latency of onnxruntime-int8, the fastest",
        "fp16": "left out after a quick race: 1.7 times the latency of onnxruntime-int8, the fastest",
        "int8-u8s8": "left out after a quick race: 6.7 times the latency of onnxruntime-int8, the fastest",
    }
    assert left_out(race, found, times=2.0).keys() == {"fp32", "int8-u8s8"}


def test_it_keeps_how_long_each_took_beside_the_reference(artifacts, raced):
    found = artifacts(*MS)
    race, _ = raced(found)
    assert race.ratios(found) == pytest.approx({f"onnxruntime-{precision}": ms for precision, ms in MS.items()})
    equal = artifacts("fp32", "int8")
    assert raced(equal, {"fp32": 1.0, "int8": 1.1}, machine="equal")[0].ratios(equal).keys() == {
        "onnxruntime-fp32",
        "onnxruntime-int8",
    }


def test_the_device_decides_which_variants_are_left_out(artifacts, raced):
    found = artifacts("fp32", "int8")
    assert left_out(raced(found)[0], found).keys() == {"fp32"}
    assert left_out(raced(found, {"fp32": 0.3, "int8": 1.0}, machine="other")[0], found).keys() == {"int8"}


def test_variants_that_differ_by_settings_alone_race_in_their_own(artifacts, raced):
    one, two = artifacts("fp32", "int8")
    two = two.model_copy(update={"variant": one.variant.model_copy(update={"settings": {"threads": 2}})})
    race, device = raced([one, two])
    assert device.threads == {1, 2}
    assert race.hopeless(one, [one, two], HOPELESS) == (
        "left out after a quick race: 3.3 times the latency of onnxruntime-fp32-threads2, the fastest"
    )


def test_nothing_is_left_out_for_the_sake_of_what_may_not_be_kept(artifacts, raced):
    found = artifacts(*MS)
    race, _ = raced(found)
    rivals = [artifact for artifact in found if artifact.precision != "int8"]
    assert left_out(race, found, rivals).keys() == {"fp32", "int8-u8s8"}
    assert left_out(race, found[:1], found[:1]) == {}


def test_nothing_is_left_out_for_the_sake_of_what_misses_another_limit(artifacts, raced):
    """The fastest is the only file that is too large."""
    found = artifacts("fp32", "int8")
    race, _ = raced(found, {"fp32": 0.3, "int8": 1.0}, LATENCY | {"size": {"disk_bytes": 5}})
    assert left_out(race, found) == {}


def test_what_noise_may_explain_is_not_left_out(artifacts, raced):
    """Blocks differ by a factor of up to 2, which says more of the device than of the files."""
    found, random = artifacts("fp32", "int8"), Random(1)

    def timing():
        return lambda ms, seconds: protocol.Timed((ms * random.uniform(0.7, 1.4),) * 15, energy_mj=None, canary_ms=1.0)

    race, _ = raced(found, {"fp32": 1.0, "int8": 1.7}, timing=timing)
    assert left_out(race, found) == {}
    assert left_out(raced(found, {"fp32": 1.0, "int8": 1.7}, machine="quiet")[0], found).keys() == {"int8"}


def test_what_was_slow_in_one_launch_alone_is_not_left_out(artifacts, raced):
    """Which launches are slow differs: the second process is that of the INT8 file, and so is the fourth."""
    found, factors = artifacts("fp32", "int8"), iter((1.0, 3.0, 1.0, 1.0))

    def timing():
        factor = next(factors)
        return lambda ms, seconds: protocol.Timed((ms * factor,) * 15, energy_mj=None, canary_ms=1.0)

    race, device = raced(found, {"fp32": 1.0, "int8": 1.1}, timing=timing)
    assert left_out(race, found) == {}
    assert device.started == 4


def test_what_the_runtime_cannot_run_is_left_to_its_check_and_the_others_race(artifacts, raced):
    def latency(path):
        if path.stem == "bf16":
            raise UnsupportedModelError("onnxruntime can't load it: no bf16 here")
        return MS[path.stem]

    class Latencies(dict):
        def __getitem__(self, stem):
            return latency(catalog.folder("targets") / f"{stem}.onnx")

    found = artifacts("fp32", "bf16", "int8")
    race, _ = raced(found, Latencies())
    assert left_out(race, found).keys() == {"fp32"}


def test_a_disturbed_device_leaves_nothing_out_and_ends_no_run(artifacts, raced):
    found, notes = artifacts("fp32", "int8"), []
    race, _ = raced(found, notes=notes, throttled=lambda _: True)
    assert left_out(race, found) == {}
    assert "no variant is left out for its latency before it is checked: " in notes[-1]
    assert "the device throttled" in notes[-1]


def test_a_device_that_is_lost_ends_it(artifacts, raced):
    class Lost(dict):
        def __getitem__(self, stem):
            raise ConnectionLostError("the connection was lost")

    with pytest.raises(ConnectionLostError):
        raced(artifacts("fp32", "int8"), Lost())


def test_a_network_of_one_variant_does_not_race(artifacts, raced):
    race, device = raced(artifacts("fp32"))
    assert not race.rounds
    assert not device.started
