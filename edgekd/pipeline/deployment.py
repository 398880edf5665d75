"""How the networks of a run become artifacts: in which variants, how they are fed, calibrated and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgekd.data.dataset import Dataset
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.export import OPSET
from edgekd.deploy.feeding import fed
from edgekd.deploy.opset import ceilings, exported
from edgekd.deploy.variants import deployable
from edgekd.deploy.variants import reference as reference_of
from edgekd.pipeline.versions import made_with
from edgekd.values import DeviceFacts, Feeding, Recipe, Target, Variant
from edgekd.values.lineage import NetworkOrigin

_ROUGHLY = 32
"""Calibration images of a network whose latency alone counts: ranges that are only roughly right don't change which
integer kernels run."""

_EXPORTERS = ("torch", "onnx", "onnxscript")


@dataclass(frozen=True)
class Deployment:
    """How the networks of a run become artifacts."""

    variants: tuple[Variant, ...]
    """One artifact each; those of the same runtime and precision share a file."""
    reference: Variant
    """The original network's in this one is what all drops and ratios refer to."""
    feeding: Feeding
    data: Dataset
    """Its training images calibrate, its validation images check."""
    calibration_images: int
    opset: int = OPSET
    """Of the exported ONNX file; a writer may need a higher one for a precision."""
    max_opset: Mapping[str, int] = field(default_factory=dict)
    """The highest that the variants' runtimes read on the device, by name, where it is known."""
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The layers that compute in integers, by the runtime, for precisions where the device's times decide that."""
    teacher: NetworkOrigin | None = None
    """The original of all networks; None where it isn't known."""

    def made_with(self) -> dict[str, str | None]:
        """The versions of what exports networks, writes files and runs them: another one makes other files."""
        return made_with(self.variants, *_EXPORTERS)


def feeding(data: Dataset, *, in_graph: bool) -> Feeding:
    """How every file is fed that is exported for this data; `in_graph`: it takes pixels, and normalises them itself."""
    return Feeding(
        preprocessing=data.preprocessing,
        normalised_by="graph" if in_graph else "caller",
        classes=data.classes,
    )


def deployment(
    recipe: Recipe,
    target: Target,
    data: Dataset,
    facts: DeviceFacts | None = None,
    variants: tuple[Variant, ...] | None = None,
) -> Deployment:
    """How networks are deployed for a target: in files that its runtimes read, in the device's versions where there is
    one.

    Args:
        recipe: quantisation and export count.
        target: of the device.
        data: the networks'.
        facts: the device's; None: there is none, and this machine runs the files.
        variants: in these, whether or not anything here runs them; None: in those of the target that can be written and
            run, and in the one that drops and ratios refer to.
    """
    reference = reference_of(target, facts)
    if variants is None:
        variants = deployable(target, facts).variants
        variants = variants if reference in variants else (reference, *variants)
    versions = {name: runtime.version for name, runtime in facts.runtimes.items()} if facts else {}
    runtimes = list(dict.fromkeys(variant.runtime for variant in variants))
    return Deployment(
        variants=variants,
        reference=reference,
        feeding=feeding(data, in_graph=recipe.export.include_preprocessing),
        data=data,
        calibration_images=recipe.quantize.images,
        opset=exported(target, runtimes, versions, OPSET),
        max_opset=ceilings(target, runtimes, versions),
    )


def rough(how: Deployment, variants: tuple[Variant, ...]) -> Deployment:
    """How an untrained network is deployed, of which the latency alone counts."""
    return replace(how, variants=variants, calibration_images=_ROUGHLY)


def require_feeding(how: Deployment) -> None:
    """Raises UnsupportedModelError where files are to take pixels and the data's images aren't any."""
    fed(sample_images(how.data.val, 64), how.feeding)
