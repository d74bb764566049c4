"""From a trainer's words to the wire's and back: grants become trial specs, rows become report entries."""

import math
import traceback
from dataclasses import fields
from typing import Any

from service.wire.leases import (
    Completed,
    EpochReport,
    Failed,
    Grant,
    LayerReport,
    Spelling,
)
from service.wire.parameters import Parameters
from worker.errors import OutOfDeviceMemory
from worker.training.contract import EpochRow, LayerRow, TestMetrics, TrialSpec
from worker.training.hyperparameters import Hyperparameters

MAX_MESSAGE, MAX_TRACEBACK, MAX_ERROR_TYPE = 4096, 16_384, 255


def trial_spec(grant: Grant, key: str) -> TrialSpec:
    """What a bank needs to know of a granted trial."""
    return TrialSpec(key=key, seed=grant.seed, hyperparameters=hyperparameters(grant.parameters))


def hyperparameters(parameters: Parameters) -> Hyperparameters:
    """The trainer's words for a trial's parameters; one without effect (null) becomes its neutral value."""
    values = parameters.model_dump()
    values["momentum"] = parameters.momentum or 0.0
    values["nesterov"] = bool(parameters.nesterov)
    return Hyperparameters(**values)


def epoch_report(row: EpochRow) -> EpochReport:
    """A row as it goes over the wire: values that are not finite are null and spelled out beside."""
    values, spelled = _finite_values(row, without=("key", "layers"))
    layers = tuple(_layer_report(layer) for layer in row.layers)
    return EpochReport(**values, nonfinite_values=spelled, layers=layers)


def _layer_report(row: LayerRow) -> LayerReport:
    values, spelled = _finite_values(row, without=())
    return LayerReport(**values, nonfinite_values=spelled)


def _finite_values(row: EpochRow | LayerRow, without: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Spelling]]:
    values: dict[str, Any] = {}
    spelled: dict[str, Spelling] = {}
    for each in fields(row):
        if each.name in without:
            continue
        value = getattr(row, each.name)
        if isinstance(value, float) and not math.isfinite(value):
            spelled[each.name] = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
            value = None
        values[each.name] = value
    return values, spelled


def completed(metrics: TestMetrics, best_epoch: int) -> Completed:
    """The end of a trial that has trained all its epochs."""
    return Completed(
        test_loss=_finite(metrics.test_loss), test_accuracy=_finite(metrics.test_accuracy), best_epoch=best_epoch
    )


def failed(error: BaseException) -> Failed:
    """The end of a trial that could not be trained, with what a person needs to find out why."""
    trace = "".join(traceback.format_exception(error))
    return Failed(
        failure_kind="out_of_memory" if isinstance(error, OutOfDeviceMemory) else "error",
        error_type=type(error).__name__[:MAX_ERROR_TYPE],
        message=_sendable(str(error))[:MAX_MESSAGE],
        traceback=_last_bytes(_sendable(trace), MAX_TRACEBACK),
    )


def short_reason(error: BaseException) -> str:
    """An error in one line that can be sent."""
    return _sendable(f"{type(error).__name__}: {error}")[:MAX_MESSAGE]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _sendable(text: str) -> str:
    """Without what JSON or a database refuses: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _last_bytes(text: str, max_bytes: int) -> str:
    """The end of a text: of a traceback, the end says most."""
    return text.encode()[-max_bytes:].decode("utf-8", "ignore")
