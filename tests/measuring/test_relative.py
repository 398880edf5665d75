import random

import pytest

from edgekd.measuring.relative import relative
from edgekd.measuring.statistics import ratio


@pytest.fixture
def noisy(measurement):
    """Measurements of these milliseconds, in which every block is off by up to so much; of these groups."""

    def make(ms, *groups, noise=0.05, seed=0):
        generator = random.Random(seed)
        blocks = [[[ms * generator.uniform(1 - noise, 1 + noise)] * 20 for _ in range(8)] for _ in range(5)]
        made = measurement(blocks)
        launches = tuple(one.model_copy(update={"group": group}) for group in groups for one in made.launches)
        return made.model_copy(update={"launches": launches})

    return make


def test_what_took_turns_is_compared_directly(noisy):
    one, other, reference = noisy(2.0, 0, seed=1), noisy(1.0, 0, seed=2), noisy(4.0, 0, 1)
    assert relative(one, other, reference) == ratio(one, other)


def test_artifacts_of_different_groups_are_compared_by_the_reference_with_the_errors_of_both(noisy):
    one, other, reference = noisy(2.0, 0, seed=1), noisy(1.0, 1, seed=2), noisy(4.0, 0, 1)
    found, mine, its = relative(one, other, reference), ratio(one, reference), ratio(other, reference)
    assert found.estimate == pytest.approx(mine.estimate / its.estimate)
    assert mine.low / its.high < found.low < min(mine.low / its.estimate, mine.estimate / its.high)
    assert max(mine.high / its.estimate, mine.estimate / its.low) < found.high < mine.high / its.low
