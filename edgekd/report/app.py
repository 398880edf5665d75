"""What is said of a model as an app on a phone takes it."""

from collections.abc import Iterator

from edgekd.values.mobile import Accelerator, ForApp


def lines(app: ForApp) -> Iterator[str]:
    """Its file, its sizes, what a reduced build must contain, and what accelerators would run."""
    of, parity = app.artifact, app.parity
    size = f"{of.disk_bytes:,} bytes, {of.transfer_bytes:,} with gzip"
    yield f"{of.file} ({size}), by {app.made_by}, with all optimisations for Arm CPUs (fixed style)"
    yield f"{parity.sqnr_db:.0f} dB against the ONNX file on {parity.images} images, on {app.checked_by}"
    yield f"for a build of ONNX Runtime that runs no other model: {app.operators}"
    yield "the size of ONNX Runtime's library in the app is not measured"
    for one in app.accelerators:
        yield _accelerator(one, app.report)


def _accelerator(one: Accelerator, report: str) -> str:
    without = f", not {', '.join(one.unsupported)}" if one.unsupported else ""
    pieces = f"in {one.partitions} partition{'' if one.partitions == 1 else 's'}"
    took = f"{one.supported} of {one.nodes} nodes {pieces}{without}"
    return f"worth trying with {one.provider}: {one.suits}, it takes {took}; not run ({report})"
