"""The world of the model test: two services on one database, a clock set by hand, and what must hold at all times.

`World.check()` reads the whole database once and asserts the invariants I1 to I14 of docs/leases.md over it, against
what was there at the last check and against what workers were told.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import URL, select

from service.database.engine import Database
from service.database.sweeps import get_sweep
from service.database.tables import attempts, epochs, events, layer_epochs, leases, metadata, sweeps, trials
from service.database.trials import facts_since, parameters_from_row
from service.domain.lease import LeaseSettings
from service.domain.space import Space
from service.operations.reaping import Reaper
from service.suggestion.search import ModelSearch
from service.suggestion.searches import Searches

FINAL = {"completed", "pruned", "failed", "cancelled"}
TRIAL_EVENTS = {
    "trial_created": "waiting",
    "trial_waiting": "waiting",
    "trial_started": "running",
    "trial_completed": "completed",
    "trial_pruned": "pruned",
    "trial_failed": "failed",
    "trial_cancelled": "cancelled",
}
SWEEP_EVENTS = {
    "sweep_submitted": {"queued"},
    "sweep_started": {"running"},
    "sweep_paused": {"paused"},
    "sweep_resumed": {"queued", "running"},
    "sweep_reopened": {"running"},
    "sweep_stopping": {"stopping"},
    "sweep_completed": {"completed"},
    "sweep_cancelled": {"cancelled"},
}
SETTINGS = LeaseSettings(reap_seconds=15, quarantine_after=5, quarantine_seconds=60)


@dataclass(slots=True)
class Service:
    """One service process: its connections, its searches, its reaper."""

    database: Database
    searches: Searches
    reaper: Reaper

    @classmethod
    def start(cls, database: Database) -> "Service":
        """A service that has just come up."""
        return cls(database, Searches(), Reaper(database, SETTINGS))


@dataclass(slots=True)
class Snapshot:
    """All rows at one moment."""

    sweeps: dict[str, Any]
    trials: dict[str, Any]
    attempts: dict[tuple[str, int], Any]
    epochs: dict[tuple[str, int, int], dict[str, Any]]
    layers: dict[tuple[str, int, int], list[dict[str, Any]]]
    leases: dict[str, Any]
    events: dict[str, list[Any]]

    @classmethod
    def read(cls, database: Database) -> "Snapshot":
        """Everything in one read transaction."""
        with database.read() as connection:
            rows = {
                table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
                for table in (sweeps, trials, attempts, epochs, layer_epochs, leases, events)
            }
        layers = defaultdict(list)
        for row in rows["layer_epochs"]:
            layers[(row.trial_id, row.attempt, row.epoch)].append(dict(row._mapping))
        told = defaultdict(list)
        for row in rows["events"]:
            told[row.sweep_id].append(row)
        return cls(
            sweeps={row.id: row for row in rows["sweeps"]},
            trials={row.id: row for row in rows["trials"]},
            attempts={(row.trial_id, row.attempt): row for row in rows["attempts"]},
            epochs={(row.trial_id, row.attempt, row.epoch): dict(row._mapping) for row in rows["epochs"]},
            layers=dict(layers),
            leases={row.id: row for row in rows["leases"]},
            events=dict(told),
        )

    def trials_of(self, sweep_id: str) -> list[Any]:
        """A sweep's trials by number."""
        return sorted((row for row in self.trials.values() if row.sweep_id == sweep_id), key=lambda row: row.number)


