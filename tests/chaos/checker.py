"""What must be true after chaos, from two sources alone: what workers were told, and the database.

Nothing here asks the service or uses its code: the rows are read by SQL, the journals line by line. Each check yields
what breaks its rule, in words; none yields anything if all is well.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

Key = tuple[str, int, int]
FINAL = ("completed", "pruned", "failed", "cancelled")
MEASURED = ("steps", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
LAYER = ("grad_norm_mean", "weight_norm")
END_OF = {"completed": "completed", "failed": "failed", "stopped": "cancelled"}


@dataclass
class Promises:
    """What the workers' journals hold."""

    sent: dict[Key, list[Mapping[str, Any]]] = field(default_factory=dict)
    epochs: dict[Key, tuple[Mapping[str, Any], str, str | None]] = field(default_factory=dict)
    finals: dict[tuple[str, int], tuple[Mapping[str, Any], str]] = field(default_factory=dict)
    granted: set[tuple[str, int, str]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    n_answers: int = 0

    def read(self, journals: Iterable[Path]) -> "Promises":
        """Take in journals; the last line of a killed worker may be torn off."""
        for journal in journals:
            for line in journal.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    self.take(json.loads(line))
        return self

    def take(self, line: Mapping[str, Any]) -> None:
        """One line of a journal."""
        if line["kind"] == "granted":
            self.granted.add((line["trial"], line["attempt"], line["lease"]))
        for entry in line["entries"] if line["kind"] == "sent" else ():
            if "epoch" in entry:
                key = (entry["trial_id"], entry["attempt"], entry["epoch"]["epoch"])
                self.sent.setdefault(key, []).append(entry["epoch"])
        if line["kind"] == "told":
            for entry, answer in zip(line["entries"], line["answers"], strict=True):
                self._promise(entry, answer["directive"], answer["reason"])

    def _promise(self, entry: Mapping[str, Any], directive: str, reason: str | None) -> None:
        self.n_answers += 1
        fence = (entry["trial_id"], entry["attempt"])
        if directive == "conflict":
            self.faults.append(f"{fence} was told that it contradicts itself: {reason}")
        if directive in ("gone", "conflict"):
            return
        if "epoch" in entry:
            key = (*fence, entry["epoch"]["epoch"])
            told = (entry["epoch"], directive, reason)
            if self.epochs.setdefault(key, told) != told:
                self.faults.append(f"{key} was answered {self.epochs[key][1:]} and then {told[1:]}")
        if "final" in entry and self.finals.setdefault(fence, (entry["final"], directive)) != (
            entry["final"],
            directive,
        ):
            self.faults.append(f"the final of {fence} was answered in two ways")


@dataclass
class Record:
    """The rows, read once."""

    trials: dict[str, Mapping[str, Any]]
    attempts: dict[tuple[str, int], Mapping[str, Any]]
    epochs: dict[Key, Mapping[str, Any]]
    layers: dict[tuple[str, int, int, int], Mapping[str, Any]]
    events: list[Mapping[str, Any]]
    sweep: Mapping[str, Any]
    damage: list[str]


def read_record(engine: Engine) -> Record:
    """Everything of the one sweep there is."""
    with engine.connect() as connection:

        def rows(query: str) -> list[Mapping[str, Any]]:
            return [dict(row) for row in connection.exec_driver_sql(query).mappings()]

        (sweep,) = rows("SELECT * FROM sweeps")
        return Record(
            trials={row["id"]: row for row in rows("SELECT * FROM trials")},
            attempts={(row["trial_id"], row["attempt"]): row for row in rows("SELECT * FROM attempts")},
            epochs={(row["trial_id"], row["attempt"], row["epoch"]): row for row in rows("SELECT * FROM epochs")},
            layers={
                (row["trial_id"], row["attempt"], row["epoch"], row["layer"]): row
                for row in rows("SELECT * FROM layer_epochs")
            },
            events=rows("SELECT number, kind, trial_id FROM events ORDER BY number"),
            sweep=sweep,
            damage=_damage(connection),
        )


def _damage(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    found = [str(row) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
    return found + [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]


def faults(promises: Promises, record: Record, run_cap: int, max_lost: int) -> dict[str, list[str]]:
    """Every rule that is broken, with what breaks it."""
    checks = {
        "an answer contradicts another": promises.faults,
        "acknowledged, but lost or changed": list(_lost(promises, record)),
        "in the record, but never sent": list(_invented(promises, record)),
        "epochs with a gap": list(_gaps(record)),
        "attempts with a gap, or two at once": list(_overlaps(promises, record)),
        "a trial that did not end exactly once": list(_not_once(record)),
        "the budget": list(_overspent(record, run_cap, max_lost)),
        "the file": record.damage,
    }
    return {rule: found for rule, found in checks.items() if found}


def _lost(promises: Promises, record: Record) -> Iterator[str]:
    for key, (sent, directive, reason) in promises.epochs.items():
        row = record.epochs.get(key)
        if row is None:
            yield f"epoch {key} is not there"
        elif not _is_same(sent, key, row, record) or (row["directive"], row["directive_reason"]) != (directive, reason):
            yield f"epoch {key} is not as it was acknowledged"
    for fence, (final, directive) in promises.finals.items():
        outcome = "pruned" if directive == "prune" else END_OF[final["kind"]]
        attempt, trial = record.attempts.get(fence), record.trials.get(fence[0])
        may_be = (outcome, "released") if final["kind"] == "stopped" else (outcome,)
        if attempt is None or trial is None or attempt["outcome"] not in may_be:
            yield f"{fence} ended as {outcome}, and its attempt says otherwise"
        elif attempt["outcome"] == outcome and (trial["attempt"], trial["state"]) != (fence[1], outcome):
            yield f"{fence} ended as {outcome}, and its trial went on to {trial['attempt']}, {trial['state']}"
        elif outcome == "completed" and any(final[name] != trial[name] for name in ("test_loss", "test_accuracy")):
            yield f"the result of {fence} has changed"


def _is_same(sent: Mapping[str, Any], key: Key, row: Mapping[str, Any], record: Record) -> bool:
    return all(sent[name] == row[name] for name in MEASURED) and all(
        layer[name] == record.layers.get((*key, layer["layer"]), {}).get(name)
        for layer in sent["layers"]
        for name in LAYER
    )


def _invented(promises: Promises, record: Record) -> Iterator[str]:
    for key, row in record.epochs.items():
        if not any(_is_same(sent, key, row, record) for sent in promises.sent.get(key, ())):
            yield f"epoch {key}"


def _gaps(record: Record) -> Iterator[str]:
    counts = Counter(key[:2] for key in record.epochs)
    for fence, count in counts.items():
        last = max(epoch for *of, epoch in record.epochs if tuple(of) == fence)
        if last != count - 1:
            yield f"{fence} has {count} epochs, the last of them {last}"
    for trial_id, trial in record.trials.items():
        if trial["state"] == "completed" and counts[trial_id, trial["attempt"]] != trial["epochs"] + 1:
            yield f"{trial_id} has completed without all its epochs"


def _overlaps(promises: Promises, record: Record) -> Iterator[str]:
    for trial_id, trial in record.trials.items():
        fences = sorted(fence for fence in record.attempts if fence[0] == trial_id)
        if [attempt for _of, attempt in fences] != list(range(1, trial["attempt"] + 1)):
            yield f"the attempts of {trial_id} are not 1 to {trial['attempt']}"
        own = [record.attempts[fence] for fence in fences]
        for before, after in pairwise(own):
            if before["ended_at_ms"] is None or before["ended_at_ms"] > after["started_at_ms"]:
                yield f"two attempts of {trial_id} at once"
    for (trial_id, attempt, epoch), row in record.epochs.items():
        after = record.attempts.get((trial_id, attempt + 1))
        if after is not None and row["reported_at_ms"] > after["started_at_ms"]:
            yield f"epoch {epoch} of {trial_id}, {attempt} came after the next attempt had begun"
    for trial_id, attempt, lease in promises.granted:
        if record.attempts.get((trial_id, attempt), {}).get("lease_id") != lease:
            yield f"{trial_id}, {attempt} was granted to {lease}, and the record says otherwise"


def _not_once(record: Record) -> Iterator[str]:
    ends = Counter(event["trial_id"] for event in record.events if event["kind"] in {f"trial_{end}" for end in FINAL})
    for trial_id, trial in record.trials.items():
        if trial["state"] not in FINAL or ends[trial_id] != 1:
            yield f"{trial_id} is {trial['state']}, and {ends[trial_id]} events tell of its end"


def _overspent(record: Record, run_cap: int, max_lost: int) -> Iterator[str]:
    if sorted(trial["number"] for trial in record.trials.values()) != list(range(run_cap)):
        yield f"there are {len(record.trials)} trials, and {run_cap} were wanted"
    if [event["number"] for event in record.events] != list(range(1, record.sweep["n_events"] + 1)):
        yield "the events have gaps"
    active = 0
    for event in record.events:
        active += event["kind"] == "trial_created"
        active -= event["kind"] in {f"trial_{end}" for end in FINAL}
        if active > record.sweep["max_parallel"]:
            yield f"at event {event['number']}, {active} trials were active"
    for trial_id, trial in record.trials.items():
        if trial["lost"] > max_lost:
            yield f"{trial_id} lost {trial['lost']} lives"
