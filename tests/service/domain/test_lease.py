"""What a worker's death does to its trials."""

from typing import Any

import pytest

from service.domain.lease import Fate, LeaseSettings, back_off_ms, fate_of_lost, retry_after_ms, returns_to_waiting
from service.domain.states import SweepState, TrialState


def fate(**changes: Any) -> Fate:
    case = {
        "lost": 0,
        "batch_limit": None,
        "batch_size": 1,
        "stop_requested": False,
        "sweep_state": SweepState.RUNNING,
        "max_lost": 3,
    }
    return fate_of_lost(**case | changes)


@pytest.mark.parametrize(("batch_size", "limit"), [(512, 128), (128, 32), (32, 8), (8, 2), (5, 1)])
def test_a_large_batch_is_split_in_four_and_nobody_pays(batch_size: int, limit: int) -> None:
    assert fate(batch_size=batch_size) == Fate(TrialState.WAITING, 0, limit, 0)


def test_512_trials_reach_the_culprit_in_four_steps() -> None:
    sizes = [512]
    while sizes[-1] > 4:
        sizes.append(fate(batch_size=sizes[-1]).batch_limit or 0)
    assert sizes == [512, 128, 32, 8, 2]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_in_a_small_batch_each_loses_a_life(batch_size: int) -> None:
    assert fate(batch_size=batch_size, lost=1) == Fate(TrialState.WAITING, 2, 1, 5_000)


def test_the_last_life_fails() -> None:
    assert fate(lost=2).state is TrialState.FAILED
    assert fate(lost=2).lost == 3
    assert fate(lost=2, batch_size=5).state is TrialState.WAITING


def test_a_limit_is_never_raised() -> None:
    assert fate(batch_size=64, batch_limit=2).batch_limit == 2


@pytest.mark.parametrize("state", [SweepState.STOPPING, SweepState.CANCELLED, SweepState.COMPLETED])
def test_a_sweep_that_ends_takes_nothing_back(state: SweepState) -> None:
    assert not returns_to_waiting(state)
    assert fate(sweep_state=state).state is TrialState.CANCELLED


def test_a_trial_that_was_told_to_stop_is_cancelled_and_keeps_its_lives() -> None:
    assert fate(stop_requested=True, lost=2) == Fate(TrialState.CANCELLED, 2, None, 0)


def test_a_paused_sweep_takes_its_trials_back() -> None:
    assert fate(sweep_state=SweepState.PAUSED, batch_size=16) == Fate(TrialState.WAITING, 0, 4, 0)


def test_back_off_doubles_after_the_first_loss() -> None:
    assert [back_off_ms(lost) for lost in range(5)] == [0, 0, 5_000, 10_000, 20_000]


@pytest.mark.parametrize(("chance", "wait_ms"), [(0.0, 500), (0.5, 1000), (0.999, 1499)])
def test_workers_that_got_nothing_spread_out(chance: float, wait_ms: int) -> None:
    assert retry_after_ms(LeaseSettings(), chance) == wait_ms
