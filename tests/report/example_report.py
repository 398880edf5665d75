"""A run's report with something in each of its parts, and names that would be markup."""

import random
from pathlib import Path

from edgekd.recipe import recipe
from edgekd.report.formats._base import Report
from edgekd.values import (
    Accuracy,
    Artifact,
    Candidate,
    Cost,
    File,
    Host,
    Interval,
    Launch,
    LimitVerdict,
    Manifest,
    Measurement,
    MeasuringProtocol,
    Node,
    Plan,
    Preprocessing,
    Proposal,
    RuntimeInfo,
    State,
    Structure,
    Trace,
    Variant,
    VariantLatency,
    Verdict,
)
from edgekd.values.classes import ByClass
from edgekd.values.deployment import Coverage, Parity
from edgekd.values.losses import HALF_AND_HALF, LABELS_ALONE
from edgekd.values.manifest import Port
from edgekd.values.network import Architecture, LayerWidth, Network
from edgekd.values.plan import LatencyTable, Staircase, Structured
from edgekd.values.race import PilotRecord, PilotRound, RaceRecord, TrainedBy
from edgekd.values.result import Brought, Choice, Dropped, Result, Tried
from edgekd.values.training import EpochRecord, Execution, TrainingRecord

HOSTILE = "<img src=x onerror=\"document.title='hit'\"><script>document.title='hit'</script>&amp;"
FP32, INT8, PARTIAL = (Variant(runtime="onnxruntime", precision=name) for name in ("fp32", "int8", "int8-partial"))
_ONCE = {"load_ms": 20.0, "first_ms": 3.0}


def accuracy(correct, split="test", images=1000):
    return Accuracy(correct=correct, images=images, dataset="digits", split=split)


def interval(estimate, spread=0.01):
    return Interval(estimate=estimate, low=estimate - spread, high=estimate + spread)


def artifact(name, variant, size):
    file = File(path=Path(f"{name}.onnx"), sha256=f"{size:064x}")
    return Artifact(name=name, variant=variant, files=(file,), disk_bytes=size, transfer_bytes=int(0.9 * size))


REFERENCE = artifact("baseline-onnxruntime-fp32", FP32, 3_200_000)
KEPT = artifact("student-onnxruntime-int8", INT8, 240_000)


def node(name, op, ms, provider="CPUExecutionProvider"):
    return Node(name=name, op=op, provider=provider, ms=ms)


BEFORE = Trace(
    inferences=50, nodes=(node("stem/Conv", "Conv", 0.3), node(HOSTILE, "Relu", 0.02), node("head/Gemm", "Gemm", 0.1))
)
AFTER = Trace(
    inferences=50,
    nodes=(
        node("quantize", "QuantizeLinear", 0.01),
        node("stem/Conv_quant", "QLinearConv", 0.1),
        node("head/Gemm", "Gemm", 0.06, "XnnpackExecutionProvider"),
    ),
)


def launch(number, base_ms):
    drawn = random.Random(f"{number} {base_ms}")
    throttled = number == 3
    blocks = tuple(tuple(base_ms * drawn.gauss(1.0, 0.01) for _ in range(15)) for _ in range(20))
    before = State(clocks_mhz=(3000.0, 2800.0), temperatures_c={"cpu": 50.0 + number}, throttle_count=4)
    after = State(clocks_mhz=(3000.0 - 200 * throttled,), temperatures_c={"cpu": 52.0}, throttle_count=4 + throttled)
    return Launch(**_ONCE, blocks_ms=blocks, waited_ms=(0.01,) * 20, canary_ms=(1.0,) * 20, before=before, after=after)


