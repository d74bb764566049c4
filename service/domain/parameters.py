"""Assignments: one canonical form per trial, its hash, and the signature of its compiled program.

A parameter without effect is null (or its neutral value where the column knows no null) *before* hashing and
sampling, so that trials which train alike are equal.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from service.domain.catalogue import ADAMW_WEIGHT_DECAY, ALIAS_MOMENTUM, AUTO, CATALOGUE, OPTIMIZER_ALIASES
from service.wire.parameters import Parameters

_FLOATS = tuple(spec.name for spec in CATALOGUE.values() if spec.kind == "float")
_DEFAULTS = {name: CATALOGUE[name].default for name in Parameters.model_fields}


def canonical_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of an assignment, defaults filled in, aliases resolved, those without effect neutral.

    Args:
        values: Any of the catalogue's parameters, legal ones: aliases of optimizer, and depth with width, too.

    Returns:
        One value for each field of `Parameters`. Equal results train alike.
    """
    full = {**_DEFAULTS, **values}
    depth, width = full.pop("depth", None), full.pop("width", None)
    if depth is not None:
        full["hidden_units"] = (int(width),) * int(depth)
    full["hidden_units"] = tuple(full["hidden_units"])
    if full["optimizer"] in OPTIMIZER_ALIASES:
        full["nesterov"] = full["optimizer"] == "nesterov"
        full["momentum"] = ALIAS_MOMENTUM
        full["optimizer"] = "sgd"
    if full["weight_decay"] == AUTO:
        full["weight_decay"] = ADAMW_WEIGHT_DECAY if full["optimizer"] == "adamw" else 0.0
    if full["optimizer"] != "sgd":
        full["momentum"] = None
    if not full["momentum"]:
        full["nesterov"] = None
    if len(full["hidden_units"]) < 2:
        full["residual"] = False
    for name in _FLOATS:
        value = full[name]
        if value is not None:
            full[name] = float(value) + 0.0  # -0.0 trains like 0.0
    return full


def canonical(values: Mapping[str, Any]) -> Parameters:
    """The canonical form of an assignment; see `canonical_values`."""
    return Parameters(**canonical_values(values))


def effective_names(parameters: Parameters) -> set[str]:
    """The parameters that make a difference to this trial, by their names in the catalogue."""
    names = set(CATALOGUE)
    if parameters.optimizer != "sgd":
        names -= {"momentum"}
    if not parameters.momentum:
        names -= {"nesterov"}
    if len(parameters.hidden_units) < 2:
        names -= {"residual"}
    return names


def config_hash(parameters: Parameters) -> str:
    """A fingerprint of canonical parameters, 64 hexadecimal digits: equal trials, equal hashes."""
    return _digest(parameters.model_dump())


def signature(dataset: str, parameters: Parameters, statistics_every: int = 1) -> str:
    """A fingerprint of what fixes a compiled program, 64 hexadecimal digits: its shapes, and which steps it measures.

    Trials of one signature can share a bank: everything else about them is data.
    """
    return _signature(dataset, tuple(parameters.hidden_units), parameters.batch_size, statistics_every)


@lru_cache(maxsize=1024)
def _signature(dataset: str, hidden_units: tuple[int, ...], batch_size: int, statistics_every: int) -> str:
    shapes = [dataset, list(hidden_units), batch_size]
    return _digest(shapes if statistics_every == 1 else [*shapes, statistics_every])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
