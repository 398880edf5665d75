import copy

import pytest
import torch
from torch import nn

from edgekd.training.average import averaged


def states(steps: int) -> list[nn.Module]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    found = []
    for _ in range(steps):
        model(torch.randn(4, 1, 8, 8))
        with torch.no_grad():
            model[0].weight.add_(torch.randn_like(model[0].weight))
        found.append(copy.deepcopy(model))
    return found


def test_it_is_the_mean_of_all_states_up_to_the_horizon() -> None:
    followed = states(4)
    average = averaged(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), steps=100)  # a horizon of 5 steps
    for step, state in enumerate(followed):
        average.follow(state, step)
    found = average.model.state_dict()
    for name in ("0.weight", "1.running_var"):
        expected = torch.stack([state.state_dict()[name] for state in followed]).mean(0)
        assert torch.allclose(found[name], expected, atol=1e-6)
    assert found["1.num_batches_tracked"] == 4


def test_beyond_the_horizon_older_states_decay() -> None:
    followed = states(40)
    average = averaged(followed[0], steps=40)  # a horizon of 2 steps
    expected = followed[0][0].weight.detach().clone()
    for step, state in enumerate(followed):
        average.follow(state, step)
        expected.lerp_(state[0].weight.detach(), max(1 / (step + 1), 0.5))
    assert torch.allclose(average.model[0].weight, expected, atol=1e-6)


@pytest.mark.parametrize("left", [float("nan"), float("inf")])
def test_what_diverged_before_the_first_step_leaves_nothing(left: float) -> None:
    (state,) = states(1)
    average = averaged(state, steps=100)
    with torch.no_grad():
        average.model[0].weight.fill_(left)
    average.follow(state, 0)
    assert torch.equal(average.model[0].weight, state[0].weight)
