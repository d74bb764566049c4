"""What one suggestion costs at 1,000 and 10,000 finished trials, and whether a bounded history searches as well.

Cost: six searched parameters, one ask at a time, as when a single slot of a bank is refilled; the median of many
asks at each size, once with the window that the service uses and once with the whole history. Processor time of the
asking thread is measured beside the clock: on a machine that does other work, only the former says what an ask costs.

Quality: three synthetic objectives over the same six parameters, 12 seeds each, 600 trials in generations of 16.
Regret is the distance of the best trial found from the best there is. Bounded and whole history start from the same
seeds, so their regrets are compared pair by pair.
"""

import math
import random
import time
from collections.abc import Callable, Iterator
from statistics import mean, median
from typing import Any

import optuna

from benchmarks._sweeps import make_sweep
from service.domain.states import TrialState
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.suggestion.history import N_BEST, N_RECENT
from service.suggestion.search import DrawnSearch, ModelSearch
from service.wire.parameters import Parameters

PARAMETERS = {
    "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "weight_decay": {"distribution": "log_uniform_values", "min": 1e-6, "max": 0.1},
    "dropout": {"min": 0.0, "max": 0.5},
    "label_smoothing": {"min": 0.0, "max": 0.3},
    "optimizer": {"values": ["sgd", "adam", "rmsprop", "adagrad"]},
    "normalization": {"values": ["none", "batch", "layer"]},
}
WINDOWS = {"bounded": {"n_best": N_BEST, "n_recent": N_RECENT}, "whole": {"n_best": 10**6, "n_recent": 10**6}}
SIZES = (1_000, 10_000)
N_ASKS = {"bounded": 40, "whole": 10}
N_SEEDS = 12
N_TRIALS = 600
GENERATION = 16


def run() -> dict[str, Any]:
    """Measure cost and quality."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return {
        "window": WINDOWS["bounded"],
        "milliseconds_per_ask": {str(size): {name: _cost(size, name) for name in WINDOWS} for size in SIZES},
        "regret": {name: _compare(objective) for name, objective in OBJECTIVES.items()},
    }


def _sweep(seed: int, method: str = "tpe") -> Sweep:
    return make_sweep({"parameters": PARAMETERS, "method": method, "run_cap": 100_000, "seed": seed})


# cost


def _cost(size: int, window: str) -> dict[str, float]:
    search = ModelSearch(_sweep(7), **WINDOWS[window])
    facts = list(_history(size))
    began = time.thread_time()
    search.sync(facts, 1)
    rebuilt = time.thread_time() - began
    processor, clock = [], []
    for number in range(size, size + N_ASKS[window]):
        began, began_clock = time.thread_time(), time.perf_counter()
        search.suggest([number])
        processor.append(1000 * (time.thread_time() - began))
        clock.append(1000 * (time.perf_counter() - began_clock))
    return {
        "processor_median": round(median(processor), 2),
        "processor_longest": round(max(processor), 2),
        "clock_median": round(median(clock), 2),
        "rebuild_processor_seconds": round(rebuilt, 2),
    }


def _history(size: int) -> Iterator[TrialFact]:
    """Two of three pruned, as under hyperband; some diverged, some failed."""
    chance = random.Random(1)
    for number, parameters in enumerate(DrawnSearch(_sweep(7, "random")).suggest(range(size))):
        state = chance.choices([TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED], weights=[0.3, 0.68, 0.02])[
            0
        ]
        yield TrialFact(
            number=number,
            state=state,
            parameters=parameters,
            objective=chance.random(),
            epoch=chance.choice([1, 3, 9]),
            diverged=state is TrialState.PRUNED and chance.random() < 0.1,
            revision=1,
        )


# quality


def _unit(parameters: Parameters) -> dict[str, float]:
    """The numbers among the parameters on scales from 0 to 1."""
    return {
        "learning_rate": (math.log10(parameters.learning_rate) + 5) / 5,
        "weight_decay": (math.log10(parameters.weight_decay) + 6) / 5,
        "dropout": parameters.dropout / 0.5,
        "label_smoothing": parameters.label_smoothing / 0.3,
    }


def _bowl(parameters: Parameters) -> float:
    """A valley whose floor moves with optimizer and normalization; 0 at best."""
    unit = _unit(parameters)
    floor = {"sgd": 0.8, "adam": 0.4, "rmsprop": 0.35, "adagrad": 0.6}[parameters.optimizer]
    extra = {"none": 0.2, "batch": 0.0, "layer": 0.05}[parameters.normalization] + 0.1 * (
        parameters.optimizer != "adam"
    )
    away = (unit["learning_rate"] - floor) ** 2 + 0.3 * (unit["weight_decay"] - 0.3) ** 2
    return extra + away + 0.3 * (unit["dropout"] - 0.5) ** 2 + 0.1 * (unit["label_smoothing"] - 0.2) ** 2


def _waves(parameters: Parameters) -> float:
    """Rastrigin's many local minima over the numbers, a penalty for the wrong words; 0 at best."""
    total = 0.0
    for value, centre in zip(_unit(parameters).values(), (0.55, 0.3, 0.45, 0.2), strict=True):
        x = 4 * (value - centre)
        total += x * x + 0.5 * (1 - math.cos(2 * math.pi * x))
    return total / 4 + 0.2 * (parameters.optimizer != "sgd") + 0.1 * (parameters.normalization != "layer")


