"""The checker finds what chaos could break: each fault is made by hand in a record that was sound."""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load() -> ModuleType:
    """The checker belongs to a script, not to a package."""
    spec = importlib.util.spec_from_file_location("chaos_checker", Path(__file__).parent / "checker.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


checker = _load()


def epoch(number: int, loss: float = 0.5) -> dict[str, Any]:
    measured = {"steps": 10, "train_loss": loss, "train_accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.5}
    return {"epoch": number, **measured, "layers": [{"layer": 1, "grad_norm_mean": 0.1, "weight_norm": 2.0}]}


FINAL = {"kind": "completed", "test_loss": 0.4, "test_accuracy": 0.9, "best_epoch": 1}
ENTRIES = [
    {"trial_id": "t", "attempt": 1, "epoch": epoch(0)},
    {"trial_id": "t", "attempt": 2, "epoch": epoch(0)},
    {"trial_id": "t", "attempt": 2, "epoch": epoch(1), "final": FINAL},
]
TOLD = [{"directive": "continue", "reason": None}] * len(ENTRIES)


@pytest.fixture
def promises(tmp_path: Path) -> Any:
    """Of two workers, the first of which was killed in the middle of a line."""
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    lines = [
        {"kind": "granted", "lease": "l2", "trial": "t", "attempt": 2},
        {"kind": "sent", "lease": "l2", "entries": ENTRIES},
        {"kind": "told", "lease": "l2", "entries": ENTRIES, "answers": TOLD},
    ]
    first.write_text('{"kind": "granted", "lease": "l1", "trial": "t", "attempt": 1}\n{"kind": "se')
    second.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return checker.Promises().read([first, second])


@pytest.fixture
def record() -> Any:
    """One trial: lost once, then completed."""
    rows = {("t", 1, 0): epoch(0), ("t", 2, 0): epoch(0), ("t", 2, 1): epoch(1)}
    stored = {"directive": "continue", "directive_reason": None}
    return checker.Record(
        trials={
            "t": {
                **{"id": "t", "number": 0, "state": "completed", "attempt": 2, "epochs": 1, "lost": 1},
                **{"test_loss": 0.4, "test_accuracy": 0.9},
            }
        },
        attempts={
            ("t", 1): {"lease_id": "l1", "outcome": "lost", "started_at_ms": 0, "ended_at_ms": 50},
            ("t", 2): {"lease_id": "l2", "outcome": "completed", "started_at_ms": 60, "ended_at_ms": 90},
        },
        epochs={key: row | stored | {"reported_at_ms": 10 if key[1] == 1 else 80} for key, row in rows.items()},
        layers={(*key, 1): row["layers"][0] for key, row in rows.items()},
        events=[
            {"number": 1, "kind": "trial_created", "trial_id": "t"},
            {"number": 2, "kind": "trial_completed", "trial_id": "t"},
        ],
        sweep={"n_events": 2, "max_parallel": 1},
        damage=[],
    )


def test_a_sound_record_has_no_faults(promises: Any, record: Any) -> None:
    assert checker.faults(promises, record, run_cap=1, max_lost=3) == {}
    assert promises.n_answers == len(ENTRIES)


def _change(table: str, key: Any, **values: Any) -> Callable[[Any], None]:
    return lambda record: getattr(record, table)[key].update(values)


def _drop(table: str, key: Any) -> Callable[[Any], None]:
    return lambda record: getattr(record, table).pop(key)


@pytest.mark.parametrize(
    ("break_it", "rule"),
    [
        (_drop("epochs", ("t", 1, 0)), "acknowledged, but lost or changed"),
        (_change("epochs", ("t", 2, 1), val_loss=0.4999), "acknowledged, but lost or changed"),
        (_change("epochs", ("t", 2, 1), val_loss=0.4999), "in the record, but never sent"),
        (_change("epochs", ("t", 2, 1), directive="prune"), "acknowledged, but lost or changed"),
        (_change("layers", ("t", 2, 1, 1), weight_norm=2.5), "acknowledged, but lost or changed"),
        (_drop("layers", ("t", 2, 1, 1)), "acknowledged, but lost or changed"),
        (_change("trials", "t", test_accuracy=0.8), "acknowledged, but lost or changed"),
        (_change("trials", "t", state="pruned"), "acknowledged, but lost or changed"),
        (_change("attempts", ("t", 2), outcome="lost"), "acknowledged, but lost or changed"),
        (_drop("epochs", ("t", 2, 0)), "epochs with a gap"),
        (_drop("attempts", ("t", 1)), "attempts with a gap, or two at once"),
        (_change("attempts", ("t", 2), started_at_ms=40), "attempts with a gap, or two at once"),
        (_change("attempts", ("t", 1), ended_at_ms=None), "attempts with a gap, or two at once"),
        (_change("attempts", ("t", 1), lease_id="l2"), "attempts with a gap, or two at once"),
        (_change("epochs", ("t", 1, 0), reported_at_ms=70), "attempts with a gap, or two at once"),
        (_change("trials", "t", state="running"), "a trial that did not end exactly once"),
        (
            lambda record: record.events.append(record.events[1] | {"number": 3}),
            "a trial that did not end exactly once",
        ),
        (lambda record: record.events.append(record.events[1] | {"number": 4}), "the budget"),
        (lambda record: record.events.insert(0, record.events[0] | {"number": 0}), "the budget"),
        (_change("trials", "t", number=1), "the budget"),
        (_change("trials", "t", lost=4), "the budget"),
        (lambda record: record.damage.append("row 3 missing"), "the file"),
    ],
)
def test_each_fault_is_found(promises: Any, record: Any, break_it: Callable[[Any], None], rule: str) -> None:
    broken = deepcopy(record)
    break_it(broken)
    assert rule in checker.faults(promises, broken, run_cap=1, max_lost=3)


@pytest.mark.parametrize(
    "second",
    [{"directive": "prune", "reason": "late"}, {"directive": "conflict", "reason": "other values"}],
)
def test_a_contradiction_between_answers_is_found(promises: Any, record: Any, second: Mapping[str, Any]) -> None:
    answers = [second, *TOLD[1:]]
    promises.take({"kind": "told", "lease": "l2", "entries": ENTRIES, "answers": answers})
    assert "an answer contradicts another" in checker.faults(promises, replace(record), run_cap=1, max_lost=3)
