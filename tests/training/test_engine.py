import copy
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset
from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.progress import Progress, Silent
from edgekd.training.cache import TeacherCache
from edgekd.training.divergence import DivergedError
from edgekd.training.engine import train
from edgekd.training.evaluate import Score, evaluate
from edgekd.training.history import Epoch, Trained
from edgekd.training.losses.ce import CrossEntropy
from edgekd.training.losses.kd import Distillation
from edgekd.training.objective import Objective, Term, build_objective
from edgekd.training.outputs import Outputs
from edgekd.training.schedule import learning_rate
from edgekd.training.setup import Means, Setup
from edgekd.training.step import run_step
from edgekd.values import Recovery, Training
from edgekd.values.training import Execution
from edgekd.zoo.build import build
from edgekd.zoo.identity import digest

SHORT = Training(epochs=3, batch_size=64, learning_rate=0.05)
FP32, SILENT = Execution(), Silent()


def labels() -> Objective:
    return Objective([Term("ce", 1.0, CrossEntropy())])


def distilled(ce: float = 0.1, temperature: float = 4.0) -> Objective:
    return Objective([Term("ce", ce, CrossEntropy()), Term("kd", 0.9, Distillation(temperature))], needs_teacher=True)


def run(
    model: nn.Module,
    data: Dataset,
    checkpoint: Path,
    settings: Training = SHORT,
    *,
    objective: Objective | None = None,
    teacher: nn.Module | None = None,
    seed: int = 0,
    execution: Execution = FP32,
    progress: Progress = SILENT,
    cache: Path | None = None,
) -> Trained:
    setup = Setup(model, objective or labels(), data, settings, seed, teacher)
    return train(setup, execution, Means(checkpoint, progress, cache))


def with_dropout() -> nn.Module:
    torch.manual_seed(0)
    first = [nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()]
    second = [nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Dropout(0.3), nn.Linear(16 * 5 * 5, 10))


def with_other_activations() -> nn.Module:
    """Of the same weights, names and shapes."""
    model = with_dropout()
    assert isinstance(model, nn.Sequential)
    model[2] = nn.SiLU()
    return model


def test_learns_the_digits_without_reading_the_test_split(digits: Dataset, tmp_path: Path) -> None:
    model, sealed = with_dropout(), replace(digits, test=None)
    trained = run(model, sealed, tmp_path / "c.pt", Training(epochs=8, batch_size=64))
    assert trained.epochs == 8
    assert trained.history[-1].loss < trained.history[0].loss
    assert evaluate(model, digits.test).top1 > 0.9


def test_student_learns_from_its_teacher_even_with_wrong_labels(digits: Dataset, tmp_path: Path) -> None:
    teacher, student = with_dropout(), with_dropout()
    run(teacher, digits, tmp_path / "teacher.pt", Training(epochs=8, batch_size=64))
    wrong = replace(digits, train=replace(digits.train, labels=digits.train.labels.roll(1)))
    settings = Recovery(epochs=8, batch_size=64, learning_rate=0.05)
    run(student, wrong, tmp_path / "student.pt", settings, teacher=teacher, objective=distilled(ce=0))
    assert evaluate(student, digits.test).top1 > 0.9


