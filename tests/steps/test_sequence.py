"""The steps of a recipe, taken: what each hands to the next."""

from dataclasses import replace

import pytest
import torch

from edgekd.training import race as racing
from edgekd.training.evaluate import evaluate
from edgekd.training.supervision import Supervision, Teacher
from edgekd.values import Recovery, Training
from edgekd.values.losses import HALF_AND_HALF, LABELS_ALONE
from edgekd.zoo import networks

ALONE = {"do": "prune", "repair": False}
IN_BF16 = {"precision": "bf16", "memory_format": "contiguous", "threads": 1, "compiled": False}


def weights(network):
    return torch.cat([value.flatten() for value in networks.load(network).state_dict().values()])


def test_a_network_that_ends_untrained_is_evaluated(take, network):
    ended = take("prune")
    assert ended.weights == network().weights
    assert ended.accuracy.images == 179
    assert ended.training is None


def test_pruning_gets_the_network_of_the_step_before_and_its_share(take, network):
    asked = []

    def pruned(given, share):
        asked.append((given.weights.sha256, share))
        return network(len(asked))

    ended = take(*({**ALONE, "share": share} for share in (0.25, 0.5, 1)), pruned=pruned)
    assert asked == [(network(n).weights.sha256, share) for n, share in ((0, 0.25), (1, 0.5), (2, 1.0))]
    assert ended.weights.sha256 == network(3).weights.sha256


def test_the_record_of_the_last_training_counts_the_seconds_of_all(take):
    once = take("finetune").training.seconds
    twice = take("finetune", {"do": "finetune", "epochs": 2}).training
    assert twice.seconds > once
    assert twice.epochs == 2


def test_distillation_learns_from_the_teachers_and_finetuning_from_the_labels(take, network):
    ours, others = (Supervision((Teacher(network(seed)),)) for seed in (7, 8))
    assert take("distil", supervision=ours).origin == "distilled"
    assert not torch.equal(weights(take("distil", supervision=ours)), weights(take("distil", supervision=others)))
    assert take("finetune", supervision=ours).origin == "trained"
    assert torch.equal(weights(take("finetune", supervision=ours)), weights(take("finetune", supervision=others)))


def test_what_follows_qat_is_rounded_on_the_way_and_what_is_before_it_is_not(take):
    plain, rounded, before = take("finetune"), take("qat", "finetune"), take("finetune", "qat", "finetune")
    assert not torch.equal(weights(plain), weights(rounded))
    assert plain.weights != before.weights
    first = take("finetune", "finetune")
    assert not torch.equal(weights(first), weights(before))


def test_other_calibration_images_are_another_training(take):
    few, more = (take("qat", "finetune", calibration_images=count) for count in (16, 32))
    assert few.weights.path != more.weights.path


def test_a_training_that_was_done_is_found_again_and_another_one_is_not(take, few_digits):
    first = take("finetune")
    assert take("finetune") == first
    for changes in ({"seed": 1}, {"data": replace(few_digits, fingerprint="other")}):
        assert take("finetune", **changes).weights.path != first.weights.path
    assert take({"do": "finetune", "learning_rate": 0.01}).weights.path != first.weights.path


def test_each_step_leaves_what_it_brought(steps_taken, network):
    state = steps_taken(ALONE, "finetune", "qat", "finetune", pruned=lambda given, share: network(1))
    assert [(one.step, one.accuracy.images, one.kept) for one in state.brought] == [
        ("prune", 179, True),
        ("finetune", 179, True),
        ("finetune", 179, True),
    ]
    assert state.brought[0].what == "77,754 of 77,754 parameters left"
    assert [one.what for one in state.brought[1:]] == ["1 epoch", "1 epoch with simulated INT8"]
    assert state.brought[-1].accuracy == state.network.accuracy
    assert [len(epochs) for epochs in state.network.training.history] == [1, 1]


WELL, BADLY = {"do": "finetune", "epochs": 6}, {"do": "finetune", "epochs": 2, "learning_rate": 1.0}


def test_weights_before_a_training_stay_where_it_makes_them_worse(steps_taken):
    first = steps_taken(WELL)
    state = steps_taken(WELL, BADLY)
    worse = state.brought[-1]
    assert worse.accuracy.correct < first.network.accuracy.correct
    assert (worse.what, worse.kept) == ("2 epochs", False)
    assert (state.network.weights, state.network.accuracy) == (first.network.weights, first.network.accuracy)
    record = state.network.training
    assert (record.epochs, record.best_epoch) == (2, 0)
    assert [[epoch.kept for epoch in epochs].count(True) for epochs in record.history] == [1, 0]
    assert [by.kept for by in record.trained_by] == [True, False]
    assert record.seconds > first.network.training.seconds
    assert torch.equal(
        weights(steps_taken(WELL, BADLY, "finetune").network), weights(steps_taken(WELL, "finetune").network)
    )


def test_a_training_that_began_again_at_a_lower_rate_says_so(steps_taken):
    state = steps_taken({**WELL, "epochs": 30}, {**BADLY, "learning_rate": 1e4})
    lower = state.network.training.learning_rate
    assert lower == 1e3
    assert state.brought[-1].note == "labels alone, learning rate 10000, restarted at 1000 with clipped gradients"


