"""Recordings under a random adversary: lost answers, repeated, changed and stale results, deaths, requests meanwhile.

Hypothesis plays users, workers and time against two services on one database. After each step every fence was given
out once, what was acknowledged is there, and nothing else is; at the end nothing has been lost: a worker that lives
makes all that still waits.
"""

import itertools
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import URL, delete, select

from service.database.engine import Database
from service.database.tables import artifacts, leases, recordings, sweeps
from service.domain.lease import LeaseSettings
from service.errors import Conflict
from service.operations.claiming import claim
from service.operations.leasing import heartbeat, release
from service.operations.reaping import reap
from service.operations.recording import read_artifact, record_trial
from service.operations.recording_leases import claim_recording, report_recording
from service.operations.reporting import report
from service.operations.submitting import submit_sweep
from service.operations.tailing import read_news
from service.suggestion.searches import Searches
from service.wire.leases import (
    ClaimRequest,
    Completed,
    EpochReport,
    HeartbeatRequest,
    ReleaseRequest,
    ReportEntry,
    ReportRequest,
    Start,
    WorkerInfo,
)
from service.wire.recording_claims import (
    Recorded,
    RecordingClaim,
    RecordingFailed,
    RecordingReleased,
    RecordingReport,
)

N_EXAMPLES = max(8, int(os.environ.get("GRADSWEEP_MODEL_EXAMPLES", "0")))
N_STEPS = 40
SETTINGS = LeaseSettings()
COLUMNS = "step,layer,loss,global_norm,grad_norm,grad_rms,bias_grad_rms,update_ratio,weight_norm"
START = Start(stream_seed=1, start_epoch=0, dataset_sha256="0" * 64)

Fence = tuple[str, int]
WORKERS = st.integers(0, 2)
TRIALS = st.integers(0, 1)
SERVICES = st.integers(0, 1)
PLACES = st.integers(0, 5)
SELDOM = st.sampled_from([False, False, True])

MOVES: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    "ask": (4, {"trial": TRIALS, "service": SERVICES, "steps": st.sampled_from([1, 1, 1, 2])}),
    "claim": (5, {"worker": WORKERS, "service": SERVICES, "is_lost": SELDOM}),
    "send": (
        5,
        {
            "place": PLACES,
            "service": SERVICES,
            "value": st.integers(0, 1),
            "kind": st.sampled_from(["recorded", "recorded", "recorded", "failed"]),
        },
    ),
    "hand_back": (2, {"place": PLACES, "service": SERVICES}),
    "drain": (1, {"worker": WORKERS, "service": SERVICES}),
    "beat": (2, {"worker": WORKERS, "service": SERVICES}),
    "time_passes": (2, {"seconds": st.sampled_from([5, 20, 61]), "service": SERVICES}),
}
"""What may happen: how often, and with which arguments. Chosen by one rule, so that every run mixes them all."""

STEPS = st.sampled_from([name for name, (weight, _) in MOVES.items() for _ in range(weight)]).flatmap(
    lambda name: st.tuples(st.just(name), st.fixed_dictionaries(MOVES[name][1]))
)


def table(value: int) -> str:
    """A table of one step of two layers."""
    return "\n".join([COLUMNS, *(f"1,{layer}{f',{value}' * 7}" for layer in (1, 2))]) + "\n"


@dataclass(slots=True)
class Worker:
    """A worker process: what it asked and got no answer to, its lease, and the fence that it holds."""

    info: WorkerInfo
    lease_id: str | None = None
    unanswered: RecordingClaim | None = None
    held: Fence | None = None


