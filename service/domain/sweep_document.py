"""The top level of a sweep file: every key read, every default filled in, every problem reported at once.

The meaning of `method`, `metric`, `parameters`, `early_terminate` and `run_cap` is W&B's; keys that only W&B can use
are accepted with a warning, planned ones are refused as not supported yet, any other is a slip.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.domain.ablation import Ablation
from service.domain.catalogue import CATALOGUE, PRESETS
from service.domain.distributions import Constant, Distribution
from service.domain.findings import Findings
from service.domain.goals import Constraint, Metric, plain_constraints
from service.domain.plain_data import did_you_mean, escaped, find_problems, shown
from service.domain.space import MAX_ENUMERATED, Space, idle_names
from service.domain.states import Method
from service.domain.sweep import EarlyTermination
from service.domain.sweep_ablation import read_ablation, refuse_ablation_keys
from service.domain.sweep_goals import plain_metrics, read_constraints, read_metrics
from service.domain.sweep_keys import (
    BUILT_IN_DATASETS,
    DEFAULT_PARALLEL,
    LEAST_TPE_PARALLEL,
    MAX_PARALLEL,
    MAX_RUN_CAP,
    MAX_SEED,
    MAX_STATISTICS_EVERY,
    PLANNED_KEYS,
    SWEEP_KEYS,
    WANDB_KEYS,
    population_size,
)
from service.domain.sweep_parameters import read_parameters
from service.domain.sweep_rules import GradientRules, plain_gradient_rules, read_gradient_rules
from service.domain.sweep_sections import (
    plain_early_termination,
    plain_metric,
    read_early_termination,
    read_metric,
)
from service.errors import InvalidSweep, Problem

_NAME = re.compile(r"\w[\w .:+-]{0,119}")
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_METHODS = {**{method.value: method for method in Method}, "bayes": Method.TPE}


@dataclass(frozen=True, kw_only=True)
class SweepDocument:
    """A sweep file, read and resolved. `seed` is None if it is to be drawn.

    `resolved` is a sweep file again, with every default written out; `defaulted` names what the file left out, by
    JSON pointers into `resolved`.
    """

    name: str
    dataset: str
    method: Method
    metrics: tuple[Metric, ...]
    constraints: tuple[Constraint, ...]
    run_cap: int | None
    max_parallel: int
    chose_parallel: bool
    seed: int | None
    failure_limit: float
    time_budget_ms: int | None
    early_termination: EarlyTermination
    gradient_rules: GradientRules
    statistics_every: int
    preset: str | None
    distributions: dict[str, Distribution]
    space: Space
    ablation: Ablation | None
    resolved: dict[str, Any]
    defaulted: list[str]
    warnings: list[str]

    @property
    def metric(self) -> Metric:
        """What trials are ranked and ended early by: the first of the metrics, which is the only one as a rule."""
        return self.metrics[0]

    def definition(self) -> dict[str, Any]:
        """What a sweep's row keeps of it as JSON."""
        early = self.early_termination
        return {
            "space": {name: each.to_definition() for name, each in self.distributions.items()},
            "early_terminate": {
                "kind": early.kind,
                "min_iter": early.min_iter,
                "eta": early.eta,
                "min_trials": early.min_trials,
            },
            "gradient_rules": plain_gradient_rules(self.gradient_rules),
            "statistics_every": self.statistics_every,
            "metrics": plain_metrics(self.metrics),
            "constraints": [asdict(each) for each in self.constraints],
            "resolved": self.resolved,
            "defaulted": self.defaulted,
            "preset": self.preset,
            "warnings": self.warnings,
            **({} if self.ablation is None else {"ablation": self.ablation.to_definition()}),
        }


def read_sweep_document(document: Mapping[str, Any]) -> SweepDocument:
    """Read a sweep file's document.

    Raises:
        InvalidSweep: Such a sweep cannot run; all that is wrong is in `problems`.
        NotSupportedYet: It could, but for keys or values that are not built.
    """
    smuggled = find_problems(document)
    if smuggled:
        raise InvalidSweep(f"{smuggled[0].pointer or '/'}: {smuggled[0].message}", smuggled)
    if "parameters" not in document:
        known = [key for key in document if key in SWEEP_KEYS]
        found = f"it holds {', '.join(known)}" if known else "it holds none of a sweep's keys"
        message = f"`parameters` is missing: {found}; add parameters: {{learning_rate: …}}"
        raise InvalidSweep(message, [Problem("", message), *_key_problems(document).wrong])
    return _Reader(document).read()


def _key_problems(document: Mapping[str, Any]) -> Findings:
    """Findings about the keys alone."""
    findings = Findings()
    for key in document:
        if key in SWEEP_KEYS:
            continue
        if key in WANDB_KEYS:
            findings.warn(f"/{key} is of use to W&B only; it is ignored")
        elif key in PLANNED_KEYS:
            findings.refuse_planned(f"/{key}", key)
        else:
            hint = did_you_mean(key, (*SWEEP_KEYS, *WANDB_KEYS, *PLANNED_KEYS)) or f"; known: {', '.join(SWEEP_KEYS)}"
            findings.refuse(f"/{escaped(key)}", f"{shown(key)} is no key of a sweep file{hint}")
    return findings