@dataclass(slots=True)
class World:
    """Two services on one database, and what their workers were told."""

    databases: list[Database]
    clock: Any
    services: list[Service] = field(default_factory=list)
    sent_epochs: dict[tuple[str, int, int], Mapping[str, Any]] = field(default_factory=dict)
    told_finals: dict[tuple[str, int], str] = field(default_factory=dict)
    retried: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    last: Snapshot | None = None

    def reset(self) -> None:
        """An empty database, two services that have just come up."""
        with self.databases[0].write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        self.services = [Service.start(database) for database in self.databases]
        for known in (self.sent_epochs, self.told_finals, self.retried, self.deleted):
            known.clear()
        self.last = None

    @property
    def settings(self) -> LeaseSettings:
        """The settings of both services."""
        return SETTINGS

    def as_sent(self, epoch: Any) -> Mapping[str, Any]:
        """An epoch as it was sent, as plain values."""
        sent: Mapping[str, Any] = json.loads(epoch.model_dump_json())
        return sent

    def restart(self, index: int) -> None:
        """One service loses its memory and its connections."""
        self.databases[index].dispose()
        self.services[index] = Service.start(self.databases[index])

    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        return Snapshot.read(self.databases[0])

    def check(self) -> None:
        """Assert every invariant."""
        now = self.snapshot()
        check_leases(now)
        check_attempts(now)
        check_sweeps(now)
        check_events(now)
        self.check_acknowledged(now)
        if self.last is not None:
            check_succession(self.last, now, self.retried)
        self.check_search(now)
        self.check_sqlite()
        self.last = now
        self.retried.clear()

    def check_acknowledged(self, now: Snapshot) -> None:
        """I3: what was acknowledged is there, once, byte-equal. I4: and so is the end."""
        for key, sent in self.sent_epochs.items():
            if key[0] in now.trials:
                found = now.epochs[key] | {"layers": now.layers.get(key, [])}
                assert comparable(found, sent) == sent, key
        for (trial_id, attempt), state in self.told_finals.items():
            if trial_id in now.trials:
                assert str(now.attempts[(trial_id, attempt)].outcome) == state, (trial_id, attempt)

    def check_search(self, now: Snapshot) -> None:
        """I14: what a search has learned step by step equals what it would learn from all rows at once."""
        for service in self.services:
            for sweep_id in now.sweeps:
                with service.database.read() as connection:
                    sweep = get_sweep(connection, sweep_id)
                    if sweep is None or sweep.method != "tpe":
                        continue
                    search = service.searches.of(sweep)
                    search.sync(facts_since(connection, sweep_id, search.revision), sweep.revision)
                    fresh = ModelSearch(sweep)
                    fresh.sync(facts_since(connection, sweep_id, 0), sweep.revision)
                assert search.trials() == fresh.trials()
                rows = now.trials_of(sweep_id)
                space = Space.from_definition(sweep.definition["space"])
                completed = {
                    row.number + 1: row.objective
                    for row in rows
                    if row.state == "completed"
                    and row.objective is not None
                    and space.contains(parameters_from_row(row))
                }
                assert {
                    seen.number: seen.value for seen in fresh.trials() if seen.state.name == "COMPLETE"
                } == completed
                assert len(fresh.trials()) == len(rows)

    def check_sqlite(self) -> None:
        """I13: the file is sound and nothing refers to nothing."""
        if self.databases[0].is_sqlite:
            with self.databases[0].read() as connection:
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
                assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def comparable(found: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The stored values under the names that were sent."""
    values = {name: found[name] for name in sent if name != "layers"}
    values["layers"] = [{name: layer[name] for name in sent["layers"][0]} for layer in found["layers"]]
    for row in (values, *values["layers"]):
        row["nonfinite_values"] = row["nonfinite_values"] or {}
    return values


def check_leases(now: Snapshot) -> None:
    """I1: running iff leased, by one active lease. I6: lives."""
    for trial in now.trials.values():
        assert (trial.state == "running") == (trial.lease_id is not None)
        assert 0 <= trial.lost <= SETTINGS.max_lost
        assert (trial.lost == SETTINGS.max_lost) <= (trial.failure_kind == "worker_lost")
        if trial.lease_id is not None:
            assert now.leases[trial.lease_id].state == "active"
            attempt = now.attempts[(trial.id, trial.attempt)]
            assert (attempt.lease_id, attempt.outcome) == (trial.lease_id, None)


def check_attempts(now: Snapshot) -> None:
    """I2: attempts per trial are 1…k without gaps; only the present one of a running trial is open."""
    numbers = defaultdict(list)
    for (trial_id, number), attempt in now.attempts.items():
        numbers[trial_id].append(number)
        is_present = now.trials[trial_id].state == "running" and now.trials[trial_id].attempt == number
        assert (attempt.outcome is None) == is_present, (trial_id, number)
    for trial in now.trials.values():
        assert numbers[trial.id] == list(range(1, trial.attempt + 1))
        lost = [number for number in numbers[trial.id] if now.attempts[(trial.id, number)].outcome == "lost"]
        assert trial.lost <= len(lost)  # I10: nothing else costs a life


def check_sweeps(now: Snapshot) -> None:
    """I7: never more trials than allowed, numbers dense. I12: created = waiting + running + final."""
    for sweep in now.sweeps.values():
        rows = now.trials_of(sweep.id)
        states = Counter(str(row.state) for row in rows)
        assert [row.number for row in rows] == list(range(sweep.n_trials))
        assert sweep.run_cap is None or len(rows) <= sweep.run_cap
        n_rescues = sum(row.rescue_of is not None and row.state not in FINAL for row in rows)
        assert states["waiting"] + states["running"] <= sweep.max_parallel + n_rescues
        assert all(row.rescue_of is None or row.rescue_of < row.number for row in rows)
        assert sum(states.values()) == sweep.n_trials
        assert sweep.state != "stopping" or states["waiting"] == 0
        assert sweep.ended_at_ms is None or states["waiting"] + states["running"] == 0
        assert all(row.revision <= sweep.revision for row in rows)


def check_events(now: Snapshot) -> None:
    """I11: the stream has no gap, each change has its event and each event its change."""
    for sweep in now.sweeps.values():
        told = now.events.get(sweep.id, [])
        assert [event.number for event in told] == list(range(1, sweep.n_events + 1))
        last_states = {event.trial_id: TRIAL_EVENTS[event.kind] for event in told if event.kind in TRIAL_EVENTS}
        rows = now.trials_of(sweep.id)
        assert last_states == {row.id: str(row.state) for row in rows}
        started = Counter(event.trial_id for event in told if event.kind == "trial_started")
        assert started == Counter({row.id: row.attempt for row in rows if row.attempt})
        last_sweep = [event.kind for event in told if event.kind in SWEEP_EVENTS][-1]
        assert str(sweep.state) in SWEEP_EVENTS[last_sweep]
        reported = Counter(
            (number, epoch)
            for event in told
            if event.kind == "epochs_reported"
            for number, epoch, _objective in event.body["trials"]
        )
        numbers = {row.id: row.number for row in rows}
        assert reported == Counter((numbers[key[0]], key[2]) for key in now.epochs if key[0] in numbers)


def check_succession(before: Snapshot, now: Snapshot, retried: set[str]) -> None:
    """I4: a final state is final. I5: nothing is written to an attempt once the next has begun."""
    for trial_id, trial in before.trials.items():
        after = now.trials.get(trial_id)
        if after is None:
            continue
        assert after.attempt >= trial.attempt
        if str(trial.state) in FINAL and trial_id not in retried:
            assert without_revision(after) == without_revision(trial)
    for key in now.epochs.keys() - before.epochs.keys():
        assert key[1] == now.trials[key[0]].attempt
        assert key[1] == before.trials[key[0]].attempt
    for key in before.epochs.keys() & now.epochs.keys():
        assert now.epochs[key] == before.epochs[key]
    lost = {key for key in before.epochs.keys() - now.epochs.keys() if key[0] in now.trials}
    assert lost == set()


def without_revision(row: Any) -> dict[str, Any]:
    """A trial's columns, apart from the sweep's change counter."""
    return {name: value for name, value in row._mapping.items() if name != "revision"}


@pytest.fixture
def world(database_url: URL, open_database: Callable[[str | URL], Database], clock: Any) -> World:
    """Two services on one database, SQLite and PostgreSQL."""
    return World([open_database(database_url) for _ in range(2)], clock)