def test_ends_with_the_weights_of_the_best_validation_epoch(few_digits: Dataset, tmp_path: Path) -> None:
    model, settings = with_dropout(), Training(epochs=8, batch_size=64, warmup=0)
    steps = 0

    def right_then_wrong(student: Outputs, _: Outputs | None, labels: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        return nn.functional.cross_entropy(student.logits, labels if steps <= 5 * 3 else (labels + 1) % 10)

    trained = run(
        model, few_digits, tmp_path / "c.pt", settings, objective=Objective([Term("odd", 1.0, right_then_wrong)])
    )
    assert trained.best_epoch < trained.epochs
    assert trained.validation.correct == max(epoch.validation.correct for epoch in trained.history)
    assert evaluate(model, few_digits.val) == trained.validation
    assert not model.training


def test_later_of_equally_good_epochs_is_the_best() -> None:
    scores = [Score(correct=correct, images=10) for correct in (5, 8, 8, 7)]
    history = tuple(Epoch(loss=1, validation=score, images=100, seconds=2) for score in scores)
    trained = Trained(history=history)
    assert trained.best_epoch == 3
    assert trained.validation.top1 == 0.8
    assert trained.images_per_second == 50
    assert Trained.model_validate_json(trained.model_dump_json()) == trained


@pytest.mark.parametrize(
    "execution", [Execution(), Execution(precision="bf16", teacher_precision="bf16", memory_format="channels_last")]
)
def test_interrupted_training_resumes_to_the_same_weights(
    few_digits: Dataset, tmp_path: Path, listener: Any, execution: Execution
) -> None:
    teacher = build("mobilenet_v1:width=0.125", classes=10, channels=1)
    settings = Recovery(epochs=4, batch_size=16, learning_rate=0.05)  # enough steps for an average
    images = torch.randn(2, 1, 16, 16)

    def learning(student: nn.Module) -> dict[str, Any]:
        # one that learns a projection, which the checkpoint must hold too
        objective = build_objective({"kd": {}, "fitnet": {"weight": 0.1}}, student, teacher, images)
        return {"teacher": teacher, "objective": objective, "execution": execution}

    whole, stopped = with_dropout(), with_dropout()
    expected = run(whole, few_digits, tmp_path / "whole.pt", settings, **learning(whole))
    with pytest.raises(KeyboardInterrupt):
        # in the middle of the third epoch of 12 x 16 images
        run(
            stopped,
            few_digits,
            tmp_path / "c.pt",
            settings,
            progress=listener(stop_at=2 * 192 + 1),
            **learning(stopped),
        )
    torch.manual_seed(99)
    resumed, rest = with_dropout(), listener()
    trained = run(resumed, few_digits, tmp_path / "c.pt", settings, progress=rest, **learning(resumed))
    assert digest(resumed) == digest(whole)
    epochs = [[(e.loss, e.validation, e.learning_rate) for e in each.history] for each in (trained, expected)]
    assert epochs[0] == epochs[1]
    assert min(done for done, _, _ in rest.advances) > 2 * 192
    assert all(p.is_contiguous() for p in resumed.parameters())


def test_computes_on_the_threads_of_the_execution(few_digits: Dataset, tmp_path: Path) -> None:
    model, threads = with_dropout(), set()
    model.register_forward_pre_hook(lambda m, _: threads.add(torch.get_num_threads()) if m.training else None)
    run(model, few_digits, tmp_path / "c.pt", execution=Execution(threads=3))
    assert threads == {3}


def test_finished_training_gives_its_result_at_once(few_digits: Dataset, tmp_path: Path, listener: Any) -> None:
    first, again, silence = with_dropout(), with_dropout(), listener()
    expected = run(first, few_digits, tmp_path / "c.pt")
    assert run(again, few_digits, tmp_path / "c.pt", progress=silence) == expected
    assert digest(again) == digest(first)
    assert not silence.advances


def test_checkpoint_of_another_training_is_not_used(few_digits: Dataset, tmp_path: Path, listener: Any) -> None:
    once = Training(epochs=1, batch_size=64)
    arguments = {"settings": once, "teacher": with_dropout(), "objective": distilled()}
    run(with_dropout(), few_digits, tmp_path / "c.pt", **arguments)
    other_model, other_teacher = with_dropout(), with_dropout()
    nn.init.zeros_(other_model[-1].bias)
    nn.init.zeros_(other_teacher[-1].bias)
    others: list[dict[str, Any]] = [
        {"settings": Training(epochs=1, batch_size=64, learning_rate=0.06)},
        {"seed": 1},
        {"execution": Execution(memory_format="channels_last")},
        {"teacher": other_teacher},
        {"teacher": with_other_activations()},
        {"model": with_other_activations()},
        {"teacher": None, "objective": labels()},
        {"objective": distilled(temperature=2)},
        {"model": other_model},
        {"data": replace(few_digits, fingerprint="of others")},
    ]
    for index, changed in enumerate(others):
        hears, checkpoint = listener(), shutil.copy(tmp_path / "c.pt", tmp_path / f"{index}.pt")
        given = {"model": with_dropout(), "data": few_digits, "progress": hears, **arguments, **changed}
        run(checkpoint=checkpoint, **given)
        assert any("another training" in note for note in hears.notes), changed
        assert hears.advances


def test_learning_rate_follows_the_schedule(few_digits: Dataset, tmp_path: Path) -> None:
    settings = Training(epochs=2, batch_size=64, learning_rate=0.2)
    trained = run(with_dropout(), few_digits, tmp_path / "c.pt", settings)
    groups = torch.load(tmp_path / "c.pt", weights_only=True)["optimizer"]["param_groups"]
    last = learning_rate(2 * 3 - 1, 2 * 3, 0.2, Training().warmup)
    assert [group["lr"] for group in groups] == [last, last]
    assert trained.history[1].learning_rate == last
    assert trained.history[0].learning_rate == learning_rate(2, 2 * 3, 0.2, Training().warmup)


def test_seed_decides_the_training(few_digits: Dataset, tmp_path: Path) -> None:
    digests = []
    for index, seed in enumerate((0, 0, 1)):
        model = with_dropout()
        torch.manual_seed(index)
        run(model, few_digits, tmp_path / f"{index}.pt", seed=seed)
        digests.append(digest(model))
    assert digests[0] == digests[1] != digests[2]


class Jittered(nn.Module):
    """Draws in training, by Python and numpy."""

    def __init__(self) -> None:
        super().__init__()
        self.model = without_norms()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits * (random.random() + np.random.rand()) if self.training else logits


def test_what_a_network_draws_follows_the_seed_whichever_library_it_is_drawn_from(
    few_digits: Dataset, tmp_path: Path
) -> None:
    digests = []
    for index, seed in enumerate((0, 0, 1)):
        model = Jittered()
        random.seed(index)
        np.random.seed(index)
        before = random.getstate(), np.random.get_state()[1].tolist()
        run(model, few_digits, tmp_path / f"{index}.pt", seed=seed)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before
        digests.append(digest(model))
    assert digests[0] == digests[1] != digests[2]


def test_divergence_is_an_error_that_says_when_and_keeps_the_last_checkpoint(
    few_digits: Dataset, tmp_path: Path, listener: Any
) -> None:
    checkpoint, settings, told = tmp_path / "c.pt", Training(epochs=40, batch_size=200, learning_rate=1e21), listener()
    when = r"diverged: the loss is (nan|inf) in epoch \d+, step 1 of 1, at a learning rate of [\d.]+e\+\d+"
    with pytest.raises(DivergedError, match=when) as error:
        run(with_dropout(), few_digits, checkpoint, settings, progress=told)
    assert "Lower learning_rate in the recipe's [teacher]" in error.value.hint
    assert "it is 1e+21, and 1e+20 with clipped gradients was tried as well." in error.value.hint
    assert str(checkpoint) in error.value.hint
    kept = torch.load(checkpoint, weights_only=True)
    assert f"epoch {len(kept['history']) + 1}," in error.value.message
    assert [note for note in told.notes if "restarting at a tenth of that, at most 1e+20" in note]


def without_norms() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))


