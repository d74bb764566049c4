"""How far a sweep is, what it waits for, and how to say so."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from service.domain.states import SweepReason, SweepState, TrialState, WaitingFor
from service.domain.sweep import Sweep

_REASONS = {
    SweepReason.TARGET_REACHED: "a trial reached the target",
    SweepReason.RUN_CAP: "all trials of run_cap are done",
    SweepReason.SPACE_EXHAUSTED: "every configuration of the space was tried",
    SweepReason.TIME_BUDGET: "the time budget is used up",
    SweepReason.FAILURE_LIMIT: "more trials failed than failure_limit allows",
    SweepReason.BY_USER: "as a user asked",
}
_WAITING = {
    WaitingFor.NO_WORKER: "waiting for a worker: start one with `gradsweep worker`",
    WaitingFor.DATASET: "waiting for a worker that has {dataset}: datasets/{dataset}.npz in its data folder",
    WaitingFor.SAMPLER: "waiting for the next trials to be chosen",
    WaitingFor.COMPILING: "a worker compiles its program",
    WaitingFor.PAUSED: "waiting to be resumed",
}


@dataclass(frozen=True, slots=True)
class StateSum:
    """Trials of a sweep in one state: how many, epochs that they have trained, epochs that they should train."""

    n_trials: int = 0
    epochs_done: int = 0
    epochs_planned: int = 0


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that was heard of lately and is not quarantined."""

    phase: str
    datasets: Collection[str]


@dataclass(frozen=True, slots=True)
class Forecast:
    """How far a sweep is; None where nobody can know."""

    trials_done: int
    trials_total: int | None
    epochs_done: int
    epochs_total: int | None
    epochs_per_second: float | None
    eta_seconds: float | None


def forecast(sweep: Sweep, sums: Mapping[TrialState, StateSum], now_ms: int) -> Forecast:
    """How far a sweep is and when it may end.

    A trial that is not made yet is taken to train as many epochs as those that are over did, so pruning is counted
    in; one that waits or runs is taken to train all of its own.
    """
    ended = [total for state, total in sums.items() if state.is_final]
    open_sums = [total for state, total in sums.items() if not state.is_final]
    trials_done = sum(total.n_trials for total in ended)
    epochs_done = sum(total.epochs_done for total in sums.values())
    trials_total = sweep.n_trials if sweep.is_ended else sweep.run_cap
    epochs_total: int | None = None
    if sweep.is_ended:
        epochs_total = epochs_done
    elif trials_total is not None and sweep.n_trials > 0:
        so_far = ended if trials_done > 0 else open_sums
        counted = sum(total.n_trials for total in so_far)
        done_or_planned = sum(t.epochs_done if trials_done > 0 else t.epochs_planned for t in so_far)
        to_come = max(0, trials_total - sweep.n_trials) * done_or_planned / counted
        ended_epochs = sum(total.epochs_done for total in ended)
        epochs_total = round(ended_epochs + sum(total.epochs_planned for total in open_sums) + to_come)
    seconds = _working_ms(sweep, now_ms) / 1000
    rate = epochs_done / seconds if epochs_done > 0 and seconds > 0 else None
    is_going_on = sweep.state in (SweepState.RUNNING, SweepState.STOPPING)
    eta = (
        max(0, epochs_total - epochs_done) / rate
        if is_going_on and rate is not None and epochs_total is not None
        else None
    )
    return Forecast(trials_done, trials_total, epochs_done, epochs_total, rate, eta)


def waiting_for(
    sweep: Sweep, sums: Mapping[TrialState, StateSum], workers: Collection[LiveWorker]
) -> WaitingFor | None:
    """What a sweep that could go on is waiting for; None while a trial trains or nothing is to come."""
    if not sweep.may_claim:
        return WaitingFor.PAUSED if sweep.state is SweepState.PAUSED else None
    able = [worker for worker in workers if sweep.dataset in worker.datasets]
    if not able:
        return WaitingFor.DATASET if workers else WaitingFor.NO_WORKER
    if sums.get(TrialState.RUNNING, StateSum()).n_trials > 0:
        is_compiling = all(worker.phase == "compiling" for worker in able)
        return WaitingFor.COMPILING if is_compiling else None
    return None if sums.get(TrialState.WAITING, StateSum()).n_trials > 0 else WaitingFor.SAMPLER


def sentence(sweep: Sweep, n_done: int, waiting: WaitingFor | None) -> str:
    """State and reason in words."""
    of_all = f"{n_done} of {sweep.run_cap} trials done" if sweep.run_cap is not None else f"{n_done} trials done"
    because = _REASONS[sweep.state_reason] if sweep.state_reason is not None else None
    match sweep.state:
        case SweepState.COMPLETED | SweepState.CANCELLED:
            return f"{sweep.state.value}: {because or 'nothing is left to do'}; {n_done} trials in all"
        case SweepState.STOPPING:
            return f"stopping, {because or 'as a user asked'}: trials that are running finish; {of_all}"
        case SweepState.PAUSED:
            return f"paused, {because or 'as a user asked'}: resume it to go on; {of_all}"
        case _ if waiting is not None:
            return f"{sweep.state.value}: {_WAITING[waiting].format(dataset=sweep.dataset)}; {of_all}"
        case _:
            return f"{sweep.state.value}: {of_all}"


def _working_ms(sweep: Sweep, now_ms: int) -> int:
    if sweep.active_ms > 0:
        return sweep.active_ms
    if sweep.started_at_ms is None:
        return 0
    return (sweep.ended_at_ms or now_ms) - sweep.started_at_ms
