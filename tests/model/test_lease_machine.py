"""The lease protocol under a random adversary: lost answers, repeated and stale requests, deaths, outages, steering.

Hypothesis plays workers, users and time against two services on one database. After each step every invariant of
docs/leases.md is asserted (conftest.py). GRADSWEEP_MODEL_EXAMPLES asks for more examples than CI has time for.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from service.errors import Conflict, InvalidRequest, NotFound
from service.operations import steering
from service.operations.claiming import claim
from service.operations.leasing import heartbeat, release
from service.operations.reporting import report
from service.operations.rescuing import rescue_trial
from service.operations.submitting import submit_sweep
from service.wire.leases import (
    ClaimAnswer,
    ClaimRequest,
    Completed,
    EntryAnswer,
    EpochReport,
    Failed,
    HeartbeatRequest,
    LayerReport,
    Release,
    ReleaseRequest,
    ReportEntry,
    ReportRequest,
    Stopped,
    WorkerInfo,
)

N_EXAMPLES = int(os.environ.get("GRADSWEEP_MODEL_EXAMPLES", "16"))
N_STEPS = 50
N_EPOCHS = 4
TICK_SECONDS = 15
LEASE_AND_TWO_TICKS = 6
Fence = tuple[str, int]

WORKERS = st.integers(0, 2)
SERVICES = st.integers(0, 1)
VALUES = st.integers(0, 12).map(lambda twelfths: twelfths / 12)
PLACES = st.integers(0, 40)
SELDOM = st.sampled_from([False, False, True])
SWEEP_VERBS = ["pause", "resume", "resume", "resume", "stop", "cancel", "delete"]
KINDS = st.sampled_from(
    ["epoch"] * 6
    + ["last", "completed", "diverged", "diverged-last", "failed", "stopped", "skipped", "stale", "again", "other"]
)
RULES = st.sampled_from(
    [{"type": "none"}, {"type": "hyperband", "min_iter": 1, "eta": 2}, {"type": "median", "min_iter": 2}]
)
SPACES = st.sampled_from(
    [
        ("random", {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0}}),
        ("tpe", {"dropout": {"min": 0.0, "max": 0.5}, "normalization": {"values": ["none", "batch"]}}),
        ("grid", {"optimizer": {"values": ["sgd", "adam", "adamw"]}, "normalization": {"values": ["none", "batch"]}}),
        ("random", {"hidden_units": {"values": [[8], [16]]}, "dropout": {"min": 0.0, "max": 0.5}}),
    ]
)


MOVES: dict[str, tuple[int, dict[str, Any]]] = {
    "claim": (7, {"index": WORKERS, "service": SERVICES, "n": st.integers(1, 6), "is_lost": SELDOM}),
    "report": (
        10,
        {
            "place": PLACES,
            "service": SERVICES,
            "news": st.lists(st.tuples(st.integers(0, 7), KINDS, VALUES), min_size=1, max_size=6),
            "is_lost": SELDOM,
        },
    ),
    "repeat": (3, {"service": SERVICES, "places": st.lists(st.integers(0, 200), min_size=1, max_size=4)}),
    "heartbeat": (2, {"index": WORKERS, "service": SERVICES}),
    "release": (2, {"index": WORKERS, "service": SERVICES, "is_all": st.booleans()}),
    "die": (1, {"index": WORKERS}),
    "restart": (1, {"service": SERVICES}),
    "sleep": (1, {"service": SERVICES, "seconds": st.integers(1, 400)}),
    "let_pass": (3, {"n": st.sampled_from([1, 1, 2, 3, LEASE_AND_TWO_TICKS + 1])}),
    "steer_sweep": (2, {"service": SERVICES, "place": PLACES, "verb": st.sampled_from(SWEEP_VERBS)}),
    "submit": (
        1,
        {
            "service": SERVICES,
            "space": SPACES,
            "early": RULES,
            "at": st.sampled_from(["last", "best"]),
            "goal": st.sampled_from([None, None, 0.9]),
            "run_cap": st.integers(1, 12),
            "max_parallel": st.integers(1, 8),
        },
    ),
    "steer_trial": (2, {"service": SERVICES, "place": PLACES, "verb": st.sampled_from(["cancel", "retry", "retry"])}),
    "rescue": (2, {"service": SERVICES, "place": PLACES, "remedies": st.sampled_from([None, (1,), (2,), (2, 3)])}),
}
"""What may happen: how often, and with which arguments. Chosen by one rule, so that every run mixes them all."""

STEPS = st.sampled_from([name for name, (weight, _) in MOVES.items() for _ in range(weight)]).flatmap(
    lambda name: st.tuples(st.just(name), st.fixed_dictionaries(MOVES[name][1]))
)


@dataclass(slots=True)
class Worker:
    """What one worker process knows. `unsent` are entries whose answer got lost; `unanswered` is such a claim."""

    name: str
    keys: "itertools.count[int]" = field(default_factory=itertools.count)
    lease_id: str | None = None
    held: dict[Fence, int] = field(default_factory=dict)
    unanswered: ClaimRequest | None = None
    unsent: list[ReportEntry] = field(default_factory=list)

    def lose_lease(self) -> None:
        """The service says that the lease has ended."""
        self.lease_id, self.unanswered = None, None
        self.held.clear()
        self.unsent.clear()


class LeaseMachine(RuleBasedStateMachine):
    """Workers, users and time, in any order."""

    def __init__(self, world: Any) -> None:
        super().__init__()
        self.world = world
        self.names = itertools.count()
        self.workers = [Worker(f"w{next(self.names)}") for _ in range(3)]
        self.claims: list[tuple[ClaimRequest, ClaimAnswer]] = []
        self.told: list[tuple[str, ReportEntry, EntryAnswer]] = []
        self.sweep_ids: list[str] = []

    # --- users ---

    @initialize(space=SPACES, early=RULES)
    def first_sweep(self, space: Any, early: Any) -> None:
        self.world.reset()
        self.submit(0, space, early, "last", None, 12, 8)
        for index in range(3):
            self.claim(index, 0, 2, False)

    @rule(step=STEPS)
    def step(self, step: tuple[str, dict[str, Any]]) -> None:
        getattr(self, step[0])(**step[1])

    def submit(
        self, service: int, space: Any, early: Any, at: str, goal: float | None, run_cap: int, max_parallel: int
    ) -> None:
        if len(self.world.last.sweeps if self.world.last else ()) >= 3:
            return
        metric = {"name": "val_accuracy", "at": at} | ({} if goal is None else {"target": goal})
        document = {
            "name": f"sweep-{next(self.names)}",
            "dataset": "digits",
            "method": space[0],
            "metric": metric,
            "run_cap": run_cap,
            "max_parallel": max_parallel,
            "seed": 1,
            "early_terminate": early,
            "parameters": {**space[1], "epochs": N_EPOCHS},
        }
        submission = submit_sweep(self.database(service), document, submitted="", idempotency_key=None)
        self.sweep_ids.append(submission.sweep.id)

    def steer_sweep(self, service: int, place: int, verb: str) -> None:
        if self.sweep_ids:
            sweep_id = self.sweep_ids[place % len(self.sweep_ids)]
            act: Callable[..., Any] = getattr(steering, f"{verb}_sweep")
            if was_done(lambda: act(self.database(service), sweep_id)) and verb == "delete":
                self.sweep_ids.remove(sweep_id)

    def steer_trial(self, service: int, place: int, verb: str) -> None:
        if self.world.last.trials:
            trial_id = sorted(self.world.last.trials)[place % len(self.world.last.trials)]
            act: Callable[..., Any] = getattr(steering, f"{verb}_trial")
            if was_done(lambda: act(self.database(service), trial_id)) and verb == "retry":
                self.world.retried.add(trial_id)

    def rescue(self, service: int, place: int, remedies: tuple[int, ...] | None) -> None:
        """The same request again, with its key, is answered with the same trial."""
        sick = sorted(row.id for row in self.world.last.trials.values() if row.verdict not in (None, "stable"))
        for trial_id in sick[place % max(1, len(sick)) :][:1]:
            ask = partial(rescue_trial, trial_id=trial_id, remedies=remedies, idempotency_key=f"k{next(self.names)}")
            if was_done(partial(ask, self.database(service))):
                again = ask(self.database(1 - service))
                parent, child = (self.world.snapshot().trials[one] for one in (trial_id, again.trial_id))
                assert again.replayed
                assert (child.state, child.rescue_of, child.seed) == ("waiting", parent.number, parent.seed)

    # --- workers ---

    def claim(self, index: int, service: int, n: int, is_lost: bool) -> None:
        worker = self.workers[index]
        request = worker.unanswered or self.new_claim(worker, n)
        worker.unanswered = request
        try:
            answer = self.send_claim(service, request)
        except Conflict:
            worker.lose_lease()
            return
        self.check_batch(answer)
        if not is_lost:
            worker.unanswered, worker.lease_id = None, answer.lease_id
            worker.held.update({(grant.trial_id, grant.attempt): 0 for grant in answer.grants})
        if answer.grants:
            self.claims.append((request, answer))

    def report(self, place: int, service: int, news: list[tuple[int, str, float]], is_lost: bool) -> None:
        busy = [worker for worker in self.workers if worker.held]
        for worker in busy[place % max(1, len(busy)) :][:1]:
            held = sorted(worker.held)
            entries = [*worker.unsent, *(self.entry(worker, held[slot % len(held)], *what) for slot, *what in news)]
            answers = self.send_report(service, worker.lease_id or "", entries)
            worker.unsent = entries if is_lost else []
            if not is_lost:
                self.obey(worker, entries, answers)

    def repeat(self, service: int, places: list[int]) -> None:
        """I8: whatever happened since, the same request has the same answer, and a claim's key no other."""
        for place in places:
            for request, answer in self.claims[place % 20 : place % 20 + 1]:
                assert self.send_claim(service, request) == answer
                other = request.model_copy(update={"max_trials": request.max_trials + 1})
                assert not was_done(lambda other=other: self.send_claim(service, other))
            for lease_id, entry, answer in self.told[place % max(1, len(self.told)) :][:1]:
                [again] = self.send_report(service, lease_id, [entry])
                wanted = answer if entry.trial_id in self.world.last.trials else gone(answer)
                assert (again.directive, again.reason or "") == (wanted.directive, wanted.reason or again.reason or "")

    def heartbeat(self, index: int, service: int) -> None:
        worker = self.workers[index]
        request = HeartbeatRequest(steps_done=1, phase="training")
        try:
            answer = heartbeat(self.database(service), worker.lease_id or "lse_none", request, self.lease_settings())
        except (Conflict, NotFound):
            worker.lose_lease()
            return
        worker.held = {fence: epoch for fence, epoch in worker.held.items() if fence[0] in answer.held}

    def release(self, index: int, service: int, is_all: bool) -> None:
        """I10: a drain never costs a life; and the same release again says the same."""
        worker = self.workers[index]
        if worker.lease_id is None:
            return
        some = tuple(Release(trial_id=one[0], attempt=one[1]) for one in sorted(worker.held)[:2])
        request = ReleaseRequest(trials=None if is_all else some)
        lost = {trial.id: trial.lost for trial in self.world.last.trials.values()}
        try:
            answers = [
                release(self.database(service), worker.lease_id, request, self.lease_settings()) for _ in range(2)
            ]
        except Conflict:
            worker.lose_lease()
            return
        assert answers[0] == answers[1]
        now = self.world.snapshot()
        assert {trial_id: now.trials[trial_id].lost for trial_id in answers[0].released} == {
            trial_id: lost[trial_id] for trial_id in answers[0].released
        }
        worker.held = {} if is_all else {fence: worker.held[fence] for fence in sorted(worker.held)[2:]}
        worker.unsent = []
        worker.lease_id = None if is_all else worker.lease_id

    def die(self, index: int) -> None:
        self.workers[index] = Worker(f"w{next(self.names)}")

    # --- services and time ---

    def restart(self, service: int) -> None:
        self.world.restart(service)

    def let_pass(self, n: int) -> None:
        """Time passes with punctual reapers. I9: what nobody renews ends or waits within the lease and two ticks."""
        for _ in range(n):
            self.world.clock.advance_seconds(TICK_SECONDS)
            for service in self.world.services:
                service.reaper.tick()
        running = [trial.id for trial in self.world.snapshot().trials.values() if trial.state == "running"]
        assert n <= LEASE_AND_TWO_TICKS or running == []

    def sleep(self, seconds: int, service: int) -> None:
        """Time passes without a reaper; then one wakes up. I9, the other half: nobody dies of the service's absence."""
        self.world.services[service].reaper.tick()
        before = {trial.id for trial in self.world.snapshot().trials.values() if trial.state == "running"}
        self.world.clock.advance_seconds(2 * TICK_SECONDS + 1 + seconds)
        assert self.world.services[service].reaper.tick().n_lost == 0
        assert before == {trial.id for trial in self.world.snapshot().trials.values() if trial.state == "running"}

    @invariant()
    def all_holds(self) -> None:
        self.world.check()

    # --- what the rules are made of ---

    def database(self, service: int) -> Any:
        return self.world.services[service].database

    def lease_settings(self) -> Any:
        return self.world.settings

    def new_claim(self, worker: Worker, n: int) -> ClaimRequest:
        info = WorkerInfo(
            worker_id=worker.name,
            host="localhost",
            pid=1,
            version="0",
            trainer="fused",
            device="CPU",
            n_slots=8,
            datasets=("digits",),
        )
        key = f"{worker.name}-{next(worker.keys)}"
        return ClaimRequest(claim_key=key, worker=info, lease_id=worker.lease_id, max_trials=n)

    def send_claim(self, service: int, request: ClaimRequest) -> ClaimAnswer:
        searches = self.world.services[service].searches
        database, lease_settings = self.database(service), self.lease_settings()
        return claim(database, searches, request, lease_settings, chance=lambda: 0.5)

    def check_batch(self, answer: ClaimAnswer) -> None:
        """No claim makes a batch larger than a member's limit, and all trials of a claim have one signature."""
        now = self.world.snapshot()
        batch = [trial for trial in now.trials.values() if trial.lease_id == answer.lease_id is not None]
        limits = [trial.batch_limit for trial in batch if trial.batch_limit is not None and answer.grants]
        assert all(len(batch) <= limit for limit in limits)
        granted = {now.trials[grant.trial_id].signature for grant in answer.grants if grant.trial_id in now.trials}
        assert len(granted) <= 1

    def entry(self, worker: Worker, fence: Fence, kind: str, value: float) -> ReportEntry:
        """One entry of a report, as a worker, a broken worker or a late one might send it."""
        known = [
            entry for lease_id, entry, _ in self.told if lease_id == worker.lease_id and entry.trial_id == fence[0]
        ]
        if kind == "again" and known:
            return known[-1]
        if kind == "stale":
            fence = (fence[0], max(1, fence[1] - 1))
        epoch = min(worker.held.get(fence, 0) + (kind == "skipped"), N_EPOCHS)
        if kind == "other" and known and known[-1].epoch is not None:
            epoch = known[-1].epoch.epoch
        if fence in worker.held:
            worker.held[fence] = min(epoch + 1, N_EPOCHS)
        finals = {
            "completed": Completed(best_epoch=1),
            "failed": Failed(failure_kind="error", error_type="E", message="broke"),
            "stopped": Stopped(),
        }
        if kind in finals:
            return ReportEntry(trial_id=fence[0], attempt=fence[1], final=finals[kind])
        return ReportEntry(
            trial_id=fence[0],
            attempt=fence[1],
            epoch=measured(
                N_EPOCHS if kind.endswith("last") else epoch, value, is_diverged=kind.startswith("diverged")
            ),
            final=finals["completed"] if kind.endswith("last") else None,
        )

    def send_report(self, service: int, lease_id: str, entries: list[ReportEntry]) -> tuple[EntryAnswer, ...]:
        request = ReportRequest(entries=tuple(entries))
        return report(self.database(service), lease_id, request, self.lease_settings()).entries

    def obey(self, worker: Worker, entries: list[ReportEntry], answers: tuple[EntryAnswer, ...]) -> None:
        """Do as told, and keep what was acknowledged."""
        for entry, answer in zip(entries, answers, strict=True):
            fence = (entry.trial_id, entry.attempt)
            self.told.append((worker.lease_id or "", entry, answer))
            is_stored = answer.directive in ("continue", "prune", "stop")
            if is_stored and entry.epoch is not None:
                self.world.sent_epochs[(*fence, entry.epoch.epoch)] = self.world.as_sent(entry.epoch)
            if is_stored and entry.final is not None:
                self.world.told_finals.setdefault(fence, self.outcome(entry, answer))
            if answer.directive in ("prune", "gone") or (is_stored and entry.final is not None):
                worker.held.pop(fence, None)

    def outcome(self, entry: ReportEntry, answer: EntryAnswer) -> str:
        """How the attempt must have ended, given what the worker was told about its final."""
        if answer.directive == "prune":
            return "pruned"
        ended = {"completed": "completed", "failed": "failed"}
        if entry.final.kind in ended:
            return ended[entry.final.kind]
        return str(self.world.snapshot().attempts[(entry.trial_id, entry.attempt)].outcome)


