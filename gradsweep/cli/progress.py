"""How far a sweep is, in words: state, trials, rate, verdicts, best; what a worker does."""

from collections.abc import Sequence

from gradsweep.cli.following import Picture
from gradsweep.cli.wording import SECONDS_PER_HOUR, duration, number, parameter, searched_names, sweep_state
from service.wire.health import WorkerView
from service.wire.sweeps import SweepView

WAITING = {
    "no_worker": "waiting for a worker: that of gradsweep up takes seconds to load; else gradsweep worker starts one",
    "dataset": "no worker has datasets/{dataset}.npz in its data folder",
    "compiling": "compiling",
}
STARTING = ("starting", "loading")


def state_words(sweep: SweepView, workers: Sequence[WorkerView] = ()) -> str:
    """The state, with its reason, and what it waits for if somebody could do something about that."""
    words = sweep_state(sweep)
    if sweep.waiting_for == "no_worker" and any(worker.phase in STARTING for worker in workers):
        return f"{words}, its worker is starting"
    if sweep.waiting_for not in WAITING:
        return words
    return f"{words}, {WAITING[sweep.waiting_for].format(dataset=sweep.dataset)}"


def progress_line(sweep: SweepView) -> str:
    """Trials done, counts of those that are over, rate and time left."""
    total = "?" if sweep.progress.trials_total is None else str(sweep.progress.trials_total)
    counts = sweep.counts.model_dump(exclude={"waiting", "running"})
    over = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    parts = (f"{sweep.progress.trials_done}/{total} trials", over, rate_line(sweep))
    return " · ".join(part for part in parts if part)


def rate_line(sweep: SweepView) -> str:
    """Trials per hour and the time that is left, as far as they are known."""
    progress = sweep.progress
    if not progress.epochs_per_second:
        return ""
    parts = []
    if progress.trials_done and progress.epochs_done:
        epochs_per_trial = progress.epochs_done / progress.trials_done
        parts.append(f"{progress.epochs_per_second * SECONDS_PER_HOUR / epochs_per_trial:.0f} trials/h")
    parts.append(f"{progress.epochs_per_second:.2g} epochs/s")
    if progress.eta_seconds is not None:
        parts.append(f"about {duration(progress.eta_seconds)} left")
    return ", ".join(parts)


def counts_line(sweep: SweepView) -> str:
    """How many trials are in each state, zeros left out."""
    return ", ".join(f"{state} {count}" for state, count in sweep.counts.model_dump().items() if count)


def verdicts_line(sweep: SweepView) -> str:
    """How many trials got each verdict, zeros left out."""
    counts = ", ".join(f"{verdict} {count}" for verdict, count in sweep.verdicts.model_dump().items() if count)
    return f"gradients: {counts}" if counts else ""


def best_line(picture: Picture) -> str:
    """The best value so far and the parameters that were searched for it."""
    best, sweep = picture.best, picture.sweep
    if best is None or best.objective is None:
        return ""
    searched = [name for name in searched_names(sweep) if getattr(best.parameters, name, None) is not None]
    values = ", ".join(f"{name} {parameter(getattr(best.parameters, name))}" for name in searched)
    return f"best {sweep.metric.name} {number(best.objective)} (trial {best.number}: {values})"


def worker_line(worker: WorkerView) -> str:
    """One worker: where, on what, what it does."""
    return f"worker {worker.host} · {worker.device} · {worker.phase} · {worker.slots_filled}/{worker.n_slots} slots"