def test_what_was_cut_is_remembered_for_the_next_rate_where_a_training_is_not_kept(steps_taken, network):
    state = steps_taken(WELL, ALONE, BADLY, pruned=lambda given, share: given.model_copy(update={"origin": "pruned"}))
    assert not state.brought[-1].kept
    assert state.cut.origin == state.network.origin == "pruned"
    assert steps_taken(WELL, ALONE, WELL, pruned=lambda given, share: network(1)).cut is None


def test_what_is_pruned_after_a_training_goes_on_from_that_training(steps_taken, network):
    """As in malihi2024's order of 2023: distilled first, then pruned."""
    state = steps_taken(WELL, BADLY, ALONE, pruned=lambda given, share: given.model_copy(update={"origin": "pruned"}))
    assert [one.kept for one in state.brought] == [True, True, True]
    assert state.brought[1].accuracy.correct < state.brought[0].accuracy.correct
    assert state.brought[2].accuracy == state.brought[1].accuracy


def test_accuracies_are_compared_in_one_arithmetic(steps_taken, few_digits, monkeypatch):
    """In fp32, as what isn't trained is evaluated: here bf16 would have every image right after any training."""

    def flattered(model, images, *, execution):
        score = evaluate(model, images, execution=execution)
        return score.model_copy(update={"correct": len(images)}) if execution.precision == "bf16" else score

    monkeypatch.setattr("edgekd.training.epoch.evaluate", flattered)
    recover = Recovery(epochs=1, batch_size=32, teacher_precision="fp32", **IN_BF16)
    state = steps_taken(WELL, BADLY, recover=recover)
    well, badly = state.brought
    assert badly.accuracy.correct < well.accuracy.correct < 179
    assert not badly.kept
    assert well.accuracy.correct == evaluate(networks.load(state.network), few_digits.val).correct


def test_with_simulated_int8_or_features_alone_the_accuracy_before_decides_nothing(steps_taken):
    assert steps_taken(WELL, "qat", BADLY).brought[-1].kept
    features = {"do": "distil", "losses": {"fitnet": {}}, "learning_rate": 1.0}
    state = steps_taken(WELL, features)
    assert state.network.training.features_alone
    assert state.network.accuracy.correct < state.brought[0].accuracy.correct
    assert state.brought[-1].kept


def test_what_was_trained_before_the_last_pruning_stays_in_the_record(steps_taken, network):
    state = steps_taken("distil", ALONE, pruned=lambda given, share: network(1))
    assert state.network.weights == network(1).weights
    assert len(state.network.training.history) == len(state.network.training.trained_by) == 1


def test_random_weights_that_are_pruned_are_still_random(steps_taken, network, tmp_path):
    """They begin at the original's rate, however few epochs there are, and nothing of them is repaired."""

    def pruned(given, share):
        return network(1).model_copy(update={"origin": "pruned"})

    long = Training(epochs=100, learning_rate=0.1)
    state = steps_taken("reset", "prune", "finetune", pruned=pruned, teacher=long)
    assert [one.step for one in state.brought] == ["prune", "finetune"]
    assert state.record.trained_by[-1].learning_rate == 0.1
    assert steps_taken(ALONE, "finetune", pruned=pruned, teacher=long).record.trained_by[-1].learning_rate < 0.1


def test_a_step_that_prunes_nothing_brings_nothing(steps_taken):
    assert steps_taken("prune").brought == ()


OPEN = {"epochs": 2, "batch_size": 2, "race": 0.5, "teacher_precision": "fp32", "compiled": False}


@pytest.mark.parametrize(
    ("step", "more", "expected"),
    [
        ("distil", {"losses": {"kd": {"weight": 1.0}}}, ({"kd": {"weight": 1.0}}, 0.1)),
        ("distil", {"learning_rate": 0.03}, (HALF_AND_HALF, 0.03)),
        ({"do": "distil", "learning_rate": 0.03}, {}, (HALF_AND_HALF, 0.03)),
        ("distil", {"race": 0.0}, (HALF_AND_HALF, 0.1)),
        ("finetune", {}, (LABELS_ALONE, 0.1)),
    ],
)
def test_what_is_stated_is_not_raced_for_and_the_rest_is_the_default(take, monkeypatch, step, more, expected):
    monkeypatch.setattr(racing, "FEWEST_STEPS", 2)
    recover = Recovery(**{**OPEN, **more}, precision="fp32", memory_format="contiguous", threads=1)
    (by,) = take(step, recover=recover).training.trained_by
    assert (by.losses, by.learning_rate, by.race) == (*expected, None)


def test_where_nothing_is_stated_pilots_choose_but_not_with_simulated_int8(take, monkeypatch):
    monkeypatch.setattr(racing, "FEWEST_STEPS", 2)
    recover = Recovery(**OPEN, precision="fp32", memory_format="contiguous", threads=1)
    raced = take("distil", recover=recover).training
    (by,) = raced.trained_by
    assert by.race.winner in {pilot.name for pilot in by.race.pilots if pilot.losses == by.losses}
    assert by.learning_rate == 0.1
    assert raced.seconds > by.race.seconds > 0
    (by,) = take("qat", {"do": "distil", "epochs": 1}, recover=recover).training.trained_by
    assert by.race is None


@pytest.mark.parametrize("step", ["finetune", "reset"])
def test_what_is_found_has_the_name_of_today(take, network, step):
    names = [f"mobilenet_v1:width={width}" for width in ("0.125", "0.1250")]
    first, found = (take(step, start=network(model=name)) for name in names)
    assert found.weights == first.weights
    assert [one.architecture.model for one in (first, found)] == names
