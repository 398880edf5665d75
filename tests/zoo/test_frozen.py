import torch
from torch import nn

from edgekd.zoo.frozen import frozen, frozen_at_random, unfreeze


def backbone(seed: int, *, loaded: bool = False) -> nn.Sequential:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    if loaded:
        with torch.no_grad():
            model[0].weight.fill_(0.5)
            model[0].bias.fill_(0.1)
    model[:2].requires_grad_(False)
    return model


def test_all_parameters_train_once_they_are_unfrozen() -> None:
    model = backbone(0)
    assert frozen(model) == unfreeze(model) == 4 * 9 + 4 + 4 + 4
    assert frozen(model) == unfreeze(model) == 0


def test_whole_numbers_cant_train_and_stay_as_they_are() -> None:
    model = backbone(0)
    model.places = nn.Parameter(torch.arange(3), requires_grad=False)
    unfreeze(model)
    assert frozen(model) == 3


def test_a_frozen_random_backbone_is_reported_from_one_that_was_loaded() -> None:
    assert frozen_at_random(backbone(0), backbone(1))
    assert not frozen_at_random(backbone(0, loaded=True), backbone(1, loaded=True))
    assert not frozen_at_random(unfrozen(0), unfrozen(1))
    assert frozen_at_random(backbone(0, loaded=True), nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))


def unfrozen(seed: int) -> nn.Sequential:
    model = backbone(seed)
    unfreeze(model)
    return model
