"""Pareto fronts against the definition, pair by pair."""

import random

import pytest

from service.domain.fronts import dominates, fronts


def peeled(losses):
    """Fronts as they are defined: again and again, those that none of the rest beats."""
    rest, found = list(range(len(losses))), []
    while rest:
        front = [one for one in rest if not any(dominates(losses[other], losses[one]) for other in rest)]
        found.append(sorted(front))
        rest = [one for one in rest if one not in front]
    return found


@pytest.mark.parametrize("n_metrics", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_fronts_are_those_of_the_definition(n_metrics, seed):
    chance = random.Random(seed)
    losses = [[chance.randint(0, 6) for _ in range(n_metrics)] for _ in range(60)]
    assert [sorted(front) for front in fronts(losses)] == peeled(losses)


@pytest.mark.parametrize("n_metrics", [2, 3])
def test_infinite_losses_are_compared_like_others(n_metrics):
    worst = [float("inf")] * n_metrics
    assert fronts([worst, [0.0] * n_metrics, worst]) == [[1], [0, 2]]


def test_enough_is_enough():
    assert fronts([[at, 0] for at in range(9)], enough=2) == [[0], [1]]


def test_nothing_has_no_front():
    assert fronts([]) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [((1, 2), (1, 3), True), ((1, 2), (1, 2), False), ((1, 3), (2, 2), False), ((2, 2), (1, 3), False)],
)
def test_what_beats_what(one, other, expected):
    assert dominates(one, other) is expected
