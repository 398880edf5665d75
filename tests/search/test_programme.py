from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.search import _programme
from edgekd.search._programme import Choice, Term, TooEntangledError, solve


def total(terms, names, picked):
    at = dict(zip(names, picked, strict=True))
    return sum(float(term.times[tuple(at[name] for name in term.of)]) for term in terms)


def loss(choices, picked):
    return sum(choice.losses[option] for choice, option in zip(choices, picked, strict=True))


def by_trying_all(choices, terms, limit):
    names = [choice.name for choice in choices]
    fitting = [
        picked
        for picked in product(*(range(len(choice.losses)) for choice in choices))
        if total(terms, names, picked) <= limit
    ]
    return min((loss(choices, picked) for picked in fitting), default=None)


@st.composite
def problems(draw):
    """Whole milliseconds and a limit of as many steps, so that nothing is rounded."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    choices = [Choice(f"c{i}", tuple(random.random(size))) for i, size in enumerate(sizes)]
    terms = []
    for _ in range(draw(st.integers(0, 6))):
        of = random.choice(len(sizes), size=min(len(sizes), int(random.integers(1, 4))), replace=False)
        terms.append(Term(tuple(f"c{i}" for i in of), random.integers(0, 9, [sizes[i] for i in of])))
    return choices, terms, draw(st.integers(1, 40))


@settings(max_examples=150)
@given(problems())
def test_it_finds_what_trying_all_finds(problem):
    choices, terms, limit = problem
    found = solve(choices, terms, limit, steps=limit)
    best = by_trying_all(choices, terms, limit)
    assert (found is None) == (best is None)
    if found is not None:
        picked = [found[choice.name] for choice in choices]
        assert loss(choices, picked) == pytest.approx(best)
        assert total(terms, list(found), picked) <= limit


def test_a_chain_of_many_layers_and_a_residual_stage_are_solved():
    """40 layers of 16 widths each, and a shared width with 8 blocks of two inner widths."""
    random = np.random.default_rng(0)
    curve = tuple(np.linspace(1, 0, 16) ** 2)
    chain = [Choice(f"c{i}", curve) for i in range(40)]
    layers = [Term((f"c{i}", f"c{i + 1}"), random.random((16, 16)) / 80) for i in range(39)]
    stage = [Choice("stage", curve), *(Choice(f"b{i}", curve) for i in range(16))]
    blocks = [Term(("stage", f"b{i}"), random.random((16, 16)) / 80) for i in range(0, 16, 2)]
    blocks += [Term((f"b{i}", f"b{i + 1}"), random.random((16, 16)) / 80) for i in range(0, 16, 2)]
    for choices, terms in ((chain, layers), (stage, blocks)):
        found = solve(choices, terms, 0.1)
        assert found is not None
        assert total(terms, list(found), list(found.values())) < 0.1 * 1.03


def test_a_limit_that_nothing_meets_has_no_solution():
    assert solve([Choice("a", (0.0, 1.0))], [Term(("a",), np.array([3.0, 2.0]))], 1.0) is None


def test_too_many_choices_that_depend_on_each_other_are_refused(monkeypatch):
    monkeypatch.setattr(_programme, "_MOST_CELLS", 10_000)
    choices = [Choice(f"c{i}", (0.0,) * 8) for i in range(4)]
    with pytest.raises(TooEntangledError):
        solve(choices, [Term(tuple(f"c{i}" for i in range(4)), np.ones((8,) * 4))], 1.0)