def measured(epoch: int, value: float, *, is_diverged: bool) -> EpochReport:
    """An epoch's values; two layers."""
    return EpochReport(
        epoch=epoch,
        steps=10,
        train_loss=None if is_diverged else 1 - value,
        val_loss=1 - value,
        val_accuracy=value,
        nonfinite=int(is_diverged),
        nonfinite_values={"train_loss": "nan"} if is_diverged else {},
        wall_seconds=0.5,
        layers=tuple(LayerReport(layer=layer, grad_norm_mean=value / layer) for layer in (1, 2)),
    )


def gone(answer: EntryAnswer) -> EntryAnswer:
    """What is answered about a trial that was deleted."""
    return answer.model_copy(update={"directive": "gone", "reason": None})


def was_done(act: Callable[[], Any]) -> bool:
    """Whether the service did it; a refusal is an answer too."""
    try:
        act()
    except (Conflict, InvalidRequest, NotFound):
        return False
    return True


def test_no_trial_is_lost_or_doubled(world: Any) -> None:
    run_state_machine_as_test(
        lambda: LeaseMachine(world),
        settings=settings(
            max_examples=N_EXAMPLES,
            stateful_step_count=N_STEPS,
            deadline=None,
            derandomize="GRADSWEEP_MODEL_EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, *((Phase.shrink,) if "GRADSWEEP_MODEL_EXAMPLES" in os.environ else ())),
            print_blob=True,
        ),
    )
