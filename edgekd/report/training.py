"""The part of a report about the training."""

from collections.abc import Iterator, Sequence

from edgekd.report.blocks import Block, Picture, Table, Text
from edgekd.report.pictures import curves
from edgekd.values.network import Network
from edgekd.values.race import TrainedBy
from edgekd.values.result import NormalisationTrial, Result


def training(result: Result) -> list[Block]:
    """Teacher and student side by side, what given weights made of the images, and what was minimised."""
    rows = [_network("teacher", result.teacher)]
    if result.student.weights != result.teacher.weights:
        rows.append(_network("student", result.student))
    header = ["network", "origin", "parameters", "MACs", "epochs (best)", "validation", "trained in"]
    doubts = [Text(f"**The teacher is {doubt}.**") for doubt in result.doubts]
    told = Text(learned(students_trainings(result)))
    return [Table(header, rows), *_trial(result.trial), *doubts, told, *_curves(result)]


def _curves(result: Result) -> Iterator[Picture]:
    """Of each training that left its epochs: the teacher's, then those of the student."""
    if record := result.teacher.training:
        yield from (curves.picture("Teacher", epochs) for epochs in record.history)
    record = result.student.training if result.student.weights != result.teacher.weights else None
    trainings = record.history if record else ()
    beside = result.teacher.accuracy.top1 if result.teacher.accuracy else None
    for number, epochs in enumerate(trainings, 1):
        name = f"Student, training {number} of {len(trainings)}" if len(trainings) > 1 else "Student"
        yield curves.picture(name, epochs, beside)


def _trial(trial: NormalisationTrial | None) -> list[Block]:
    """The accuracy of given weights on images that are normalised in the usual ways."""
    if trial is None:
        return []
    images = trial.tried[0].images
    ways = "; ".join(f"{way.name}: {way.top1:.1%}" for way in trial.tried)
    return [Text(f"Normalisations tried on {images} images, the default first: {ways}.")]


_FORMULAS = {"ce": "cross entropy", "kd": "T² × KL(teacher ‖ student)"}


def students_trainings(result: Result) -> tuple[TrainedBy, ...]:
    """How the student was trained, training by training; not at all where it is the original itself."""
    record = result.student.training if result.student.weights != result.teacher.weights else None
    return record.trained_by if record else ()


def learned(trainings: Sequence[TrainedBy]) -> str:
    """What the student minimised in its trainings, if there were any, and which images decided."""
    told = [loss(by) for by in trainings]
    alike = len(set(told)) == 1
    told = told[:1] if alike else [f"Training {number}: {text}" for number, text in enumerate(told, 1)]
    chosen = ["The epoch was selected on the validation split."] if trainings else []
    return " ".join([*told, *chosen, "The test set was read once, at the end."])


def loss(by: TrainedBy) -> str:
    """What the student minimised in a training, and whether that was kept."""
    end = "" if by.kept else " It made the network less accurate: the weights before it were kept."
    return _minimised(by) + end


def _minimised(by: TrainedBy) -> str:
    used = {name: options for name, options in by.losses.items() if options.get("weight", 1.0) > 0}
    rate = f"{'as pilots chose, ' if by.race else ''}at a learning rate of {by.learning_rate:g}"
    if set(used) == {"ce"}:
        return f"The student was trained on the labels alone, {rate}."
    terms = []
    for name, options in used.items():
        stated = ", ".join(f"{option} = {value:g}" for option, value in options.items() if option != "weight")
        term = f"{options.get('weight', 1.0):g} × {_FORMULAS.get(name, f'`{name}`')}"
        terms.append(f"{term} ({stated})" if stated else term)
    mixed = ", mixed in pairs (mixup)" if by.mixup else ""
    return f"Distillation: {' + '.join(terms)}, {rate}; teacher and student get the same augmented images{mixed}."


def _network(name: str, network: Network) -> list[str]:
    record = network.training
    way = f"{record.execution.precision}, {record.execution.memory_format}" if record else "–"
    lowered = record.learning_rate if record and record.best_epoch else None
    slower = f", with a learning rate of at most {lowered:g}" if lowered else ""
    return [
        name,
        network.origin + slower,
        f"{network.cost.parameters:,}",
        f"{network.cost.macs:,}",
        f"{record.epochs} ({record.best_epoch or 'none kept'})" if record else "–",
        f"{network.accuracy.top1:.2%}" if network.accuracy else "–",
        way,
    ]
