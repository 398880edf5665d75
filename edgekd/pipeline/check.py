"""`check`: judge a budget on a stored measurement, or on an ONNX file that is measured now."""

from pathlib import Path

from edgekd import catalog
from edgekd.errors import EdgekdError, NoDeviceError
from edgekd.gate.judge import judge, require_baseline
from edgekd.profiling.document import read_measurement
from edgekd.progress import Progress
from edgekd.schema import Budget, Measurement, Measuring, Target, Verdict


def check(
    subject: Path,
    budget: Budget,
    *,
    baseline: Path | None = None,
    target: Target | None = None,
    device_url: str | None = None,
    settings: Measuring | None = None,
    progress: Progress,
) -> Verdict:
    """The verdict on `subject`: a measurement (.json) or a model (.onnx), and its baseline of the same kind.

    A model is measured on the device, interleaved with its baseline. On a device that isn't of the target's kind
    nothing is measured, and only what needs no device is judged.

    Raises:
        EdgekdError: a file can't be read, a relative limit has no baseline, a model has no target.
        DeviceError: the device can't be reached.
        MeasurementError: the measurements don't compare, or the runtime crashed or hung.
    """
    if not any(getattr(budget, limit) for limit in type(budget).model_fields if limit not in ("name", "title")):
        raise EdgekdError(f"budget {budget.name!r} has no limits", "Add one, such as [latency] with limit_ms = 10.")
    require_baseline(budget, given=baseline is not None)
    files = [subject, baseline] if baseline else [subject]
    kinds = {file.suffix.lower() for file in files}
    if kinds == {".json"}:
        return judge(budget, *map(read_measurement, files))
    if kinds == {".onnx"}:
        return judge(budget, *_measured(files, target, device_url, settings, progress))
    if kinds == {".json", ".onnx"}:
        message = "a stored measurement doesn't compare with a model that is measured now"
        raise EdgekdError(message, "Give two .onnx files, or two measurements of one session.")
    wrong = next(file for file in files if file.suffix.lower() not in (".json", ".onnx"))
    raise EdgekdError(f"{wrong}: neither a measurement (.json) nor a model (.onnx)", "Give one of the two.")


def _measured(
    files: list[Path], target: Target | None, device_url: str | None, settings: Measuring | None, progress: Progress
) -> tuple[Measurement, ...]:
    if target is None:
        raise EdgekdError("a model is measured on a target, and none was given", "Give --target; see `edgekd targets`.")
    # here, not above: what measures imports onnx, and a stored measurement is to be judged at once
    measuring = catalog.require("edgekd.pipeline.profile")
    settings = settings or Measuring(threads=target.threads)
    baseline = files[1] if len(files) > 1 else None
    try:
        found: tuple[Measurement, ...] = measuring.profile(
            files[0], target=target, device_url=device_url, settings=settings, baseline=baseline, progress=progress
        )
    except NoDeviceError as e:
        progress.note(e.message)
        found = measuring.unmeasured(files[0], baseline=baseline, target=target, settings=settings)
    return found
