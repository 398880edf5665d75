"""The Markdown report of a run."""

from collections.abc import Sequence

from edgekd.recipe import settings_of
from edgekd.report import usage
from edgekd.results import Candidate, Network, Plan, Result, Tried
from edgekd.schema import Budget, Data, Environment, Interval, Manifest, Recipe, Recovery, Step, Target

_REPRODUCE = (
    "`recipe.toml` beside this report holds every setting, those found by measuring among them. "
    "Remove `ratio` from its `[prune]` to plan anew on another device."
)


def markdown(result: Result, target: Target, budget: Budget, environment: Environment | None) -> str:
    """The whole report; every number in it is in the run's JSON documents too."""
    parts = [
        f"# {result.recipe.model} on {target.title}: {result.verdict.status}",
        _summary(result, budget),
        "## Verdict",
        _verdict(result),
        "## Artifacts",
        _artifacts(result),
        "## Use the model",
        _use(result.manifest),
        "## Data",
        _data(result),
        "## Plan",
        _plan(result.plan, result.device),
        "## Training",
        _training(result),
        "## Where and how it was measured",
        _environment(result, environment),
        "## Reproduce",
        "```\nedgekd compress --recipe recipe.toml\n```",
        _REPRODUCE,
    ]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def interval(value: Interval | None) -> str:
    """A ratio with its confidence interval."""
    return f"{value.estimate:.3f} [{value.low:.3f}, {value.high:.3f}]" if value else "not measured"


def _summary(result: Result, budget: Budget) -> str:
    baseline, chosen = result.tried[0], _chosen(result)
    drop = 100 * (baseline.test.top1 - chosen.test.top1)
    return (
        f"Budget **{budget.name}** ({budget.title}). Kept: **{chosen.name}**: {result.choice.why}. "
        f"Test accuracy {chosen.test.top1:.2%} against the original's {baseline.test.top1:.2%} ({-drop:+.2f} points), "
        f"{chosen.artifact.disk_bytes:,} bytes against {baseline.artifact.disk_bytes:,}, "
        f"latency {interval(chosen.ratio)} of the original's. The run took {result.seconds / 60:.1f} minutes."
    )


def _chosen(result: Result) -> Tried:
    return next(t for t in result.tried if t.name == result.choice.artifact)


def _verdict(result: Result) -> str:
    rows = [[limit.name, limit.status, limit.evidence] for limit in result.verdict.limits]
    reasons = "".join(f"\n\n- {reason}" for reason in result.verdict.reasons)
    return table(["limit", "verdict", "evidence"], rows) + reasons


def _artifacts(result: Result) -> str:
    header, *rows = artifact_rows(result)
    dropped = "".join(f"\n- {gone.name}: {gone.why}" for gone in result.choice.dropped)
    reference = f"Drops and ratios refer to `{result.reference}`."
    return f"{table(header, rows)}\n\n{reference}" + (f"\n\nNot kept:\n{dropped}" if dropped else "")


def artifact_rows(result: Result) -> list[list[str]]:
    """The reference and the student's rungs, a row each below the headings."""
    rows = [
        [
            t.name,
            f"{t.median_ms:.3f} ms" if t.median_ms is not None else "not measured",
            interval(t.ratio),
            f"{t.val.top1:.2%}",
            f"{t.test.top1:.2%}",
            f"{t.artifact.disk_bytes:,}",
            f"{t.artifact.transfer_bytes:,}",
            f"{t.parity.sqnr_db:.0f} dB, {t.parity.top1_agreement:.1%}",
        ]
        for t in result.tried
    ]
    header = ["file", "median", "ratio (95 %)", "validation", "test", "bytes", "gzip bytes", "against the network"]
    return [header, *rows]


_SHOWN_CLASSES = 10


def _use(manifest: Manifest) -> str:
    """What the model takes and gives, and the lines that classify a photo with it."""
    taken, how = manifest.input, manifest.preprocessing
    first = ", ".join(code(name) for name in manifest.classes[:_SHOWN_CLASSES])
    more = ", …" if len(manifest.classes) > _SHOWN_CLASSES else ""
    rows = [
        ["file", f"`{manifest.file}`; all of this is in its metadata too, and in `model.json` beside it"],
        ["input", f"`{taken.name}`: {taken.dtype}, {'×'.join(map(str, taken.shape))} ({taken.layout})"],
        ["colour", {"grey": "grey", "rgb": "RGB", None: "channels as the data set gives them"}[how.colour]],
        ["size", usage.size(how)],
        ["normalisation", usage.normalisation(manifest)],
        ["output", f"`{manifest.output.name}`: logits of {len(manifest.classes)} classes: {first}{more}"],
    ]
    text = "With ONNX Runtime, numpy and Pillow alone, here in the run directory:"
    return f"{table(['what', ''], rows)}\n\n{text}\n\n```python\n{usage.lines(manifest)}\n```"


def code(name: str) -> str:
    """A name as it is, in a cell of a table."""
    return "`" + " ".join(name.split()).replace("`", "'").replace("|", "\\|") + "`"


def _data(result: Result) -> str:
    """Which images, how training varied them, and what was found in them."""
    stated, trained = result.recipe.data, result.teacher.epochs or _trainings(result)
    lines = [f"`{stated.source}`, seen as *Use the model* says.{_variation(stated) if trained else ''}"]
    if result.mirrored and trained:
        told = result.mirrored.told()
        lines.append(f"{told[0].upper()}{told[1:]}.")
    notes = "\n".join(f"- {note}" for note in result.data_notes)
    return "\n\n".join([*lines, *([notes] if notes else [])])


