"""What the form for a new sweep offers: the closed lists of the domain, so that the page never names its own."""

from typing import Any

from service.domain.catalogue import CATALOGUE, PRESETS, ParameterSpec
from service.domain.metrics import METRIC_WORDS, METRICS, STORED_METRICS, STORED_WORDS
from service.domain.states import Method
from service.domain.sweep_keys import BUILT_IN_DATASETS, MAX_PARALLEL, MAX_RUN_CAP, MAX_SEED

_METHOD_WORDS = {
    Method.TPE: "learns from the trials before",
    Method.RANDOM: "every trial by chance",
    Method.QMC: "spread evenly over the space",
    Method.GRID: "every combination once",
    Method.NSGA2: "evolves generations",
    Method.ABLATION: "fixed parameters, one remedy at a time",
}


def form_choices() -> dict[str, Any]:
    """Methods, metrics, data sets, presets, limits and parameters, in the order in which they are offered."""
    words = METRIC_WORDS | STORED_WORDS
    return {
        "methods": [{"name": method.value, "meaning": meaning} for method, meaning in _METHOD_WORDS.items()],
        "metrics": [
            {"name": name, "meaning": words[name], "direction": direction.value, "is_of_epoch": name in METRICS}
            for name, direction in STORED_METRICS.items()
        ],
        "datasets": list(BUILT_IN_DATASETS),
        "presets": list(PRESETS),
        "limits": {"run_cap": MAX_RUN_CAP, "seed": MAX_SEED, "max_parallel": MAX_PARALLEL},
        "parameters": [_parameter(spec) for spec in CATALOGUE.values()],
    }


def _parameter(spec: ParameterSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "default": spec.default,
        "meaning": spec.meaning,
        "range": spec.range_in_words if spec.is_numeric else None,
        "choices": list(spec.choices),
    }