class Exploding(nn.Module):
    """Gives NaN as soon as a weight is larger than a bound."""

    def __init__(self) -> None:
        super().__init__()
        self.model = without_norms()

    def forward(self, images: Tensor) -> Tensor:
        largest = torch.stack([p.abs().amax() for p in self.model.parameters()]).amax()
        logits: Tensor = self.model(images) / (largest < 3)
        return torch.where(largest < 3, logits, torch.nan)


def test_a_training_that_diverges_begins_again_at_a_tenth_from_its_first_weights(
    few_digits: Dataset, tmp_path: Path, listener: Any
) -> None:
    model, again, told = Exploding(), Exploding(), listener()
    settings = Training(epochs=3, batch_size=64, learning_rate=5)
    trained = run(model, few_digits, tmp_path / "c.pt", settings, progress=told)
    assert trained.learning_rate == 0.5
    assert trained.epochs == 3
    assert trained.history[-1].loss < trained.history[0].loss < 2.6
    assert [note for note in told.notes if note.startswith("training diverged: the loss is nan in epoch ")]
    assert run(again, few_digits, tmp_path / "again.pt", settings).history[-1].loss == trained.history[-1].loss
    assert digest(model) == digest(again)
    sound = run(Exploding(), few_digits, tmp_path / "s.pt", settings.model_copy(update={"learning_rate": 0.1}))
    assert sound.learning_rate is None
    assert sound.seconds == sum(epoch.seconds for epoch in sound.history)


