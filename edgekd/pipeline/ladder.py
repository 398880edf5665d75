"""Ladder: a network as files of every precision that the target's runtimes take, each checked against it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from edgekd import catalog
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.check import compare, failure
from edgekd.deploy.export import OPSET, export_onnx
from edgekd.deploy.feeding import Array, fed, graph, stamp
from edgekd.deploy.outputs import Runner, accuracy
from edgekd.deploy.writers._base import WRITERS
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.pipeline.job import Job, made_with
from edgekd.training.evaluate import outputs
from edgekd.values import Artifact
from edgekd.values.network import Network
from edgekd.values.result import Dropped, Ladder, Parity, Rung
from edgekd.variants import settle
from edgekd.zoo import networks

_PARITY_IMAGES = 256


@dataclass(frozen=True)
class Written:
    """A rung's file before it is checked."""

    artifact: Artifact
    path: Path
    exporter: str


def ladder(job: Job, network: Network, name: str) -> tuple[Ladder, Path]:
    """Every rung of a network, checked, and the folder of the files.

    Raises:
        UnsupportedModelError: not even one rung passed its check.
    """
    job.progress.stage("ladder", f"exporting {name} in every precision and checking each")
    inputs = {
        "name": name,
        "network": network.key(),
        "model": network.architecture.model,
        "quantize": job.recipe.quantize,
        "target": written_for(job),
        "data": [job.data.name, job.images],
        "made with": made_with(),
    }
    result, folder, _ = job.run.stage(
        f"ladder-{name}", inputs, Ladder, lambda folder: _build(job, network, name, folder)
    )
    for gone in result.dropped:
        job.progress.note(f"{gone.name}: dropped: {gone.why}")
    if not result.rungs:
        why = "; ".join(f"{gone.name}: {gone.why}" for gone in result.dropped)
        raise UnsupportedModelError(f"no export of {name} passed its check: {why}", "See the numbers above.")
    return result, folder


def _build(job: Job, network: Network, name: str, folder: Path) -> Ladder:
    model = networks.load(network)
    images = sample_images(job.data.val, _PARITY_IMAGES)
    reference = _logits(name, model, images)
    rungs, dropped = [], []
    calibration = sample_images(job.data.train, job.recipe.quantize.images)
    written = list(write_rungs(job, name, network, folder, calibration=calibration))
    del calibration  # of photos, some hundred MB
    for done, rung in enumerate(written):
        if isinstance(rung, Dropped):
            dropped.append(rung)
            continue
        job.progress.advance(done, len(written), f"checking {rung.artifact.name}")
        try:
            checked = _check(job, rung, images, reference)
        except EdgekdError as e:
            dropped.append(Dropped(name=rung.artifact.name, why=e.message))
            continue
        rungs.append(checked)
    return Ladder(rungs=tuple(rungs), dropped=tuple(dropped))


def _logits(name: str, model: nn.Module, images: Array) -> Array:
    """What the network itself gives, (N, classes).

    Raises:
        UnsupportedModelError: its forward fails, or not all of it is finite.
    """
    given = outputs(model, images)
    if not np.isfinite(given).all():
        what = f"the {name} gives NaN or infinity on real images, before any export"
        hint = (
            "Its statistics of batches may not have settled: train longer, or raise the momentum of its batch "
            "normalisations; or its training diverged: lower the learning rate."
        )
        raise UnsupportedModelError(what, hint)
    return given


def _check(job: Job, rung: Written, images: Array, reference: Array) -> Rung:
    runner = Runner(rung.path, rung.artifact.runtime, job.feeding)
    parity: Parity = compare(reference, runner(images))
    tolerance = catalog.load(WRITERS, rung.artifact.runtime).tolerances[rung.artifact.precision]
    if why := failure(parity, tolerance):
        raise UnsupportedModelError(why)
    return Rung(artifact=rung.artifact, exporter=rung.exporter, parity=parity, val=accuracy(runner, job.data, "val"))


def write_rungs(
    job: Job, name: str, network: Network, folder: Path, *, calibration: Array
) -> Iterator[Written | Dropped]:
    """Write `network` in every precision that the target and a runtime of ours share, and say what can't be written.

    Raises:
        UnsupportedModelError: the model can't be exported at all.
    """
    lineage = {"model": network.architecture.model, "weights": network.weights.sha256}
    fp32 = folder / f"{name}-fp32.onnx"
    whole, example = graph(networks.load(network), job.example, job.feeding)
    exporter = export_onnx(whole, example, fp32, opset=min((OPSET, *job.target.max_opset.values())))
    stamp(fp32, job.feeding)
    for runtime in runtimes(job):
        writer = catalog.load(WRITERS, runtime)
        for variant in job.target.variants:
            precision = variant.precision
            if variant.runtime != runtime or precision not in writer.tolerances:
                continue
            path = folder / f"{name}-{precision}.onnx"
            try:
                found = writer.write(fp32, precision, path, lambda: fed(calibration, job.feeding))
            except UnsupportedModelError as e:
                yield Dropped(name=path.stem, why=e.message)
                continue
            if found != fp32:
                stamp(path, job.feeding)
            artifact = describe(path, name=path.stem, precision=precision, runtime=runtime, lineage=lineage)
            artifact = artifact.model_copy(update={"variant": settle(variant)}).without_folder()
            yield Written(artifact, path, exporter)


def require_feeding(job: Job) -> None:
    """Raises UnsupportedModelError where files are to take pixels and the data's images aren't any."""
    fed(sample_images(job.data.val, 64), job.feeding)


def written_for(job: Job) -> list[object]:
    """What of the target, and of how they are fed, decides the files of a network."""
    return [job.target.variants, job.target.max_opset, job.target.reference, job.feeding]


def runtimes(job: Job) -> list[str]:
    """The target's runtimes that edgekd can write for."""
    return [name for name in job.target.runtimes if name in catalog.names(WRITERS)]