def measured(of, base_ms, trace=None, launches=5, **changes):
    fields = {
        "session": "one",
        "artifact": of,
        "device": "local:",
        "target": "x86-cpu",
        "on_target": True,
        "protocol": MeasuringProtocol(),
        "host": Host(machine="abc", arch="x86_64", os="linux", cpu=f"some CPU {HOSTILE}", cores=2, python="3.11.7"),
        "runtime": RuntimeInfo(
            name="onnxruntime", version="1.31.1", provider="CPUExecutionProvider", settings={"threads": 1}
        ),
        "launches": tuple(launch(number, base_ms) for number in range(1, launches + 1)),
        "trace": trace,
        "accuracy": accuracy(940),
    }
    return Measurement(**fields | changes)


def history(epochs, correct):
    return tuple(
        EpochRecord(
            loss=2.0 / number,
            validation=correct / 1000 - 0.3 * (epochs - number) / epochs,
            learning_rate=0.1 * (1 - (number - 1) / epochs),
            kept=number == epochs,
        )
        for number in range(1, epochs + 1)
    )


def race():
    def pilot(name, losses, *scores):
        rounds = tuple(PilotRound(steps=40, accuracy=accuracy(score, "val"), loss=0.4) for score in scores)
        return PilotRecord(name=name, losses=losses, learning_rate=0.1, rounds=rounds)

    pilots = (
        pilot("labels alone at 0.1", LABELS_ALONE, 700, 890),
        pilot("half labels, half teacher at 0.025", HALF_AND_HALF, 690),
        pilot("half labels, half teacher at 0.1", HALF_AND_HALF, 720, 912),
    )
    return RaceRecord(pilots=pilots, winner=pilots[-1].name, seconds=5.0)


TRAINED_BY = (
    TrainedBy(losses=HALF_AND_HALF, learning_rate=0.1, race=race()),
    TrainedBy(losses=HALF_AND_HALF, learning_rate=0.01),
)


def network(model, parameters, correct, epochs, trained_by=()):
    return Network(
        architecture=Architecture(model=model, classes=10, channels=1, height=16, width=16, identity="0"),
        weights=File(path=Path(f"{parameters}.safetensors"), sha256=f"{parameters:064x}"),
        cost=Cost(parameters=parameters, nonzero=parameters, macs=10 * parameters),
        accuracy=accuracy(correct, "val"),
        origin="trained",
        training=TrainingRecord(
            epochs=epochs,
            best_epoch=epochs,
            seconds=10.0,
            images_per_second=1000.0,
            execution=Execution(),
            trained_by=trained_by,
            history=tuple(history(epochs, correct) for _ in trained_by or (None,)),
        ),
    )


def tried(of, correct, ratio):
    return Tried(
        name=of.name,
        artifact=of,
        parity=Parity(images=100, max_difference=0.1, sqnr_db=31.0, top1_agreement=0.99),
        coverage=Coverage(integers=12, layers=14) if of.variant.quantised else None,
        val=accuracy(correct, "val"),
        test=accuracy(correct),
        median_ms=ratio,
        ratio=interval(ratio),
    )


def limits(status="pass"):
    latency = LimitVerdict(
        name="latency.max_ratio",
        status=status,
        limit=0.5 if status == "pass" else 0.3,
        observed=0.4,
        low=0.395,
        high=0.405,
        unit="",
        evidence=f"latency ÷ baseline's ≤ 0.405 at 97.5 %, 100 pairs of blocks, 5 launches → {status}",
        paired=True,
    )
    lost = LimitVerdict(
        name="accuracy.max_drop_pp",
        status="pass",
        limit=1.0,
        observed=0.5,
        unit="points",
        evidence="top-1 accuracy lost 0.50 points (94.50 % to 94.00 %) on 1,000 images of digits test → pass",
    )
    return latency, lost