def test_a_student_that_forgets_what_it_knew_begins_again_at_a_tenth(
    digits: Dataset, tmp_path: Path, listener: Any
) -> None:
    """As efficientnet_b0 did at the rate that its original was trained at: from 93 % to 19 % in an epoch."""
    known = without_norms()
    run(known, digits, tmp_path / "known.pt", Training(epochs=3, batch_size=64, learning_rate=0.05))
    before = evaluate(known, digits.val).top1
    assert before > 0.8
    settings, told, student = Recovery(epochs=2, batch_size=64, learning_rate=1.0), listener(), copy.deepcopy(known)
    trained = run(student, digits, tmp_path / "s.pt", settings, progress=told)
    assert trained.lost_seconds > 0
    assert trained.learning_rate == 0.1
    said = f"of the validation images are right, and {before:.2%} were before, in epoch 1"
    assert any(said in note and "restarting at a tenth" in note for note in told.notes)
    assert trained.validation.top1 > 0.8
    # an original isn't begun with what it knows, and what knows nothing can't forget it
    for model, how in ((copy.deepcopy(known), Training), (without_norms(), Recovery)):
        found = run(
            model,
            digits,
            tmp_path / "n.pt",
            how(epochs=1, batch_size=64, learning_rate=1.0),
            progress=(quiet := listener()),
        )
        assert found.learning_rate is None, quiet.notes


def test_interrupted_after_it_diverged_it_resumes_at_the_lower_rate(
    few_digits: Dataset, tmp_path: Path, listener: Any
) -> None:
    settings = Training(epochs=3, batch_size=64, learning_rate=5)
    whole, stopped, again = Exploding(), Exploding(), Exploding()
    run(whole, few_digits, tmp_path / "whole.pt", settings)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, few_digits, tmp_path / "c.pt", settings, progress=listener(stop_at=2 * 192 + 1))
    told = listener()
    trained = run(again, few_digits, tmp_path / "c.pt", settings, progress=told)
    assert trained.learning_rate == 0.5
    lost, done = trained.lost_seconds, [epoch.seconds for epoch in trained.history]
    assert lost > 0
    assert trained.seconds == lost + sum(done)
    assert trained.images_per_second == pytest.approx(3 * 192 / sum(done))
    assert not told.notes
    assert digest(again) == digest(whole)


def test_a_dead_network_is_reported_and_starts_again(few_digits: Dataset, tmp_path: Path, listener: Any) -> None:
    model, told, settings = without_norms(), listener(), Training(epochs=2, batch_size=64)
    with torch.no_grad():
        model[1].bias.fill_(-1000)  # no image gets through, only the last bias learns
    dead = r"all gradients are zero, and the loss stays at 2\.3\d? in epoch 1, step 3 of 3"
    with pytest.raises(DivergedError, match=dead):
        run(model, few_digits, tmp_path / "c.pt", settings, progress=told)
    assert len(told.notes) == 1
    assert "restarting" in told.notes[0]


