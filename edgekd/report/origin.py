"""What is said of where a file comes from: its lineage, and what was proven and measured of it."""

from collections.abc import Iterator

from edgekd.report import usage
from edgekd.report.cells import interval, short
from edgekd.values import Feeding, Lineage, Manifest
from edgekd.values.inspection import Beside, Inspection
from edgekd.values.lineage import NetworkOrigin, Quantised
from edgekd.values.manifest import MeasuredLatency, Proof

_SHOWN_CLASSES = 10
_DIGITS = 12
"""Of a hash."""


def lines(found: Inspection) -> Iterator[str]:
    """What the file and the manifests beside it state."""
    # of a format without metadata, the manifest alone states them
    beside = next((one.manifest for one in found.manifests if one.manifest), None)
    if feeding := found.feeding or beside:
        yield from _feeding(feeding)
    lineage = found.lineage or (beside and beside.lineage)
    yield from _lineage(lineage) if lineage else ("lineage: not stated",)
    for key in found.unreadable:
        yield f"metadata: {key} can't be read by this version of edgekd"
    if others := [key for key in found.metadata if not key.startswith("edgekd.")]:
        yield f"further metadata: {', '.join(map(short, others))}"
    for one in found.manifests:
        yield from _manifest(one)


def _feeding(how: Feeding) -> Iterator[str]:
    shown = ", ".join(map(short, how.classes[:_SHOWN_CLASSES]))
    more = ", …" if len(how.classes) > _SHOWN_CLASSES else ""
    yield f"classes: {len(how.classes)}: {shown}{more}"
    yield f"size: {usage.size(how.preprocessing)}"
    yield f"normalisation: {usage.normalisation(how)}"


def _lineage(found: Lineage) -> Iterator[str]:
    made_by = [f"edgekd {found.edgekd}" if found.edgekd else "", f"exporter {found.exporter}" if found.exporter else ""]
    yield f"made by: {', '.join(filter(None, made_by)) or 'not stated'}"
    for what, origin in (("network", found.network), ("teacher", found.teacher)):
        if origin:
            yield f"{what}: {_network(origin)}"
    if found.data:
        counts = f"{found.data.train:,} training, {found.data.validation:,} validation, {found.data.test:,} test images"
        yield f"data: {found.data.name}: {counts}, fingerprint {found.data.fingerprint[:_DIGITS]}"
    if found.onnx:
        yield f"made from an ONNX file: SHA-256 {found.onnx[:_DIGITS]}"
    if how := found.quantised:
        yield f"quantised: {', '.join(_quantised(how))}"


def _quantised(how: Quantised) -> Iterator[str]:
    yield f"{how.images:,} images"
    yield how.method
    if how.learned:
        yield "some ranges learned in training"
    if how.equalised:
        yield "channels equalised"
    if how.ranges:
        yield f"ranges {how.ranges[:_DIGITS]}"
    yield f"{len(how.layers)} layers in INT8"


def _network(origin: NetworkOrigin) -> str:
    structure = f", structure {origin.structure[:_DIGITS]}" if origin.structure else ""
    return f"{origin.model}{structure}, weights {origin.weights[:_DIGITS]}"


def _manifest(beside: Beside) -> Iterator[str]:
    found = beside.manifest
    if found is None:
        yield f"manifest {beside.file}: not used: {beside.problem}"
        return
    yield f"manifest {beside.file}: of this file; {_variant(found)}"
    if found.proof:
        yield f"  proof: {_proof(found.proof)}"
    if found.measured:
        yield f"  measured: {_measured(found.measured)}"
    if found.recipe_sha256:
        yield f"  recipe: SHA-256 {found.recipe_sha256[:_DIGITS]}, contained in the manifest"


def _variant(found: Manifest) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in found.settings.items())
    return f"{found.runtime} {found.precision}{f', {settings}' if settings else ''}"


def _proof(found: Proof) -> str:
    test = f", {found.test.top1:.2%} of {found.test.images:,} test images" if found.test else ""
    alike = found.parity.top1_agreement
    answers = "" if alike is None else f" and {alike:.1%} of the answers as the network's"
    same = f"{found.parity.sqnr_db:.0f} dB{answers}"
    return f"{same}; {found.validation.top1:.2%} of {found.validation.images:,} validation images{test}"


def _measured(found: MeasuredLatency) -> str:
    when = f", {found.when}" if found.when else ""
    ratio = f"; {interval(found.ratio)} of {found.reference}" if found.ratio else ""
    where = f"{found.device} ({found.os} {found.arch}), {found.runtime} {found.provider}"
    return f"median {found.median_ms:.4g} ms of {found.samples:,} samples on {where}{when}{ratio}"
