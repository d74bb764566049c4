"""Chaos: workers, the service and PostgreSQL's backends are killed and stopped while trials run, and nothing is lost.

    python tests/chaos/run.py                          300 trials on SQLite, then on PostgreSQL (minutes)
    python tests/chaos/run.py --trials 20 sqlite       a short one

What happens when is drawn from `--seed`. The checker reads what workers were told and the database, nothing else;
the exit code is 1 if a rule is broken. Every process is one of ours, ended by its own id.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from checker import Promises, faults, read_record  # noqa: E402
from household import Household  # noqa: E402
from sqlalchemy import create_engine  # noqa: E402

from benchmarks._databases import open_postgresql  # noqa: E402

N_EPOCHS = 6
N_WORKERS = 4
MAX_LOST = 3
LONGEST_SECONDS = 900.0


def sweep_of(n_trials: int, seed: int) -> dict[str, Any]:
    """A sweep with pruning, of as many trials as are wanted."""
    return {
        **{"name": "chaos", "dataset": "digits", "method": "random", "metric": {"name": "val_accuracy"}},
        **{"run_cap": n_trials, "max_parallel": 3 * N_WORKERS, "seed": seed, "failure_limit": 1.0},
        "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 2},
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
            "hidden_units": {"value": [16]},
            "epochs": N_EPOCHS,
        },
    }


class Chaos:
    """Does one bad thing after the other, drawn from a seed, and counts what it did."""

    def __init__(self, household: Household, chance: random.Random) -> None:
        self.household = household
        self.chance = chance
        self.done: Counter[str] = Counter()
        self.deeds: list[tuple[float, str, Callable[[], None]]] = [
            (4, "workers killed", self._kill_worker),
            (3, "workers stopped for a while", self._stop_worker),
            (2, "service killed", self._kill_service),
            (1, "service stopped for a while", self._stop_service),
        ]
        if household.is_postgresql:
            self.deeds += [
                (2, "backends terminated", self._terminate_backends),
                (1, "backends killed, so that PostgreSQL recovers", self._kill_backend),
            ]

    def strike(self) -> None:
        """Do one thing."""
        (deed,) = self.chance.choices(self.deeds, weights=[weight for weight, *_ in self.deeds])
        deed[2]()
        self.done[deed[1]] += 1

    def _kill_worker(self) -> None:
        self.household.restart_worker(self.chance.randrange(N_WORKERS))

    def _stop_worker(self) -> None:
        """Long enough, now and then, for the lease to expire: the worker wakes up to trials that are another's."""
        process = self.household.workers[self.chance.randrange(N_WORKERS)]
        self._pause(process, self.chance.choice([0.5, 5.0]))

    def _kill_service(self) -> None:
        self.household.kill_service()
        time.sleep(self.chance.random())  # how long it is gone is part of the fault
        self.household.start_service()

    def _stop_service(self) -> None:
        self._pause(self.household.service, self.chance.choice([0.5, 5.0]))

    def _pause(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # how long it stands still is the fault itself
        process.send_signal(signal.SIGCONT)

    def _terminate_backends(self) -> None:
        self.household.ask_postgresql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def _kill_backend(self) -> None:
        pids = self.household.ask_postgresql(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        if pids:
            os.kill(self.chance.choice(pids)[0], signal.SIGKILL)


def play(url: str, folder: Path, n_trials: int, seed: int) -> dict[str, Any]:
    """One sweep under chaos, to its end, and what the checker says."""
    chance = random.Random(seed)
    began = time.monotonic()
    with _household(folder, url) as household:
        household.submit(sweep_of(n_trials, seed))
        for place in range(N_WORKERS):
            household.restart_worker(place)
        chaos = Chaos(household, chance)
        while not household.is_completed():
            if time.monotonic() - began > LONGEST_SECONDS:
                raise SystemExit(f"the sweep has not ended in {LONGEST_SECONDS:g} s: {dict(chaos.done)}")
            household.refuse_dead_workers()
            time.sleep(chance.random())  # real processes at work meanwhile: when the next fault falls is drawn
            chaos.strike()
    promises = Promises().read(sorted(folder.glob("*.jsonl")))
    engine = create_engine(url)
    record = read_record(engine)
    engine.dispose()
    return {
        "trials": dict(Counter(trial["state"] for trial in record.trials.values())),
        "attempts": dict(Counter(attempt["outcome"] for attempt in record.attempts.values())),
        "done": dict(sorted(chaos.done.items())),
        "acknowledged": {
            "answers": promises.n_answers,
            "epochs": len(promises.epochs),
            "finals": len(promises.finals),
        },
        "seconds": round(time.monotonic() - began),
        "faults": faults(promises, record, n_trials, MAX_LOST),
    }


@contextmanager
def _household(folder: Path, url: str) -> Iterator[Household]:
    household = Household(folder, url)
    try:
        household.start_service()
        yield household
    finally:
        household.end()


def main() -> int:
    """Play on the databases that are named, or on both; print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("databases", nargs="*", choices=[[], "sqlite", "postgresql"], help="both if left out")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    results = {}
    for name in options.databases or ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="gradsweep-chaos-") as place:
            folder = Path(place)
            if name == "sqlite":
                results[name] = play(f"sqlite:///{folder}/chaos.db", folder, options.trials, options.seed)
            else:
                with open_postgresql(folder) as url:
                    results[name] = play(
                        url.render_as_string(hide_password=False), folder, options.trials, options.seed
                    )
    print(json.dumps(results, indent=2))
    return int(any(result["faults"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
