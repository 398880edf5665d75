"""The functions of `import edgekd`: the verbs of `edgekd.pipeline`, with names and paths in place of values."""

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.progress import Progress, Silent

if TYPE_CHECKING:
    from edgekd.devices.listed import Place
    from edgekd.gate.judge import Judged
    from edgekd.values import Interval, Measurement, MeasuringProtocol, Target, Verdict
    from edgekd.values.result import Result

AnyPath = str | PathLike[str]


def compress(
    *,
    out: AnyPath,
    model: str | None = None,
    weights: AnyPath | None = None,
    data: str | None = None,
    target: str | None = None,
    budget: str | None = None,
    recipe: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str | None = None,
    wait_s: float = math.inf,
    data_root: AnyPath | None = None,
    download: bool = False,
    trust_checkpoint: bool = False,
    progress: Progress | None = None,
) -> "Result | None":
    """Make a trained network meet a budget, or resume doing so.

    Args:
        out: the folder of the run; the same folder and settings resume it.
        model: the network, such as `torchvision:resnet18` or `package.module:factory`.
        weights: the file of its weights; without it, it is trained first.
        data: its images, such as `folder:photos`.
        target: the kind of device, a name or a TOML file; as devices.toml states it if None.
        budget: a name, or a TOML file; the target's default if None.
        recipe: a TOML file with these settings and any others.
        settings: further ones by their keys, in place of the file's, such as `{"recover.epochs": 5}`.
        device: a URL, or a name in devices.toml; this machine if None.
        wait_s: how many seconds the device is waited for while somebody else uses it.
        data_root: a folder with data sets.
        download: whether a missing data set is downloaded.
        trust_checkpoint: whether weights may be a full pickle, which can run any code.
        progress: told about each stage; see `edgekd.progress`.

    Returns:
        `edgekd.values.result.Result`: the verdict, the chosen file, what each step brought. None in the processes of
        torchrun that only train.

    Raises:
        EdgekdError: a setting, file or model doesn't work, with the remedy as `hint`; finished stages are kept.
    """
    place = _place(device)
    given = {
        **(settings or {}),
        "model": model,
        "weights": str(Path(weights).absolute()) if weights else None,
        "data.source": data,
        "target": target or (None if recipe else _stated_target(place)),
        "budget": budget,
    }
    made = catalog.require("edgekd.recipe").recipe(Path(recipe) if recipe else None, given)
    result: Result | None = catalog.require("edgekd.pipeline.compress").compress(
        made,
        Path(out),
        device_url=place.url if device else None,
        wait_s=wait_s,
        data_root=Path(data_root) if data_root else None,
        download=download,
        trust_checkpoint=trust_checkpoint,
        progress=progress or Silent(),
    )
    return result


def profile(
    *models: AnyPath,
    target: str | None = None,
    device: str | None = None,
    variants: Sequence[str] = (),
    protocol: Mapping[str, Any] | None = None,
    inputs: AnyPath | None = None,
    wait_s: float = 0,
    progress: Progress | None = None,
) -> "tuple[Measurement, ...]":
    """Measure models side by side on a device; the others compare with the first.

    Args:
        models: ONNX files.
        target: the kind of device, a name or a TOML file; as devices.toml states it if None.
        device: a URL, or a name in devices.toml; this machine if None.
        variants: of the target; each model is measured in each of them. The first one of a model's precision if none.
        protocol: what differs from the usual one, such as `{"launches": 10, "seconds": 1.0}`.
        inputs: an .npz file with a value for each input; random values if None.
        wait_s: how many seconds the device is waited for while somebody else uses it.
        progress: told about each launch; see `edgekd.progress`.

    Returns:
        `edgekd.values.Measurement`, one for each model: raw samples, host, runtime; `invalid` is empty if it is valid.

    Raises:
        EdgekdError: a file, target or device doesn't work, with the remedy as `hint`.
    """
    place = _place(device)
    found: tuple[Measurement, ...] = catalog.require("edgekd.pipeline.profile").profile(
        [Path(model) for model in models],
        target=_target(target, place),
        device_url=place.url if device else None,
        protocol=_protocol(protocol),
        variants=variants,
        inputs=Path(inputs) if inputs else None,
        wait_s=wait_s,
        progress=progress or Silent(),
    )
    return found


