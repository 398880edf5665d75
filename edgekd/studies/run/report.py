"""The report of a study, as Markdown and as a page."""

from collections.abc import Sequence

from edgekd.report.blocks import Block, Document, Items, Linked, Section, Table, Text
from edgekd.report.cells import code, interval
from edgekd.report.formats.markdown import of_document
from edgekd.studies._results import Compared, Gain, StudyResult, TeacherResult, Tradeoff
from edgekd.studies.run import pictures
from edgekd.values import Interval

_NONE = "–"


def markdown(result: StudyResult) -> str:
    """The whole report; every number in it is in the study's JSON document too."""
    return of_document(document(result))


def document(result: StudyResult) -> Document:
    """What both say."""
    sections = [
        Section("What was compared", [Text(result.paper), Text(how(result))]),
        Section("Results", [_table(arm_rows(result)), *_told(intervals(result))]),
        *_chosen(result),
        Section("Trade-offs", [_table(tradeoff_rows(result)), Text(_TRADEOFFS)]),
        *_plots(result),
        *_representations(result),
        Section("The paper's own numbers", _published(result)),
        *_failures(result),
        *([Section("Remarks", [Items(result.remarks)])] if result.remarks else []),
    ]
    return Document(result.title, sections)


_TRADEOFFS = (
    "Against the teacher. Drop: test accuracy lost, in points. Pareto rank 1: no other student of that teacher is at "
    "least as good in accuracy, transfer size and latency and better in one; rank 2: the same without those of rank 1. "
    "Score, edgekd's own: halvings of the latency minus points of accuracy lost, log2(1 ÷ latency ratio) − drop."
)


def how(result: StudyResult) -> str:
    """The data, the training and the device."""
    plan, scale = result.plan, result.plan.scale
    most = scale.train_per_class
    images = f"up to {most} training images of each class" if most else "all training images"
    where = f"measured on `{result.device}`" if result.device else f"not measured: no device of target {plan.target}"
    if result.device and not any(arm.costs and arm.costs.latency for arm in result.arms):
        where = f"not measured, though there was the device `{result.device}`: see the remarks"
    return (
        f"Study `{plan.study}` at scale {scale.name}: {plan.data}, {images}; {scale.epochs} epochs for each arm "
        f"unless its row says otherwise, {scale.teacher_epochs} for teachers; seeds 0 to {plan.seeds - 1}. The epoch "
        f"was selected on the validation split; accuracy is that of the network on the whole test split, in fp32. "
        f"Latency: fp32 files, {where}. Networks trained from scratch used a learning rate of "
        f"{scale.learning_rate_from_scratch:g}, the others {scale.learning_rate:g} unless their row says otherwise."
    )


def arm_rows(result: StudyResult) -> list[list[str]]:
    """Teachers and arms, a row each below the headings."""
    columns = list(dict.fromkeys(factor for arm in result.arms for factor in arm.factors))
    header = [*columns, "test accuracy", "gain in points (95 %)", "parameters", "not zero", "MACs"]
    header += ["fp32 bytes", "gzip bytes", "latency ÷ teacher's (95 %)", "training"]
    teachers = [_teacher_row(teacher, len(columns)) for teacher in result.teachers]
    return [header, *teachers, *(_arm_row(arm, columns) for arm in result.arms)]


def _teacher_row(teacher: TeacherResult, columns: int) -> list[str]:
    name = [f"teacher {teacher.model}", *[""] * (columns - 1)]
    return [*name, f"{teacher.test.top1:.2%}", _NONE, *_cost_cells(teacher.costs), "1", f"{teacher.epochs} epochs"]


def _arm_row(arm: Compared, columns: Sequence[str]) -> list[str]:
    names = [arm.factors.get(column, "") for column in columns]
    costs = [*_cost_cells(arm.costs), interval(arm.costs.latency)] if arm.costs else [_NONE] * 6
    seconds = [cell.training_seconds for cell in arm.cells]
    epochs = f", {arm.settings['recover.epochs']} epochs" if "recover.epochs" in arm.settings else ""
    training = f"{sum(seconds) / len(seconds):.0f} s{epochs}" if seconds else _NONE
    return [*names, _accuracy(arm), _gain(arm.gain), *costs, training]


def _cost_cells(costs: object) -> list[str]:
    names = ("parameters", "nonzero", "macs", "disk_bytes", "transfer_bytes")
    return [f"{getattr(costs, name):,}" for name in names]


def _accuracy(arm: Compared) -> str:
    if arm.accuracy is None:
        return "failed"
    spread = f" ± {100 * arm.deviation:.2f}" if arm.deviation is not None else ""
    return f"{100 * arm.accuracy:.2f}{spread} % ({len(arm.cells)})"


def _gain(gain: Gain | None) -> str:
    if gain is None:
        return _NONE
    if gain.interval is None:
        return f"{gain.points:+.2f} ({'one seed' if gain.seeds == 1 else 'the same for all seeds'})"
    return f"{gain.points:+.2f} [{gain.interval.low:+.2f}, {gain.interval.high:+.2f}]"