def plan():
    half = Proposal(structure=Structure(widths={"stem": 16}), what="half of the channels")
    found = VariantLatency(variant=INT8.name, median_ms=0.4, ratio=interval(0.41), fits=True)
    stairs = {width: 0.3 + 0.02 * (width // 8) for width in range(8, 72, 8)}
    return Plan(
        proposal=half,
        feasible=True,
        candidates=(Candidate(proposal=half, cost=Cost(parameters=9, nonzero=9, macs=99), latencies=(found,)),),
        table=LatencyTable(
            variant=INT8.name,
            networks=12,
            typical_error=0.02,
            worst_error=0.05,
            unpruned=Structured(structure=Structure(), latency=1.0, loss=0.1),
            chosen=Structured(structure=half.structure, latency=0.41, loss=0.3),
            staircases=(
                Staircase(root=HOSTILE, width=64, chosen=16, latencies=stairs),
                Staircase(root="block.conv", width=64, chosen=0, latencies=stairs),
            ),
        ),
        why="it is the least pruned that was measured to meet the budget",
    )


def widths():
    before = [16, *(16 * 2 ** (number // 4) for number in range(24)), 10]
    after = [width if number % 5 == 0 else 0 if number in (7, 8) else width // 2 for number, width in enumerate(before)]
    names = [HOSTILE, *(f"features.{number}.conv" for number in range(1, len(before)))]
    each = zip(names, before, after, strict=True)
    return tuple(LayerWidth(layer=name, before=was, after=now) for name, was, now in each)


def by_class():
    return ByClass(
        images=(100,) * 10,
        correct=(70, 80, *(98,) * 8),
        lost=(25, 12, 1, *(0,) * 7),
        gained=(1, 2, 3, *(0,) * 7),
        taken_for=(1, 0, *(2,) * 8),
    )


def manifest():
    grey = Preprocessing(height=16, width=16, colour="grey", mean=(0.3,), std=(0.3,))
    return Manifest(
        preprocessing=grey,
        classes=(HOSTILE, *map(str, range(1, 10))),
        file="model.onnx",
        sha256=KEPT.files[0].sha256,
        precision="int8",
        runtime="onnxruntime",
        input=Port(name="input", dtype="float32", shape=(1, 1, 16, 16), layout="NCHW"),
        output=Port(name="logits", dtype="float32", shape=(1, 10), layout="NC"),
    )


def result(status="pass", **changes):
    other = artifact(f"student {HOSTILE}", PARTIAL, 500_000)
    fields = {
        "recipe": recipe(None, {"model": "mobilenet_v1:width=0.25", "data.source": "digits", "target": "x86-cpu"}),
        "data_notes": (f"2 images are {HOSTILE}",),
        "folder": "runs/example",
        "device": "local:",
        "target_title": f"a computer {HOSTILE}",
        "budget_title": "half the latency",
        "teacher": network("mobilenet_v1", 820_000, 950, 30),
        "student": network("mobilenet_v1", 170_000, 940, 2, TRAINED_BY),
        "plan": plan(),
        "widths": widths(),
        "reference": REFERENCE.name,
        "tried": (tried(REFERENCE, 945, 1.0), tried(KEPT, 940, 0.4), tried(other, 942, 0.6)),
        "brought": (Brought(step="prune", what="170,000 of 820,000 parameters left", accuracy=accuracy(200, "val")),),
        "choice": Choice(
            artifact=KEPT.name,
            variant=INT8,
            why="0.40 of the reference's latency",
            dropped=(
                Dropped(name=other.name, why="is slower: 1.50 times the latency of the one kept"),
                Dropped(name="student-openvino-int8", why=f"failed: {HOSTILE}"),
            ),
        ),
        "classes": by_class(),
        "manifest": manifest(),
        "verdict": Verdict(
            status=status,
            budget="half-latency",
            artifact=KEPT.name,
            limits=limits(status),
            reasons=(f"the device throttled {HOSTILE}",) if status == "invalid" else (),
            control=interval(1.0, 0.004),
        ),
        "files": {"model": "model.onnx", REFERENCE.name: "artifacts/baseline.onnx"},
        "seconds": 61.0,
    }
    return Result(**fields | changes)


def report(status="pass", **changes):
    judged = measured(KEPT, 0.4, AFTER), measured(REFERENCE, 1.0, BEFORE, accuracy=accuracy(945))
    return Report(result(status, **changes), judged[1], judged)