def _ridge(parameters: Parameters) -> float:
    """A narrow curved ridge: what is best for one number depends on the other; 0 at best."""
    unit = _unit(parameters)
    bend = unit["weight_decay"] - unit["learning_rate"] ** 2
    slope = {"none": 0.3, "batch": 0.0, "layer": 0.1}[parameters.normalization]
    words = {"sgd": 0.1, "adam": 0.0, "rmsprop": 0.05, "adagrad": 0.2}[parameters.optimizer]
    return 10 * bend**2 + (0.7 - unit["learning_rate"]) ** 2 + 0.2 * unit["dropout"] + slope + words


OBJECTIVES: dict[str, Callable[[Parameters], float]] = {"bowl": _bowl, "waves": _waves, "ridge": _ridge}


def _regret(objective: Callable[[Parameters], float], seed: int, window: dict[str, int]) -> float:
    search = ModelSearch(_sweep(seed), **window)
    best = math.inf
    for first in range(0, N_TRIALS, GENERATION):
        suggested = enumerate(search.suggest(range(first, min(first + GENERATION, N_TRIALS))), first)
        facts = [_completed(number, each, objective(each)) for number, each in suggested]
        best = min(best, *(-(fact.objective or 0.0) for fact in facts))
        search.sync(facts, first + 1)
    return best


def _completed(number: int, parameters: Parameters, value: float) -> TrialFact:
    return TrialFact(
        number=number,
        state=TrialState.COMPLETED,
        parameters=parameters,
        objective=-value,
        epoch=1,
        diverged=False,
        revision=1,
    )


def _compare(objective: Callable[[Parameters], float]) -> dict[str, float]:
    bounded, whole, chance = [], [], []
    for seed in range(N_SEEDS):
        bounded.append(_regret(objective, seed, WINDOWS["bounded"]))
        whole.append(_regret(objective, seed, WINDOWS["whole"]))
        drawn = DrawnSearch(_sweep(seed, "random")).suggest(range(N_TRIALS))
        chance.append(min(objective(each) for each in drawn))
    return {
        "bounded": round(mean(bounded), 5),
        "whole": round(mean(whole), 5),
        "random": round(mean(chance), 5),
        "seeds_where_bounded_is_no_worse": sum(b <= w for b, w in zip(bounded, whole, strict=True)),
        "seeds": N_SEEDS,
    }