def _variation(stated: Data) -> str:
    """What training changed at random."""
    words = []
    if stated.random_resized_crop:
        least, most = stated.random_resized_crop
        words.append(f"{least:.0%} to {most:.0%} of the area cut out and enlarged")
    words += [f"cropped out of a border of {stated.pad} pixels"] if stated.pad else []
    words += ["mirrored in every second epoch"] if stated.flip else ["never mirrored"]
    words += [f"turned by up to {stated.rotate:g}°"] if stated.rotate else []
    changed = {name: by for name, by in stated.jitter if by} if stated.jitter else {}
    words += [f"{name} changed by up to {by:g}" for name, by in changed.items()]
    words += [f"mixed in pairs (mixup, alpha {stated.mixup:g})"] if stated.mixup else []
    return f" At random in training: {'; '.join(words)}."


def _plan(plan: Plan, device: str | None) -> str:
    text = f"Pruned by {plan.ratio:.0%}: {plan.why}."
    if not plan.candidates:
        return text
    precisions = list(dict.fromkeys(rung.precision for c in plan.candidates for rung in c.rungs))
    header = ["pruned", "parameters", "MACs", *(f"{p} ÷ baseline (95 %)" for p in precisions), "meets the budget"]
    rows = [_candidate(c, plan, precisions) for c in plan.candidates]
    return f"{text} Untrained candidates, measured on `{device}`:\n\n{table(header, rows)}"


def _candidate(candidate: Candidate, plan: Plan, precisions: Sequence[str]) -> list[str]:
    ratios = {rung.precision: interval(rung.ratio) for rung in candidate.rungs}
    fits = ", ".join(rung.precision for rung in candidate.rungs if rung.fits)
    mark = " ← planned" if candidate.ratio == plan.ratio else ""
    return [
        f"{candidate.ratio:.0%}{mark}",
        f"{candidate.parameters:,}",
        f"{candidate.macs:,}",
        *(ratios.get(precision, "–") for precision in precisions),
        f"in {fits}" if fits else "no",
    ]


def _training(result: Result) -> str:
    rows = [_network("teacher", result.teacher)]
    if result.student.sha256 != result.teacher.sha256:
        rows.append(_network("student", result.student))
    header = ["network", "origin", "parameters", "MACs", "epochs (best)", "validation", "trained in"]
    told = _trial(result.teacher) + "".join(f"\n\n**The teacher is {doubt}.**" for doubt in result.teacher.doubts)
    return f"{table(header, rows)}{told}\n\n{learned(result.recipe, _trainings(result))}"


def _trial(teacher: Network) -> str:
    """What given weights make of images that are normalised in the usual ways."""
    if teacher.trial is None:
        return ""
    images = teacher.trial.tried[0].images
    ways = "; ".join(f"{way.name}: {way.top1:.1%}" for way in teacher.trial.tried)
    return f"\n\nWith {images} validation images it was tried how they are normalised, the default first: {ways}."


_FORMULAS = {"ce": "cross entropy", "kd": "T² × KL(teacher ‖ student)"}


def _trainings(result: Result) -> list[Step]:
    """The steps in which the student was trained; none where it is the original itself."""
    steps = result.recipe.steps if result.student.sha256 != result.teacher.sha256 else ()
    return [step for step in steps if step.do in ("distil", "finetune")]


def learned(recipe: Recipe, trainings: Sequence[Step]) -> str:
    """What the student minimised in its trainings, if there were any, and which images decided."""
    told = dict.fromkeys(loss(settings_of(recipe, step)) for step in trainings)
    chosen = ["The epochs were chosen on the validation split."] if trainings else []
    return " ".join([*told, *chosen, "The test set was read once, at the end."])


def loss(recover: Recovery) -> str:
    """What the student minimised in a training."""
    used = {name: options for name, options in recover.losses.items() if options.get("weight", 1.0) > 0}
    if set(used) == {"ce"}:
        return "The student learned from the labels alone."
    terms = []
    for name, options in used.items():
        stated = ", ".join(f"{option} = {value:g}" for option, value in options.items() if option != "weight")
        term = f"{options.get('weight', 1.0):g} × {_FORMULAS.get(name, f'`{name}`')}"
        terms.append(f"{term} ({stated})" if stated else term)
    return f"Distillation: {' + '.join(terms)}; both see the same augmented view."


def _network(name: str, network: Network) -> list[str]:
    way = f"{network.execution.precision}, {network.execution.memory_format}" if network.execution else "–"
    slower = f", at a learning rate of {network.learning_rate:g} at most" if network.learning_rate else ""
    return [
        name,
        network.origin + slower,
        f"{network.parameters:,}",
        f"{network.macs:,}",
        f"{network.epochs} ({network.best_epoch})" if network.epochs else "–",
        f"{network.val.top1:.2%}",
        way,
    ]


def _environment(result: Result, environment: Environment | None) -> str:
    if result.device is None or environment is None:
        return f"Nothing was measured: no device of target `{result.recipe.target}` was given."
    measuring = result.recipe.measure
    return (
        f"`{result.device}`: {environment.cpu}, {environment.cores} cores, {environment.os} {environment.arch}; "
        f"{environment.runtime} {environment.runtime_version}, {environment.provider}; {measuring.threads} thread(s), "
        f"batch {measuring.batch}, {measuring.loop} loop. {measuring.launches} launches, each a fresh process a file; "
        f"{measuring.seconds:g} s timed a launch in turns of {measuring.block_seconds:g} s in random order, after "
        "warm-up. Ratios are medians over block pairs, with a bootstrap interval over launches and blocks. "
        "Raw samples are in `measurements/`."
    )
