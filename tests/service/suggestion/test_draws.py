"""Random, quasi-random and grid: functions of seed and number, each distinct trial once."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import qmc

from service.domain.parameters import config_hash
from service.domain.space import Space
from service.domain.sweep import Sweep
from service.suggestion.draws import quasi_random_coordinates, random_coordinates, shuffled_grid
from service.suggestion.search import DrawnSearch

METHODS = ["random", "qmc", "grid"]
SMALL = {
    "optimizer": {"values": ["sgd", "adam"]},
    "momentum": {"values": [0.0, 0.5, 0.9]},
    "nesterov": {"values": [True, False]},
    "dropout": {"values": [0.0, 0.25, 0.5]},
}
N_SMALL = (1 + 2 * 2 + 1) * 3  # sgd without momentum, with either momentum and nesterov or not, adam; three dropouts


@pytest.mark.parametrize("method", METHODS)
def test_a_trial_is_a_function_of_seed_and_number(sweep: Callable[..., Sweep], method: str) -> None:
    one, other = DrawnSearch(sweep(SMALL, method=method)), DrawnSearch(sweep(SMALL, method=method))
    together = one.suggest(range(12))
    apart = [other.suggest([number])[0] for number in reversed(range(12))]
    assert together == apart[::-1]
    assert one.suggest([5]) == together[5:6]


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_gives_another_order(sweep: Callable[..., Sweep], method: str) -> None:
    first, second = (DrawnSearch(sweep(SMALL, method=method, seed=seed)).suggest(range(12)) for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize("method", METHODS)
def test_a_finite_space_is_drawn_once_each_and_then_no_more(sweep: Callable[..., Sweep], method: str) -> None:
    search = DrawnSearch(sweep(SMALL, method=method))
    drawn = search.suggest(range(N_SMALL + 5))
    assert len({config_hash(parameters) for parameters in drawn}) == len(drawn) == N_SMALL
    assert search.suggest([N_SMALL]) == []


@pytest.mark.parametrize("method", ["random", "qmc"])
def test_a_space_in_which_nothing_is_searched_holds_one_trial(sweep: Callable[..., Sweep], method: str) -> None:
    assert len(DrawnSearch(sweep({"epochs": 3}, method=method)).suggest(range(3))) == 1


def test_rare_values_are_found_before_the_space_is_called_exhausted(sweep: Callable[..., Sweep]) -> None:
    parameters = {"optimizer": {"values": ["adam", "sgd", "rmsprop"], "probabilities": [0.999998, 1e-6, 1e-6]}}
    drawn = DrawnSearch(sweep(parameters, method="random")).suggest(range(5))
    assert sorted(each.optimizer for each in drawn) == ["adam", "rmsprop", "sgd"]


def test_probabilities_weigh_random_draws(sweep: Callable[..., Sweep]) -> None:
    parameters = {
        "optimizer": {"values": ["adam", "sgd"], "probabilities": [0.9, 0.1]},
        "dropout": {"min": 0.0, "max": 0.5},
    }
    drawn = DrawnSearch(sweep(parameters, method="random")).suggest(range(1000))
    assert 0.87 < np.mean([each.optimizer == "adam" for each in drawn]) < 0.93


def test_random_points_are_uniform() -> None:
    at = random_coordinates(7, 3)
    points = np.array([at(index) for index in range(4000)])
    assert points.shape == (4000, 3)
    assert np.allclose(points.mean(axis=0), 0.5, atol=0.02)
    assert np.allclose(np.corrcoef(points.T), np.eye(3), atol=0.05)


def test_quasi_random_points_fill_the_square_more_evenly_than_random_ones() -> None:
    quasi, chance = quasi_random_coordinates(7, 2), random_coordinates(7, 2)
    discrepancies = [qmc.discrepancy([at(index) for index in range(512)]) for at in (quasi, chance)]
    assert discrepancies[0] < discrepancies[1] / 10


def test_quasi_random_points_are_those_of_one_sequence_whatever_block_they_are_in() -> None:
    at = quasi_random_coordinates(7, 2)
    expected = qmc.Sobol(2, scramble=True, rng=7).random(1024)
    assert np.array_equal([at(index) for index in (0, 255, 256, 1000)], expected[[0, 255, 256, 1000]])


def test_a_grid_is_shuffled_not_sorted(sweep: Callable[..., Sweep]) -> None:
    space = Space.from_definition(sweep(SMALL, method="grid").definition["space"])
    order = shuffled_grid(space, 7)
    assert sorted(order) == list(range(N_SMALL))
    assert order != sorted(order)
