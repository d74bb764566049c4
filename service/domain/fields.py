"""What lists can be filtered and ordered by: closed lists of names, each with its kind."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from service.domain.metrics import STORED_METRICS, TRIAL_METRICS
from service.domain.states import (
    FailureKind,
    Method,
    PruneReason,
    StabilityLimit,
    SweepReason,
    SweepState,
    TrialState,
    Verdict,
)
from service.wire.parameters import Activation, ClassWeight, Initializer, Normalization, Optimizer, Schedule

Kind = Literal["integer", "number", "text", "choice", "flag", "moment", "units"]


@dataclass(frozen=True, slots=True)
class Field:
    """One name that a filter may use. A moment is RFC 3339; units are `hidden_units`, written "128,64,32"."""

    kind: Kind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldList:
    """The fields of one kind of thing. `refused` holds names that exist, each with the reason why they are no field."""

    fields: dict[str, Field]
    refused: dict[str, str]
    tie_break: str
    default_order: str

    def names(self) -> str:
        """All names, for a message."""
        return ", ".join(sorted(self.fields))


def _choice(kind: type[StrEnum]) -> Field:
    return Field("choice", tuple(kind))


_INTEGER, _NUMBER, _TEXT, _MOMENT, _FLAG = (Field(k) for k in ("integer", "number", "text", "moment", "flag"))
_SELECTS_ON_TEST = (
    "it is measured on the test set; choosing by it would make the test set a part of training. Use a val_ metric, "
    "and read the test metrics of the trial that you chose"
)
_NOT_YET = "not supported yet"

TRIAL_FIELDS = FieldList(
    fields={
        "number": _INTEGER,
        "replicate": _INTEGER,
        "remedy": _TEXT,
        "state": _choice(TrialState),
        "prune_reason": _choice(PruneReason),
        "failure_kind": _choice(FailureKind),
        "attempt": _INTEGER,
        "lost": _INTEGER,
        "epoch": _INTEGER,
        "best_epoch": _INTEGER,
        "objective": _NUMBER,
        "train_loss": _NUMBER,
        "train_accuracy": _NUMBER,
        "val_loss": _NUMBER,
        "val_accuracy": _NUMBER,
        "val_balanced_accuracy": _NUMBER,
        "val_macro_f1": _NUMBER,
        "verdict": _choice(Verdict),
        "stability": _NUMBER,
        **dict.fromkeys((name for name in TRIAL_METRICS if name in STORED_METRICS), _NUMBER),
        "stability_limited_by": _choice(StabilityLimit),
        "depth_slope": _NUMBER,
        "score_version": _INTEGER,
        "would_have_pruned": _choice(PruneReason),
        "would_have_pruned_epoch": _INTEGER,
        "seed": _INTEGER,
        "rescue_of": _INTEGER,
        "wall_seconds": _NUMBER,
        "device_seconds": _NUMBER,
        "created_at": _MOMENT,
        "started_at": _MOMENT,
        "ended_at": _MOMENT,
        "params.learning_rate": _NUMBER,
        "params.schedule": Field("choice", get_args(Schedule)),
        "params.warmup_epochs": _NUMBER,
        "params.optimizer": Field("choice", get_args(Optimizer)),
        "params.momentum": _NUMBER,
        "params.nesterov": _FLAG,
        "params.normalization": Field("choice", get_args(Normalization)),
        "params.dropout": _NUMBER,
        "params.input_dropout": _NUMBER,
        "params.residual": _FLAG,
        "params.hidden_units": Field("units"),
        "params.activation": Field("choice", get_args(Activation)),
        "params.initializer": Field("choice", get_args(Initializer)),
        "params.batch_size": _INTEGER,
        "params.epochs": _INTEGER,
        "params.weight_decay": _NUMBER,
        "params.clip_norm": _NUMBER,
        "params.label_smoothing": _NUMBER,
        "params.class_weight": Field("choice", get_args(ClassWeight)),
    },
    refused={
        "test_loss": _SELECTS_ON_TEST,
        "test_accuracy": _SELECTS_ON_TEST,
    },
    tie_break="number",
    default_order="number",
)

SWEEP_FIELDS = FieldList(
    fields={
        "id": _TEXT,
        "name": _TEXT,
        "state": _choice(SweepState),
        "state_reason": _choice(SweepReason),
        "dataset": _TEXT,
        "method": _choice(Method),
        "metric": _TEXT,
        "run_cap": _INTEGER,
        "max_parallel": _INTEGER,
        "seed": _INTEGER,
        "created_at": _MOMENT,
        "started_at": _MOMENT,
        "ended_at": _MOMENT,
    },
    refused={"tags": _NOT_YET},
    tie_break="id",
    default_order="-created_at",
)
