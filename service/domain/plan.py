"""What a sweep will amount to before anything is trained: programs, generations, minutes, and what to reconsider."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.ablation import Ablation
from service.domain.distributions import Constant, Distribution
from service.domain.states import Method
from service.domain.sweep_document import SweepDocument, read_sweep_document
from service.domain.sweep_keys import population_size

LEAST_TRIALS_PER_PROGRAM = 8
LEAST_GENERATIONS = 8

_ROWS = {"digits": 1_000, "mnist-5k": 3_500, "mnist": 50_000, "fashion-mnist": 50_000}
_INPUTS = {"digits": 64}
_SECONDS_PER_STEP = 6e-4
_SECONDS_PER_MULTIPLICATION = 6 / 1e11
_COMPILE_SECONDS = 8.0


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """A sweep file, read and resolved, and what it amounts to.

    Args:
        document: The sweep as resolved.
        n_programs: How many shapes (hidden_units, batch_size) can occur; each is compiled once per worker.
        n_trials: run_cap, or the number of distinct trials if that is smaller, or all trials of an ablation; None if
            only time ends the sweep.
        n_distinct: Distinct trials of the space; None if uncountable.
        generations: How often the search can learn, n_trials ÷ max_parallel; None if it does not.
        estimated_minutes: Roughly, on two CPU cores, without early ends; None if unknown.
    """

    document: SweepDocument
    n_programs: int
    n_trials: int | None
    n_distinct: int | None
    trials_per_program: float | None
    generations: float | None
    estimated_minutes: float | None
    warnings: tuple[str, ...]

    @property
    def resolved(self) -> dict[str, Any]:
        """The sweep file with every default filled in."""
        return self.document.resolved

    @property
    def defaulted(self) -> tuple[str, ...]:
        """JSON pointers into `resolved` of what the file left out."""
        return tuple(self.document.defaulted)

    def numbers(self) -> dict[str, Any]:
        """The plan as plain numbers, for answers."""
        return {
            "programs": self.n_programs,
            "trials": self.n_trials,
            "distinct_trials": self.n_distinct,
            "trials_per_program": self.trials_per_program,
            "max_parallel": self.document.max_parallel,
            "generations": self.generations,
            "estimated_minutes": self.estimated_minutes,
        }


def make_plan(document: Mapping[str, Any]) -> SweepPlan:
    """Read a sweep file's document and say what it amounts to.

    Raises:
        InvalidSweep: Such a sweep cannot run.
        NotSupportedYet: It uses what is not built.
    """
    read = read_sweep_document(document)
    n_distinct = read.space.n_distinct if read.ablation is None else read.ablation.n_trials
    n_trials = _smallest(read.run_cap, n_distinct)
    n_programs = _n_programs(read.distributions) if read.ablation is None else _n_shapes(read.ablation)
    per_program = None if n_trials is None else round(n_trials / n_programs, 2)
    learns = read.method in (Method.TPE, Method.NSGA2)
    step = read.max_parallel
    if read.method is Method.NSGA2:  # it learns from whole generations only
        step = max(step, population_size(read.run_cap))
    generations = round(n_trials / step, 2) if learns and n_trials is not None else None
    return SweepPlan(
        document=read,
        n_programs=n_programs,
        n_trials=n_trials,
        n_distinct=n_distinct,
        trials_per_program=per_program,
        generations=generations,
        estimated_minutes=_estimated_minutes(read, n_trials, n_programs),
        warnings=(*read.warnings, *_warnings(read, n_programs, per_program, generations)),
    )


def _smallest(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _n_programs(distributions: Mapping[str, Distribution]) -> int:
    n_programs = 1
    for name in ("hidden_units", "depth", "width", "batch_size"):
        n_programs *= (distributions[name].size() or 1) if name in distributions else 1
    return n_programs


def _n_shapes(ablation: Ablation) -> int:
    shapes = {(each.parameters.hidden_units, each.parameters.batch_size) for each in ablation.variants()}
    return len(shapes)


def _warnings(read: SweepDocument, n_programs: int, per_program: float | None, generations: float | None) -> list[str]:
    warnings = []
    if per_program is not None and per_program < LEAST_TRIALS_PER_PROGRAM and n_programs > 1:
        warnings.append(
            f"{n_programs} shapes (hidden_units, batch_size) for {per_program:g} trials each: every shape is compiled "
            f"once, and only trials of one shape train together; search fewer shapes, {LEAST_TRIALS_PER_PROGRAM} "
            "trials each at least"
        )
    if read.chose_parallel and generations is not None and generations < LEAST_GENERATIONS:
        warnings.append(
            f"max_parallel {read.max_parallel} leaves {generations:g} generations: most trials are chosen before "
            f"anything is learned; {LEAST_GENERATIONS} generations or more search better"
        )
    return warnings


def _estimated_minutes(read: SweepDocument, n_trials: int | None, n_programs: int) -> float | None:
    """Steps × (a fixed share + multiplications of forward and backward pass), with a middling value of each range."""
    if n_trials is None or read.dataset not in _ROWS:
        return None
    middle = {
        name: each.value if isinstance(each, Constant) else each.value_at(0.5)
        for name, each in read.distributions.items()
    }
    parameters = read.space.parameters({name: middle[name] for name in read.space.names})
    widths = [_INPUTS.get(read.dataset, 784), *parameters.hidden_units, 10]
    weights = sum(n_in * n_out for n_in, n_out in itertools.pairwise(widths))
    rows = _ROWS[read.dataset] * parameters.epochs
    steps = rows / parameters.batch_size
    seconds = steps * _SECONDS_PER_STEP + rows * 3 * weights * _SECONDS_PER_MULTIPLICATION
    return round((n_trials * seconds + n_programs * _COMPILE_SECONDS) / 60, 2)