def intervals(result: StudyResult) -> str:
    """How to read the gains, and all their intervals together."""
    gains = [arm.gain for arm in result.arms if arm.gain]
    if not gains:
        return ""
    found = [gain.interval for gain in gains if gain.interval]
    text = (
        "± is the standard deviation over the seeds, whose number is in brackets. A gain is the mean of the "
        f"differences to its control, seed by seed, with Student's interval. {_controls(gains)}"
    )
    if not found:
        return f"{text} One seed has no interval."
    clear = sum(not _holds_zero(one) for one in found)
    return (
        f"{text} Of {len(found)} intervals, each at 95 %, {clear} exclude 0; if no gain were real, about "
        f"{0.05 * len(found):.1f} would by chance."
    )


def _controls(gains: Sequence[Gain]) -> str:
    controls = {gain.control for gain in gains}
    if len(controls) == 1:
        return f"The control of all is `{controls.pop()}`."
    return (
        "The control of `distilled` is the same network trained on `labels`, that of `inherited` with labels is "
        "`scratch`; `gain.control` in result.json names each."
    )


def _chosen(result: StudyResult) -> list[Section]:
    """How the structures came about that no setting states."""
    lines = [f"{code(arm.name)}: {arm.chosen}" for arm in result.arms if arm.chosen]
    return [Section("How structures were chosen", [Items(lines)])] if lines else []


def _holds_zero(found: Interval) -> bool:
    return found.low <= 0 <= found.high


def tradeoff_rows(result: StudyResult) -> list[list[str]]:
    """The arms' trade-offs, a row each below the headings."""
    header = ["arm", "drop", "parameter ratio", "transfer ratio", "latency ratio", "Pareto rank", "score"]
    return [header, *([arm.name, *_tradeoff(arm.tradeoff)] for arm in result.arms if arm.tradeoff)]


def _tradeoff(found: Tradeoff) -> list[str]:
    return [
        f"{found.drop_points:+.2f}",
        f"{found.parameter_ratio:.3f}",
        f"{found.transfer_ratio:.3f}",
        f"{found.latency_ratio:.3f}" if found.latency_ratio is not None else "not measured",
        str(found.pareto_rank),
        f"{found.score:+.2f}" if found.score is not None else _NONE,
    ]


def _plots(result: StudyResult) -> list[Section]:
    """Drawn on the page; Markdown shows the files beside it."""
    files = dict(result.files)
    drawn = [
        pictures.accuracy_against(result, name, unit, cost, files.pop(f"accuracy against {of}", None))
        for of, name, unit, cost in (
            ("parameters", "parameters that aren't zero", "", lambda costs: costs.nonzero),
            ("latency", "median latency", "ms", lambda costs: costs.median_ms),
        )
    ]
    others = [Linked(name, path) for name, path in files.items() if path.endswith(".png")]
    blocks: list[Block] = [*(one for one in drawn if one), *others]
    return [Section("Plots", blocks)] if blocks else []


def _representations(result: StudyResult) -> list[Section]:
    rows = []
    for arm in result.arms:
        seen = [cell.representation for cell in arm.cells if cell.representation]
        if seen:
            probes = [one.probe.top1 for one in seen]
            kernels = [one.cka for one in seen]
            rows.append([arm.name, f"{sum(probes) / len(seen):.2%}", f"{sum(kernels) / len(seen):.3f}"])
    if not rows:
        return []
    text = (
        "Of the features before the last layer, means over the seeds: the accuracy of a linear classifier fitted to "
        "them (ridge regression), and their linear centred kernel alignment with the teacher's (Kornblith et al., "
        "2019), from 0 to 1."
    )
    found = Table(["arm", "linear probe", "CKA with the teacher"], rows)
    return [Section("Representations", [found, Text(text)])]


def _published(result: StudyResult) -> list[Block]:
    rows = [[one.what, one.value, one.data, one.epochs] for one in result.published]
    differs: list[Block] = [Items(result.differs)] if result.differs else []
    if not rows:
        return [Text("This study has no paper of its own."), *differs]
    plan = result.plan
    ours = f"Here: {plan.data}, {plan.scale.epochs} epochs. The paper's numbers compare with the table in kind only."
    return [Table(["what", "the paper", "its data", "its epochs"], rows), Text(ours), *differs]


def _failures(result: StudyResult) -> list[Section]:
    if not result.failures:
        return []
    rows = [[one.arm, str(one.seed), one.message] for one in result.failures]
    return [Section("Failed", [Table(["arm", "seed", "why"], rows)])]


def _table(rows: Sequence[Sequence[str]]) -> Block:
    return Table(rows[0], rows[1:]) if len(rows) > 1 else Text("Nothing could be compared.")


def _told(words: str) -> list[Block]:
    return [Text(words)] if words else []