@pytest.mark.parametrize("last", [True, False])
def test_weights_that_the_last_step_broke_are_never_kept(few_digits: Dataset, tmp_path: Path, last: bool) -> None:
    def breaking(student: Outputs, _: Outputs | None, labels: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(student.logits, labels)
        # a loss of 1 whose gradient is infinite
        return loss * 0 + 1 + (loss - loss.detach()).sqrt() if last else loss

    objective = Objective([Term("odd", 1.0, breaking)])
    settings = Training(epochs=1, batch_size=200)
    if last:
        with pytest.raises(DivergedError, match="weights are no longer finite in epoch 1, step 1 of 1"):
            run(with_dropout(), few_digits, tmp_path / "c.pt", settings, objective=objective)
    else:
        run(with_dropout(), few_digits, tmp_path / "c.pt", settings, objective=objective)


def test_versions_of_modules_outlast_a_training_and_its_checkpoint(few_digits: Dataset, tmp_path: Path) -> None:
    class Versioned(nn.Linear):
        _version = 2

        def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *rest: Any) -> None:
            if metadata.get("version") != 2:
                raise ValueError("no version")
            super()._load_from_state_dict(state, prefix, metadata, *rest)

    for epochs in (1, 1):  # the second one reads the first one's checkpoint
        torch.manual_seed(0)
        settings = Training(epochs=epochs, batch_size=64)
        run(nn.Sequential(nn.Flatten(), Versioned(256, 10)), few_digits, tmp_path / "c.pt", settings)


class Witness(nn.Module):
    """Remembers every batch that it is shown while `watching`; its logits don't matter."""

    seen: ClassVar[list[Tensor]] = []
    watching: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16 * 16, 10)

    def forward(self, images: Tensor) -> Tensor:
        if self.watching and not self.training:
            float(images.sum())
            Witness.seen.append(images)
        return self.linear(images.flatten(1))


def test_teacher_sees_the_students_views_and_stays_as_it_is(few_digits: Dataset, tmp_path: Path) -> None:
    teacher, shown = Witness().train(), []
    student = with_dropout()
    student.register_forward_pre_hook(lambda m, inputs: shown.append(inputs[0]) if m.training else None)
    Witness.seen, Witness.watching, before = [], True, digest(teacher)
    run(student, few_digits, tmp_path / "c.pt", teacher=teacher, objective=distilled())
    assert len(shown) == 3 * 3
    assert all(torch.equal(a, b) for a, b in zip(Witness.seen[-9:], shown, strict=True))
    assert not torch.equal(shown[0], shown[3])
    assert digest(teacher) == before
    assert teacher.training


def test_progress_counts_images_to_the_end(few_digits: Dataset, tmp_path: Path, listener: Any) -> None:
    hears = listener()
    run(with_dropout(), few_digits, tmp_path / "c.pt", progress=hears)
    done = [advance[0] for advance in hears.advances]
    assert done == sorted(done)
    assert hears.advances[-1][:2] == (3 * 192, 3 * 192)
    assert "epoch 3/3  loss" in hears.advances[-1][2]
    assert " val " in hears.advances[-1][2]