class RecordingMachine(RuleBasedStateMachine):
    """Two trials that have ended, three workers, two services."""

    numbers = itertools.count()

    def __init__(self, services: list[Database], clock: Any) -> None:
        super().__init__()
        self.services = services
        self.clock = clock
        self.given: list[tuple[Fence, str]] = []  # every fence that a worker was told of, with its lease
        self.stored: dict[Fence, str] = {}  # what was acknowledged as recorded
        self.ended: set[Fence] = set()  # what was acknowledged, whatever came of it
        self.given_back: list[Fence] = []

    @initialize()
    def begin(self) -> None:
        """A sweep with two trials that were trained, and workers that were never seen."""
        database = self.services[0]
        with database.write() as connection:
            connection.execute(delete(artifacts))
            connection.execute(delete(recordings))
        document = {
            "name": f"sweep-{next(self.numbers)}",
            "dataset": "digits",
            "method": "random",
            "run_cap": 2,
            "parameters": {"hidden_units": {"value": [8]}, "epochs": 1, "dropout": {"min": 0.0, "max": 0.5}},
        }
        self.sweep = submit_sweep(database, document, submitted="", idempotency_key=None).sweep
        trainer = self.worker_named("trainer")
        request = ClaimRequest(claim_key=self.key(), worker=trainer, max_trials=2)
        answer = claim(database, Searches(), request, SETTINGS)
        self.trials = [grant.trial_id for grant in answer.grants]
        entries = [
            ReportEntry(trial_id=trial_id, attempt=1, **entry)
            for trial_id in self.trials
            for entry in (
                {"epoch": EpochReport(epoch=0, steps=0), "start": START},
                {"epoch": EpochReport(epoch=1, steps=1), "final": Completed(best_epoch=1)},
            )
        ]
        report(database, answer.lease_id, ReportRequest(entries=tuple(entries)), SETTINGS)
        release(database, answer.lease_id, ReleaseRequest(), SETTINGS)
        self.workers = [Worker(self.worker_named("wrk")) for _ in range(3)]

    def worker_named(self, name: str) -> WorkerInfo:
        return WorkerInfo(
            worker_id=f"{name}-{next(self.numbers)}", host="box", pid=1, version="0", trainer="reference",
            device="CPU", n_slots=4, datasets=("digits",),
        )  # fmt: skip

    def key(self) -> str:
        return f"key-{next(self.numbers)}"

    @rule(step=STEPS)
    def move(self, step: tuple[str, dict[str, Any]]) -> None:
        """One of MOVES."""
        name, arguments = step
        getattr(self, name)(**arguments)

    def ask(self, trial: int, service: int, steps: int) -> None:
        """A user asks; another request while one is being made is refused."""
        was_done(lambda: record_trial(self.services[service], self.trials[trial], steps=steps, every=1))

    def claim(self, worker: int, service: int, is_lost: bool) -> None:
        """A worker asks, or asks again what was not answered; the answer may be lost after the work was done."""
        one = self.workers[worker]
        request = one.unanswered or RecordingClaim(claim_key=self.key(), worker=one.info, lease_id=one.lease_id)
        try:
            answer = claim_recording(self.services[service], request, SETTINGS)
        except Conflict:
            one.lease_id = one.unanswered = one.held = None
            return
        one.unanswered = request if is_lost else None
        if is_lost or answer.recording is None:
            return
        one.lease_id = answer.lease_id
        one.held = (answer.recording.trial_id, answer.recording.attempt)
        self.given.append((one.held, answer.lease_id))

    def send(self, place: int, service: int, value: int, kind: str) -> None:
        """A result, of the present or of any earlier time, once more or for the first time, the same or another."""
        if self.given:
            fence, lease_id = self.given[-1 - place % len(self.given)]
            result = (
                Recorded(csv=table(value), same_program=True) if kind == "recorded" else RecordingFailed(reason="r")
            )
            self.take(fence, self.send_to(service, lease_id, fence, result), result)

    def hand_back(self, place: int, service: int) -> None:
        """One recording handed back."""
        if self.given:
            fence, lease_id = self.given[-1 - place % len(self.given)]
            if self.send_to(service, lease_id, fence, RecordingReleased()) == "stored":
                self.given_back.append(fence)

    def send_to(self, service: int, lease_id: str, fence: Fence, result: Any) -> str:
        request = RecordingReport(trial_id=fence[0], attempt=fence[1], result=result)
        return report_recording(self.services[service], lease_id, request, SETTINGS).outcome

    def take(self, fence: Fence, outcome: str, result: Any) -> None:
        """What was acknowledged stands: nothing else is ever acknowledged of this fence."""
        if outcome == "stored":
            assert fence not in self.given_back
            text = result.csv if isinstance(result, Recorded) else "failed"
            assert self.stored.setdefault(fence, text) == text
            self.ended.add(fence)
        if outcome == "conflict":
            assert fence in self.ended

    def drain(self, worker: int, service: int) -> None:
        """A worker ends in good order."""
        one = self.workers[worker]
        if one.lease_id is not None:
            was_done(lambda: release(self.services[service], one.lease_id or "", ReleaseRequest(), SETTINGS))
        one.lease_id = one.unanswered = one.held = None

    def beat(self, worker: int, service: int) -> None:
        """A heartbeat."""
        one = self.workers[worker]
        if one.lease_id is not None:
            request = HeartbeatRequest(steps_done=1, phase="recording")
            was_done(lambda: heartbeat(self.services[service], one.lease_id or "", request, SETTINGS))

    def time_passes(self, seconds: int, service: int) -> None:
        """Time passes and the reaper makes its round."""
        self.clock.advance_seconds(seconds)
        reap(self.services[service], SETTINGS)

    @invariant()
    def what_is_recorded_is_what_was_acknowledged(self) -> None:
        """One file of a trial at most, the newest acknowledged; its content as acknowledged; events tell the same."""
        with self.services[0].read() as connection:
            rows = connection.execute(select(recordings)).all()
            files = connection.execute(select(artifacts.c.trial_id, artifacts.c.name)).all()
            active = set(connection.execute(select(leases.c.id).where(leases.c.state == "active")).scalars())
        assert all(row.lease_id in active for row in rows if row.state == "running")
        acknowledged = {fence for fence, text in self.stored.items() if text != "failed"}
        newest = {trial_id: max(attempt for one, attempt in acknowledged if one == trial_id)
                  for trial_id in {trial_id for trial_id, _ in acknowledged}}  # fmt: skip
        assert {file.trial_id: file.name for file in files} == {
            trial_id: f"steps-{attempt}.csv" for trial_id, attempt in newest.items()
        }
        assert len(files) == len(newest)
        for trial_id, attempt in newest.items():
            assert (
                read_artifact(self.services[0], trial_id, f"steps-{attempt}.csv")[1] == self.stored[trial_id, attempt]
            )
        self.check_events(rows)

    def check_events(self, rows: Any) -> None:
        told = Counter()
        for event in read_news(self.services[0], self.sweep.id, 0).events:
            if event.kind in ("recording_started", "recording_done"):
                told[event.kind, event.trial_id, event.body["attempt"]] += 1
        started = {
            ("recording_started", row.trial_id, attempt) for row in rows for attempt in range(1, row.attempt + 1)
        }
        done = {("recording_done", *fence) for fence, text in self.stored.items() if text != "failed"}
        assert told == Counter(started | done)

    def teardown(self) -> None:
        """Nothing is lost: when the workers of before are dead, a living one makes all that was asked for."""
        database, saver = self.services[0], Worker(self.worker_named("saver"))
        for _ in range(len(self.trials)):
            self.clock.advance_seconds(120)
            reap(database, SETTINGS)
        for _ in range(len(self.trials)):
            request = RecordingClaim(claim_key=self.key(), worker=saver.info, lease_id=saver.lease_id)
            answer = claim_recording(database, request, SETTINGS)
            if answer.recording is not None:
                saver.lease_id = answer.lease_id
                fence = (answer.recording.trial_id, answer.recording.attempt)
                result = Recorded(csv=table(7), same_program=True)
                assert self.send_to(0, answer.lease_id or "", fence, result) == "stored"
        with database.read() as connection:
            states = set(map(str, connection.execute(select(recordings.c.state)).scalars()))
            assert connection.execute(select(sweeps.c.id).where(sweeps.c.id == self.sweep.id)).one()
        assert states <= {"done", "failed"}


def was_done(act: Callable[[], Any]) -> bool:
    """Whether the service did it; a refusal is an answer too."""
    try:
        act()
    except Conflict:
        return False
    return True


@pytest.fixture
def services(database_url: URL, open_database: Callable[[str | URL], Database]) -> list[Database]:
    """Two services on one database, SQLite and PostgreSQL."""
    return [open_database(database_url) for _ in range(2)]


def test_no_recording_is_lost_or_doubled(services: list[Database], clock: Any) -> None:
    run_state_machine_as_test(
        lambda: RecordingMachine(services, clock),
        settings=settings(
            max_examples=N_EXAMPLES,
            stateful_step_count=N_STEPS,
            deadline=None,
            derandomize="GRADSWEEP_MODEL_EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
            print_blob=True,
        ),
    )