class _Reader:
    """Reads one document key by key. A value that is refused is replaced by its default, so that reading goes on."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.findings = _key_problems(document)
        self.defaulted: list[str] = []

    def read(self) -> SweepDocument:
        method = self.method()
        dataset = self.dataset()
        preset = self.choice("preset", {**dict.fromkeys(PRESETS), None: None}, None)
        given = read_parameters(self.document["parameters"], self.findings, weights_allowed=method is Method.RANDOM)
        metrics, metric_left_out = self.metrics()
        constraints = read_constraints(self.document.get("constraints"), self.findings)
        early, early_left_out = read_early_termination(self.document.get("early_terminate"), self.findings)
        rules, rules_left_out = read_gradient_rules(self.document.get("gradient_rules"), self.findings)
        self.defaulted += metric_left_out + early_left_out + rules_left_out
        run_cap = self.whole("run_cap", 1, MAX_RUN_CAP)
        minutes = self.real("time_budget_minutes", 0.0, 1e6)
        statistics_every = self.whole("statistics_every", 1, MAX_STATISTICS_EVERY) or 1
        failure_limit = self.real("failure_limit", 0.0, 1.0)
        seed = self.whole("seed", 0, MAX_SEED)
        chosen_parallel = self.whole("max_parallel", 1, MAX_PARALLEL)
        distributions = self.with_defaults(given, preset)
        self.check_budget(method, run_cap, minutes)
        self.check_grid(method, distributions)
        ablation = self.ablation(method, distributions, chosen_parallel)
        self.findings.raise_if_any()

        space = Space.from_distributions(distributions)
        if ablation is None:
            parallel = chosen_parallel or _default_parallel(method, run_cap)
            self.warn_of_space(space, distributions, run_cap)
        else:
            parallel = chosen_parallel or ablation.n_trials
        read = {
            "name": self.name(method, dataset),
            "dataset": dataset,
            "method": method.value,
            "metric": plain_metric(metrics[0]) if len(metrics) == 1 else None,
            "metrics": plain_metrics(metrics) if len(metrics) > 1 else None,
            "constraints": plain_constraints(constraints) or None,
            "run_cap": run_cap,
            "early_terminate": plain_early_termination(early),
            "gradient_rules": plain_gradient_rules(rules),
            "statistics_every": statistics_every,
            "parameters": {name: each.to_definition() for name, each in distributions.items()},
            "remedies": None if ablation is None else ablation.plain_remedies(),
            "seeds": None if ablation is None else ablation.n_seeds,
            "preset": preset,
            "seed": seed,
            "max_parallel": parallel,
            "failure_limit": 0.5 if failure_limit is None else failure_limit,
            "time_budget_minutes": minutes,
        }
        left_out = [f"/{key}" for key in read if self.document.get(key) is None]
        self.findings.raise_if_any()
        return SweepDocument(
            name=read["name"],
            dataset=dataset,
            method=method,
            metrics=metrics,
            constraints=constraints,
            run_cap=run_cap,
            max_parallel=parallel,
            chose_parallel=chosen_parallel is not None,
            seed=seed,
            failure_limit=read["failure_limit"],
            time_budget_ms=None if minutes is None else max(1, round(minutes * 60_000)),
            early_termination=early,
            gradient_rules=rules,
            statistics_every=statistics_every,
            preset=preset,
            distributions=distributions,
            space=space,
            ablation=ablation,
            resolved={key: value for key, value in read.items() if value is not None},
            defaulted=[pointer for pointer in left_out if read[pointer[1:]] is not None] + self.defaulted,
            warnings=self.findings.warnings,
        )

    # single keys; null is the same as left out

    def whole(self, key: str, low: int, high: int) -> int | None:
        value = self.document.get(key)
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value != int(value)
            or not low <= value <= high
        ):
            self.findings.refuse(
                f"/{key}", f"{shown(value)} is no whole number from {low} to {high}, which {key} takes"
            )
            return None
        return int(value)

    def real(self, key: str, above: float, high: float) -> float | None:
        value = self.document.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not above < value <= high:
            self.findings.refuse(
                f"/{key}", f"{shown(value)} is no number above {above:g} and up to {high:g}, which {key} takes"
            )
            return None
        return float(value)

    def choice(self, key: str, known: Mapping[Any, Any], default: Any) -> Any:
        value = self.document.get(key, default)
        if isinstance(value, str | None) and value in known:
            return value
        words = [word for word in known if isinstance(word, str)]
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        self.findings.refuse(f"/{key}", f"{shown(value)} is no {key}{hint or '; known: ' + ', '.join(words)}")
        return default

    def name(self, method: Method, dataset: str) -> str:
        value = self.document.get("name")
        if value is None:
            return f"{method.value}-{dataset}"
        if not isinstance(value, str) or not _NAME.fullmatch(value) or value != value.strip() or value == "latest":
            self.findings.refuse(
                "/name",
                f"{shown(value)} is no name; write up to 120 letters, digits, spaces and .:+-_, a letter first",
            )
        return str(value)

    def dataset(self) -> str:
        value = self.document.get("dataset")
        if value is None:
            return "mnist"
        if not isinstance(value, str) or len(value) > 64 or not _DATASET.fullmatch(value):
            self.findings.refuse(
                "/dataset",
                f"{shown(value)} is no data set; write {', '.join(BUILT_IN_DATASETS)}, or NAME for datasets/NAME.npz",
            )
            return "mnist"
        spelled = value.lower().replace("_", "-")
        if value not in BUILT_IN_DATASETS and spelled in BUILT_IN_DATASETS:
            self.findings.warn(f"/dataset: {value} is taken as one of your own; the built-in one is written {spelled}")
        return value

    def method(self) -> Method:
        value = self.document.get("method")
        return _METHODS[self.choice("method", _METHODS, "tpe") if value is not None else "tpe"]

    def metrics(self) -> tuple[tuple[Metric, ...], list[str]]:
        """The metric, or the several metrics, and the pointers of what was left out."""
        several = self.document.get("metrics")
        if several is None:
            metric, left_out = read_metric(self.document.get("metric"), self.findings)
            return (metric,), left_out
        if self.document.get("metric") is not None:
            self.findings.refuse("/metric", "metric and metrics say two things; keep one of them")
        return read_metrics(several, self.findings)

    # the whole

    def with_defaults(self, given: dict[str, Distribution], preset: str | None) -> dict[str, Distribution]:
        """Every parameter of the catalogue: given, preset, or neutral; what an alias or a shape implies stays out."""
        implied = set()
        if {"depth", "width"} & given.keys():
            implied.add("hidden_units")
        else:
            implied |= {"depth", "width"}
        optimizers = given["optimizer"].values() if "optimizer" in given else None
        if optimizers and {"momentum", "nesterov"} & set(optimizers):
            implied |= {"momentum", "nesterov"}
        values = {name: spec.default for name, spec in CATALOGUE.items()} | PRESETS.get(preset or "", {})
        left_out = [name for name in CATALOGUE if name not in given and name not in implied]
        self.defaulted += [f"/parameters/{name}" for name in left_out]
        return {**given, **{name: Constant(values[name]) for name in left_out}}

    def check_budget(self, method: Method, run_cap: int | None, minutes: float | None) -> None:
        ends = method in (Method.GRID, Method.ABLATION)
        if not ends and run_cap is None and minutes is None and not self.findings.wrong:
            self.findings.refuse(
                "/run_cap", f"method {method.value} never ends by itself; add run_cap: 100 or time_budget_minutes: 60"
            )

    def ablation(
        self, method: Method, distributions: Mapping[str, Distribution], chosen_parallel: int | None
    ) -> Ablation | None:
        if method is not Method.ABLATION:
            refuse_ablation_keys(self.document, self.findings)
            return None
        ablation = read_ablation(self.document, distributions, self.findings)
        if ablation is not None and chosen_parallel is not None and chosen_parallel < ablation.n_trials:
            self.findings.refuse(
                "/max_parallel", f"an ablation makes its {ablation.n_trials} trials at once; leave max_parallel out"
            )
        return ablation

    def check_grid(self, method: Method, distributions: Mapping[str, Distribution]) -> None:
        if method is not Method.GRID:
            return
        size = 1
        for name, distribution in distributions.items():
            n_values = distribution.size()
            if n_values is None:
                self.findings.refuse(
                    f"/parameters/{name}",
                    f"a grid cannot run over the continuous range of {name}; write values: […], or a step: "
                    "distribution: q_uniform with q",
                )
            else:
                size *= n_values
        if size > MAX_ENUMERATED:
            self.findings.refuse(
                "/parameters",
                f"a grid of {size} points is too large, at most {MAX_ENUMERATED}; use method: qmc with run_cap",
            )

    def warn_of_space(self, space: Space, distributions: Mapping[str, Distribution], run_cap: int | None) -> None:
        for name in idle_names(distributions):
            self.findings.warn(f"/parameters/{name} has no effect on any trial of this sweep; it is not searched")
        n_distinct = space.n_distinct
        if n_distinct == 1:
            self.findings.warn("nothing is searched: the space holds one trial")
        elif n_distinct is not None and run_cap is not None and n_distinct < run_cap:
            self.findings.warn(f"the space holds {n_distinct} distinct trials; the sweep ends there, before run_cap")


def _default_parallel(method: Method, run_cap: int | None) -> int:
    """A bank that swallows the whole sweep searches at random: model-based methods get sixteen generations.

    Evolution learns once a generation, so that a whole one may run at once.
    """
    if method is Method.NSGA2:
        return population_size(run_cap)
    if method is not Method.TPE:
        return DEFAULT_PARALLEL
    return min(max(LEAST_TPE_PARALLEL, (run_cap or 0) // 16), MAX_PARALLEL)