def test_number_of_epochs_follows_from_the_data_when_none_is_given(
    few_digits: Dataset, tmp_path: Path, listener: Any
) -> None:
    hears = listener(stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        run(with_dropout(), few_digits, tmp_path / "c.pt", Training(), progress=hears)
    assert hears.advances[0][1] == 30 * 128


def test_model_of_other_classes_is_an_error(few_digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="the model has 7 classes, digits has 10"):
        run(build("resnet8", classes=7, channels=1), few_digits, tmp_path / "c.pt")


def test_checkpoint_that_can_not_be_written_is_a_storage_error(few_digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        run(with_dropout(), few_digits, tmp_path / "file" / "c.pt")


def test_second_student_of_the_same_views_does_not_ask_the_teacher(few_digits: Dataset, tmp_path: Path) -> None:
    teacher, folder = Witness(), tmp_path / "cache"
    asked, digests = [], []
    for index in range(3):
        student = with_dropout()
        Witness.seen, Witness.watching = [], True
        cache = folder if index < 2 else None
        given = {"teacher": teacher, "objective": distilled(), "cache": cache}
        run(student, few_digits, tmp_path / f"{index}.pt", **given)
        asked.append(len(Witness.seen))
        digests.append(digest(student))
    # folding tries the teacher on a few images each time
    assert asked[0] - asked[1] == 3 * 3
    assert digests[0] == digests[1] == digests[2]


def test_a_training_ends_the_same_where_its_teachers_outputs_cannot_be_kept(
    few_digits: Dataset, tmp_path: Path, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: TeacherCache, epoch: int, logits: Tensor) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(TeacherCache, "write", full)
    digests, told = [], listener()
    for cache in (None, tmp_path / "cache"):
        student = with_dropout()
        given = {"teacher": with_dropout(), "objective": distilled(), "cache": cache, "progress": told}
        assert run(student, few_digits, tmp_path / f"{len(digests)}.pt", **given).epochs == 3
        digests.append(digest(student))
    assert digests[0] == digests[1]
    assert told.notes == ["the teacher's outputs are no longer cached: the disk is full"]


@pytest.mark.parametrize("what", ["seed", "teacher", "activations", "augmentation"])
def test_cache_is_of_these_views_and_this_teacher_alone(few_digits: Dataset, tmp_path: Path, what: str) -> None:
    teacher, once = with_dropout(), Training(epochs=1, batch_size=64)
    given: dict[str, Any] = {"teacher": teacher, "data": few_digits, "seed": 0}
    other: dict[str, Any] = {
        "seed": 1,
        "teacher": build("resnet8", classes=10, channels=1),
        "activations": with_other_activations(),
        "augmentation": replace(few_digits, augmentation=replace(few_digits.augmentation, pad=1)),
    }
    changed = {**given, {"augmentation": "data", "activations": "teacher"}.get(what, what): other[what]}
    for index, arguments in enumerate((given, changed)):
        common = {"objective": distilled(), "cache": tmp_path / "cache", "settings": once}
        run(with_dropout(), checkpoint=tmp_path / f"{index}.pt", **common, **arguments)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_features_are_learned_from_and_not_cached(few_digits: Dataset, tmp_path: Path) -> None:
    teacher, student = build("resnet14", classes=10, channels=1), build("resnet8", classes=10, channels=1)
    objective = build_objective({"at": {}}, student, teacher, torch.randn(2, 1, 16, 16))
    trained = run(
        student, few_digits, tmp_path / "c.pt", teacher=teacher, objective=objective, cache=tmp_path / "cache"
    )
    assert trained.history[-1].loss < trained.history[0].loss
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_compiled_training_learns_the_same_but_for_rounding(few_digits: Dataset, tmp_path: Path) -> None:
    teacher, weights = with_dropout().eval(), []
    for compiled in (False, True):
        torch.manual_seed(0)
        student = build("resnet8", classes=10, channels=1)
        execution = Execution(compiled=compiled)
        given = {"teacher": teacher, "objective": distilled(), "execution": execution}
        run(student, few_digits, tmp_path / f"{compiled}.pt", **given)
        weights.append(torch.cat([p.detach().flatten() for p in student.parameters()]))
    assert nn.functional.cosine_similarity(*weights, dim=0) > 0.999


def test_a_recovery_ends_with_its_averaged_weights_and_another_training_with_its_last(
    few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("edgekd.training.epoch.run_step", _noting(seen))
    for settings, averages in ((SHORT, False), (Recovery(**SHORT.model_dump()), True)):
        model = with_dropout()
        trained = run(model, few_digits, tmp_path / f"{averages}.pt", settings.model_copy(update={"epochs": 20}))
        assert (digest(model) in seen) is not averages
        assert evaluate(model, few_digits.val) == trained.validation


def _noting(seen: list[str]) -> Any:
    def step(learner: Any, *given: Any) -> Tensor:
        loss = run_step(learner, *given)
        seen.append(digest(learner.model))
        return loss

    return step