def check(
    subject: AnyPath,
    *,
    budget: str,
    baseline: AnyPath | None = None,
    target: str | None = None,
    device: str | None = None,
    variant: str | None = None,
    protocol: Mapping[str, Any] | None = None,
    time_limit_s: float = 120,
    wait_s: float = 0,
    progress: Progress | None = None,
) -> "Verdict":
    """Judge a model, or a stored measurement (.json), against a budget; a model is measured until it is decided.

    Args:
        subject: the model or measurement.
        budget: a name, or a TOML file.
        baseline: what relative limits refer to, of the same kind as `subject`.
        target: the kind of device that a model is measured on; as devices.toml states it if None.
        device: a URL, or a name in devices.toml; this machine if None, without milliseconds beside a baseline.
        variant: of the target, that models run in.
        protocol: what differs from the one that the budget needs, such as `{"launches": 10}`.
        time_limit_s: no further launches after about so many seconds.
        wait_s: how many seconds the device is waited for while somebody else uses it.
        progress: told about each launch; see `edgekd.progress`.

    Returns:
        `edgekd.values.Verdict`: its `status` (pass, fail, inconclusive, invalid, not measured), and of each limit why.

    Raises:
        EdgekdError: a file, budget or device doesn't work, or measurements don't compare, with the remedy as `hint`.
    """
    verb, budgets = catalog.require("edgekd.pipeline.check"), catalog.require("edgekd.gate.budget")
    limits, place = budgets.load(budget), _place(device)
    how = None
    if name := target or _stated_target(place):
        usual = verb.defaults(limits, compared=baseline is not None)
        how = verb.OnDevice(
            catalog.target(name),
            place.url if device else None,
            _protocol({**usual.model_dump(exclude_unset=True), **(protocol or {})}),
            variant=variant,
            time_limit_s=time_limit_s,
            wait_s=wait_s,
        )
    other = Path(baseline) if baseline else None
    judged: Judged = verb.check(Path(subject), limits, baseline=other, on_device=how, progress=progress or Silent())
    return judged.verdict


def latency_ms(measurement: "Measurement", percentile: float = 50) -> float:
    """A percentile of the latency of an inference, in milliseconds, over the samples of all launches.

    Raises:
        EdgekdError: nothing was measured.
    """
    statistics = catalog.require("edgekd.measuring.statistics")
    if not (samples := statistics.samples_ms(measurement)):
        raise EdgekdError(f"{measurement.artifact.name} has no samples", "Measure it on a device of its target's kind.")
    found: float = statistics.percentile(samples, percentile)
    return found


def ratio(measurement: "Measurement", baseline: "Measurement") -> "Interval":
    """The latency relative to a baseline's that was measured beside it: an estimate with its interval at 95 %.

    Raises:
        EdgekdError: the two don't compare: another session, host, state or protocol.
    """
    found: Interval = catalog.require("edgekd.measuring.statistics").ratio(measurement, baseline)
    return found


def _place(device: str | None) -> "Place":
    place: Place = catalog.require("edgekd.devices.listed").only([device] if device else [])
    return place


def _stated_target(place: "Place") -> str | None:
    name: str | None = catalog.require("edgekd.devices.listed").stated_target(place)
    return name


def _target(name: str | None, place: "Place") -> "Target":
    target: Target = catalog.require("edgekd.pipeline.several").target_of(place, name)
    return target


def _protocol(stated: Mapping[str, Any] | None) -> "MeasuringProtocol":
    """The usual protocol with what is stated in its place."""
    from pydantic import ValidationError

    from edgekd.values import MeasuringProtocol

    try:
        return MeasuringProtocol.model_validate(stated or {})
    except ValidationError as e:
        raise EdgekdError(*catalog.explain(e, "protocol", MeasuringProtocol)) from e
