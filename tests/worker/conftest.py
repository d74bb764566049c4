"""A worker without TensorFlow, network and waiting: real loop, client, heartbeat and spool around fakes.

`FakeTime` moves only when somebody waits or trains. `FakeService` speaks the lease protocol over httpx's mock
transport; it can be away, lose an answer after doing the work, and refuse entries. `FakeBank` trains at once.
"""

import gzip
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.wire.leases import (
    ClaimAnswer,
    ClaimRequest,
    EntryAnswer,
    Grant,
    HeartbeatAnswer,
    HeartbeatRequest,
    Objective,
    ReleaseAnswer,
    ReleaseRequest,
    ReportAnswer,
    ReportEntry,
    ReportRequest,
)
from service.wire.parameters import Parameters
from service.wire.recording_claims import (
    RecordingClaim,
    RecordingClaimAnswer,
    RecordingGrant,
    RecordingReport,
    RecordingReportAnswer,
)
from worker.client import ServiceClient
from worker.entries import epoch_report
from worker.folder import WorkerFolder
from worker.main import Surroundings, Worker, assemble
from worker.settings import WorkerSettings
from worker.trainer import LoadedData
from worker.training.contract import EpochRow, LayerRow, TestMetrics, TrialSpec
from worker.training.hyperparameters import Hyperparameters
from worker.training.statistics import StepRecord

SHA256 = "0" * 64


class FakeTime:
    """Seconds that pass only when somebody waits or trains; what is planned for a time happens when it comes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.followers: list[Callable[[float], object]] = []  # told how many seconds have passed
        self._planned: list[tuple[float, Callable[[], object]]] = []
        self.when_nothing_is_planned: Callable[[], object] = lambda: None

    def clock(self) -> float:
        return self.now

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Plan something for `seconds` after the start."""
        self._planned.append((1000.0 + seconds, action))
        self._planned.sort(key=lambda each: each[0])

    def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while self._planned and self._planned[0][0] <= until:
            moment, action = self._planned.pop(0)
            self._move_to(moment)
            action()
        self._move_to(until)

    def _move_to(self, moment: float) -> None:
        for follower in self.followers:
            follower(moment - self.now)
        self.now = moment

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        is_idle = not self._planned
        self.pass_by(seconds)
        if is_idle:
            self.when_nothing_is_planned()
        return False


def a_row(key: str, epoch: int, steps: int, val_accuracy: float | None, train_loss: float | None = 0.5) -> EpochRow:
    layer = LayerRow(
        layer=1, grad_norm_mean=1.0, grad_norm_std=0.1, grad_norm_max=2.0, grad_rms_median=0.1, grad_rms_p05=0.01,
        bias_grad_rms_median=0.1, update_ratio_median=None, update_ratio_p95=None, weight_norm=3.0,
        zero_fraction=0.0, nonfinite=0, nonfinite_first_step=None, activation_std=1.0, dead_fraction=0.0,
        saturated_fraction=None, delta_rms=0.1,
    )  # fmt: skip
    return EpochRow(
        key=key, epoch=epoch, steps=steps, train_loss=train_loss, train_accuracy=0.5, val_loss=0.6,
        val_accuracy=val_accuracy, val_balanced_accuracy=0.5, val_macro_f1=0.5, val_top_class_share=0.1,
        loss_max=1.0, loss_spikes=0, loss_doublings=0, global_norm_mean=1.0, global_norm_std=0.1,
        global_norm_max=2.0, global_norm_p50=1.0, global_norm_p99=2.0, clip_fraction=None, nonfinite=0,
        wall_seconds=1.0, device_seconds=1.0, layers=(layer,),
    )  # fmt: skip


class FakeBank:
    """Trains at once; an epoch takes a second of the fake time. Its test accuracy tells the epoch it was taken at."""

    def __init__(self, trainer: "FakeTrainer", stream_seed: int, n_slots: int) -> None:
        self._trainer = trainer
        self.stream_seed = stream_seed
        self.n_slots = n_slots
        self.bank_epoch = 0
        self._epochs: dict[str, int] = {}
        self._specs: dict[str, TrialSpec] = {}
        self._steps = 0

    @property
    def free_slots(self) -> int:
        return self.n_slots - len(self._specs)

    def admit(self, trials: Sequence[TrialSpec]) -> list[EpochRow]:
        assert len(trials) <= self.free_slots
        rows = []
        for trial in trials:
            self._trainer.before_admit(trial)
            self._specs[trial.key] = trial
            self._epochs[trial.key] = 0
            rows.append(a_row(trial.key, 0, 0, None))
        return rows

    def train_epoch(self) -> list[EpochRow]:
        self._trainer.trained.append([spec.seed for spec in self._specs.values()])
        self._trainer.before_epoch(self)
        self._steps += 10
        self.bank_epoch += 1
        self._trainer.time.pass_by(1.0)
        rows = []
        for key, spec in self._specs.items():
            self._epochs[key] += 1
            rows.append(self._trainer.row(key, spec, self._epochs[key]))
        return rows

    def test_metrics(self, key: str) -> TestMetrics:
        self._trainer.before_test(self._specs[key])
        return TestMetrics(test_loss=0.1, test_accuracy=self._epochs[key] / 1000)

    def evict(self, key: str) -> None:
        self._specs.pop(key, None)

    def steps_done(self) -> int:
        return self._steps


def nothing(*_: object) -> None:
    """The default of a hook."""


class FakeTrainer:
    """Makes fake banks; the hooks raise what a test wants to go wrong."""

    name = "reference"
    device = "fake"
    default_slots = 4

    def __init__(self, time: FakeTime) -> None:
        self.time = time
        self.banks: list[FakeBank] = []
        self.trained: list[list[int]] = []  # per epoch, the seeds in the bank
        self.sha256 = SHA256
        self.names = ["digits", "other"]
        self.representatives: Sequence[Hyperparameters] = ()
        self.statistics_every = 0  # of the last bank
        self.slots_per_tile = 1  # slots are rounded up to whole tiles
        self.before_make: Callable[[int], None] = nothing
        self.before_admit: Callable[[TrialSpec], None] = nothing
        self.before_epoch: Callable[[FakeBank], None] = nothing
        self.before_test: Callable[[TrialSpec], None] = nothing
        self.before_replay: Callable[[], None] = nothing
        self.row: Callable[[str, TrialSpec, int], EpochRow] = lambda key, spec, epoch: a_row(
            key, epoch, 10, min(1.0, 0.1 * epoch)
        )

    def datasets(self) -> list[str]:
        return list(self.names)

    def load(self, dataset: str) -> LoadedData:
        return LoadedData(self.sha256, (0.25, 0.75))

    def make_bank(
        self,
        dataset: str,
        *,
        hidden_units: tuple[int, ...],
        batch_size: int,
        stream_seed: int,
        n_slots: int,
        statistics_every: int = 1,
        representatives: Sequence[Hyperparameters] = (),
    ) -> FakeBank:
        self.before_make(n_slots)
        self.representatives = representatives
        self.statistics_every = statistics_every
        self.banks.append(FakeBank(self, stream_seed, -(-n_slots // self.slots_per_tile) * self.slots_per_tile))
        return self.banks[-1]

    def environment(self) -> dict[str, str]:
        return {"device": "fake"}

    def replay_bank(
        self,
        dataset: str,
        hyperparameters: Hyperparameters,
        *,
        stream_seed: int,
        start_epoch: int,
        recorded: Mapping[str, str],
        listen: Callable[..., object],
    ) -> "FakeReplayBank":
        self.before_replay()
        return FakeReplayBank(self, stream_seed, listen)

    def environment_of(self, bank: "FakeBank") -> dict[str, str]:
        return {"device": "fake", "device_kind": "CPU"}


class FakeReplayBank(FakeBank):
    """Tells of ten steps an epoch, of one kernel; its numbers are those of `a_row`."""

    def __init__(self, trainer: FakeTrainer, stream_seed: int, listen: Callable[..., object]) -> None:
        super().__init__(trainer, stream_seed, 1)
        self._listen = listen

    def train_epoch(self) -> list[EpochRow]:
        rows = super().train_epoch()
        ones, norms = np.ones(10, np.float32), np.ones((10, 1), np.float32)
        steps = StepRecord(
            loss=ones, correct=ones, global_norm=ones, kernel_grad_norm=norms, bias_grad_norm=norms,
            update_norm=norms, weight_norm=np.ones((11, 1), np.float32), zero_fraction=norms,
        )  # fmt: skip
        self._listen(rows[0].key, steps, [(4, 1)])
        return rows


@dataclass
class FakeTrial:
    """A trial as the fake service keeps it."""

    grant: dict[str, Any]
    signature: str
    dataset: str = "digits"
    state: str = "waiting"
    attempt: int = 0
    lease_id: str | None = None
    told_to_stop: bool = False
    epochs: list[int] = field(default_factory=list)  # of all attempts, in the order they were stored
    starts: list[dict[str, Any]] = field(default_factory=list)
    final: dict[str, Any] | None = None


@dataclass
class FakeRecording:
    """A recording as the fake service keeps it."""

    trial_id: str
    steps: int = 500
    every: int = 1
    stored: tuple[EpochRow, ...] = ()
    dataset: str = "digits"
    state: str = "queued"
    attempt: int = 0
    lease_id: str | None = None
    claim_key: str | None = None


_ENDED = httpx.Response(409, json={"detail": "the lease has ended: it holds no trials"})


class FakeService:
    """The lease protocol in memory."""

    def __init__(self) -> None:
        self.trials: dict[str, FakeTrial] = {}
        self.is_away = False
        self.lose_answers_of: Counter[str] = Counter()  # kind → how many answers get lost after the work was done
        self.status_of: dict[str, int] = {}  # kind → status it is refused with
        self.directives: dict[tuple[str, int], str] = {}  # (trial, epoch) → directive instead of `continue`
        self.refuses: Callable[[ReportEntry], bool] = lambda entry: False
        self.dataset_sha256: str | None = None
        self.ended_leases: set[str] = set()
        self.expired_leases: set[str] = set()
        self.calls: list[str] = []
        self.claims: list[ClaimRequest] = []
        self.heartbeats: list[HeartbeatRequest] = []
        self.reports: list[tuple[str, ReportRequest]] = []
        self.encodings: list[str] = []
        self.tokens: list[str | None] = []
        self.retry_after_ms = 1000
        self.recordings: list[FakeRecording] = []
        self.recorded: list[tuple[str, RecordingReport]] = []
        self.n_recording_claims = 0
        self.statistics_every = 1
        self._answers: dict[str, ClaimAnswer] = {}
        self._n_leases = 0

    def add_trials(
        self, n: int, *, signature: str = "a", epochs: int = 2, at: str = "last", dataset: str = "digits"
    ) -> list[str]:
        ids = []
        for _ in range(n):
            number = len(self.trials)
            trial_id = f"trl_{number}"
            parameters = Parameters(
                learning_rate=0.01, schedule="constant", warmup_epochs=0, optimizer="adam", momentum=None,
                nesterov=None, normalization="none", dropout=0, input_dropout=0, residual=False, hidden_units=(8,),
                activation="relu", initializer="glorot_uniform", batch_size=32, epochs=epochs, weight_decay=0,
                clip_norm=None, label_smoothing=0, class_weight="none",
            )  # fmt: skip
            objective = Objective(name="val_accuracy", direction="maximize", at=at)
            grant = {
                "trial_id": trial_id, "sweep_id": "swp_1", "number": number, "seed": number,
                "parameters": parameters, "objective": objective,
            }  # fmt: skip
            self.trials[trial_id] = FakeTrial(grant, signature, dataset)
            ids.append(trial_id)
        return ids

    def expire(self, lease_id: str) -> None:
        """What the reaper does to a lease."""
        self.ended_leases.add(lease_id)
        self.expired_leases.add(lease_id)
        for trial in self.trials.values():
            if trial.lease_id == lease_id:
                trial.state, trial.lease_id = "waiting", None
        self._queue_recordings_of(lease_id)

    def _queue_recordings_of(self, lease_id: str) -> None:
        for recording in self.recordings:
            if (recording.lease_id, recording.state) == (lease_id, "running"):
                recording.state, recording.lease_id = "queued", None

    def add_recording(self, trial_id: str, n_epochs: int = 2, **changes: Any) -> FakeRecording:
        """Have the first steps of a trial recorded; its stored epochs are those that the fake bank measures."""
        stored = tuple(a_row("", epoch, 10 * (epoch > 0), 0.1 * epoch or None) for epoch in range(n_epochs + 1))
        self.recordings.append(FakeRecording(trial_id, **{"stored": stored} | changes))
        return self.recordings[-1]

    def states(self) -> Counter[str]:
        return Counter(trial.state for trial in self.trials.values())

    def handle(self, request: httpx.Request) -> httpx.Response:
        kind = request.url.path.replace(":", "/").rsplit("/", 1)[1]
        if request.url.path != "/v1/claims/recordings":  # idle workers ask again and again
            self.calls.append(kind)
        if self.is_away:
            raise httpx.ConnectError("connection refused")
        if kind in self.status_of:
            return httpx.Response(self.status_of[kind], json={"detail": "because"})
        self.encodings.append(request.headers.get("content-encoding", "plain"))
        self.tokens.append(request.headers.get("authorization"))
        body = gzip.decompress(request.content) if self.encodings[-1] == "gzip" else request.content
        response = self._answer(kind, request.url.path, body)
        if self.lose_answers_of[kind] > 0:
            self.lose_answers_of[kind] -= 1
            raise httpx.ReadTimeout("timed out")
        return response

    def _answer(self, kind: str, path: str, body: bytes) -> httpx.Response:
        if kind == "claims":
            claim = ClaimRequest.model_validate_json(body)
            return _ENDED if claim.lease_id in self.ended_leases else self._ok(self._claim(claim))
        if path == "/v1/claims/recordings":
            asked = RecordingClaim.model_validate_json(body)
            return _ENDED if asked.lease_id in self.ended_leases else self._ok(self._claim_recording(asked))
        lease_id = path.replace(":", "/").split("/")[3]
        if kind == "recordings":
            return self._ok(self._take_recording(lease_id, RecordingReport.model_validate_json(body)))
        if kind == "reports":
            return self._take_report(lease_id, ReportRequest.model_validate_json(body))
        if kind == "heartbeat":
            self.heartbeats.append(HeartbeatRequest.model_validate_json(body))
            held = {key: trial for key, trial in self.trials.items() if trial.lease_id == lease_id}
            stop = tuple(key for key, trial in held.items() if trial.told_to_stop)
            answer = self._ok(HeartbeatAnswer(lease_seconds=60, held=tuple(held), stop=stop))
            return _ENDED if lease_id in self.ended_leases else answer
        release = ReleaseRequest.model_validate_json(body)
        return _ENDED if lease_id in self.expired_leases else self._ok(self._release(lease_id, release))

    def _take_report(self, lease_id: str, report: ReportRequest) -> httpx.Response:
        self.reports.append((lease_id, report))
        if any(self.refuses(entry) for entry in report.entries):
            return httpx.Response(422, json={"detail": "poison"})
        return self._ok(ReportAnswer(entries=tuple(self._report(lease_id, entry) for entry in report.entries)))

    def _ok(self, answer: Any) -> httpx.Response:
        return httpx.Response(200, content=answer.model_dump_json())

    def _claim(self, request: ClaimRequest) -> ClaimAnswer:
        self.claims.append(request)
        if request.claim_key in self._answers:
            return self._answers[request.claim_key]
        usable = [
            each for each in self.trials.values() if each.state == "waiting" and each.dataset in request.worker.datasets
        ]
        signature = request.signature or (usable[0].signature if usable else None)
        chosen = [trial for trial in usable if trial.signature == signature][: request.max_trials]
        lease_id = request.lease_id
        if lease_id is None and chosen:
            self._n_leases += 1
            lease_id = f"lse_{self._n_leases}"
        for trial in chosen:
            trial.state, trial.lease_id, trial.attempt = "running", lease_id, trial.attempt + 1
        answer = ClaimAnswer(
            lease_id=lease_id,
            signature=signature,
            dataset=chosen[0].dataset if chosen else None,
            dataset_sha256=self.dataset_sha256,
            stream_seed=7,
            statistics_every=self.statistics_every,
            lease_seconds=60,
            heartbeat_seconds=15,
            grants=tuple(Grant(**trial.grant, attempt=trial.attempt) for trial in chosen),
            representatives=tuple(trial.grant["parameters"] for trial in chosen[:1]),
            retry_after_ms=0 if chosen else self.retry_after_ms,
        )
        if chosen:
            self._answers[request.claim_key] = answer
        return answer

    def _claim_recording(self, request: RecordingClaim) -> RecordingClaimAnswer:
        self.n_recording_claims += 1
        usable = [
            each
            for each in self.recordings
            if (each.state == "queued" and each.dataset in request.worker.datasets)
            or (each.state == "running" and each.claim_key == request.claim_key)
        ]
        grant, lease_id = None, request.lease_id
        if usable:
            chosen = usable[0]
            if chosen.state == "queued":
                self._n_leases += lease_id is None
                lease_id = lease_id or f"lse_{self._n_leases}"
                chosen.state, chosen.lease_id, chosen.claim_key = "running", lease_id, request.claim_key
                chosen.attempt += 1
            lease_id = chosen.lease_id
            grant = self._recording_grant(chosen)
        return RecordingClaimAnswer(
            lease_id=lease_id, lease_seconds=60, heartbeat_seconds=15, recording=grant, retry_after_ms=0
        )

    def _recording_grant(self, chosen: FakeRecording) -> RecordingGrant:
        trial = self.trials[chosen.trial_id]
        beside = {"attempt": 1, "reported_at": "2026-01-01T00:00:00Z", "objective": None, "directive": "continue"}
        reports = [epoch_report(row).model_dump() for row in chosen.stored]
        epochs = [
            report | beside | {"directive_reason": None, "nonfinite": {}, "nonfinite_entries": 0} for report in reports
        ]
        layers = [
            layer | {"epoch": report["epoch"], "nonfinite": {}, "nonfinite_entries": 0}
            for report in reports
            for layer in report["layers"]
        ]
        return RecordingGrant(
            trial_id=chosen.trial_id, sweep_id="swp_1", number=trial.grant["number"], attempt=chosen.attempt,
            steps=chosen.steps, every=chosen.every, dataset=chosen.dataset, dataset_sha256=SHA256, seed=3,
            parameters=trial.grant["parameters"], stream_seed=7, start_epoch=0, environment={}, epochs=epochs,
            layers=layers,
        )  # fmt: skip

    def _take_recording(self, lease_id: str, report: RecordingReport) -> RecordingReportAnswer:
        self.recorded.append((lease_id, report))
        [recording] = [each for each in self.recordings if each.trial_id == report.trial_id]
        if (recording.lease_id, recording.attempt) != (lease_id, report.attempt):
            return RecordingReportAnswer(outcome="gone")
        recording.state = {"recorded": "done", "released": "queued"}.get(report.result.kind, report.result.kind)
        return RecordingReportAnswer(outcome="stored")

    def _report(self, lease_id: str, entry: ReportEntry) -> EntryAnswer:
        trial = self.trials[entry.trial_id]
        epoch = None if entry.epoch is None else entry.epoch.epoch
        directive = self._store(trial, lease_id, entry, epoch)
        return EntryAnswer(trial_id=entry.trial_id, attempt=entry.attempt, epoch=epoch, directive=directive)

    def _store(self, trial: FakeTrial, lease_id: str, entry: ReportEntry, epoch: int | None) -> Any:
        if trial.lease_id != lease_id or trial.attempt != entry.attempt:
            return "gone"
        if entry.start is not None:
            trial.starts.append(entry.start.model_dump())
        if epoch is not None:
            trial.epochs.append(epoch)
        directive = self.directives.get((entry.trial_id, -1 if epoch is None else epoch), "continue")
        if entry.final is not None:
            trial.final = entry.final.model_dump()
            trial.state, trial.lease_id = {"stopped": "cancelled"}.get(entry.final.kind, entry.final.kind), None
        elif directive == "prune":
            trial.state, trial.lease_id = "pruned", None
        elif directive == "stop":
            trial.told_to_stop = True
        return directive

    def _release(self, lease_id: str, request: ReleaseRequest) -> ReleaseAnswer:
        named = None if request.trials is None else {(each.trial_id, each.attempt) for each in request.trials}
        released = []
        for key, trial in self.trials.items():
            if trial.lease_id == lease_id and (named is None or (key, trial.attempt) in named):
                trial.state, trial.lease_id = "waiting", None
                released.append(key)
        if named is None:
            self.ended_leases.add(lease_id)
            self._queue_recordings_of(lease_id)
        return ReleaseAnswer(released=tuple(released))


@dataclass
class Bench:
    """A worker put together around the fakes."""

    service: FakeService
    trainer: FakeTrainer
    time: FakeTime
    worker: Worker
    stop: threading.Event
    folder: WorkerFolder
    exits: list[int]
    is_closed: bool = False

    def run(self) -> int:
        """Run the loop until `stop` is set."""
        return self.worker.loop.run()

    def run_until_idle(self) -> int:
        """Run the loop until the worker waits and nothing is planned that it could wait for."""
        self.time.when_nothing_is_planned = self.stop.set
        return self.run()

    def spooled(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.folder.spool_path.read_text().splitlines()]

    def rejected(self) -> list[dict[str, Any]]:
        path = self.folder.spool_path.with_name("rejected.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def kill(self) -> None:
        """End the process without a word: its lock is freed, its files stay as they are."""
        if not self.is_closed:
            self.worker.spool.close()
            self.folder.close()
        self.is_closed = True


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def make_bench(time, service, tmp_path):
    """Makes a worker on a data folder; a second one is the process after a restart, or a neighbour."""
    benches: list[Bench] = []

    def make(data_dir: Path = tmp_path, *, transport: httpx.BaseTransport | None = None, **settings: Any) -> Bench:
        stop = threading.Event()
        trainer = FakeTrainer(time)
        ids = iter(range(10**6))
        prefix = f"{len(benches)}"
        around = Surroundings(
            clock=time.clock,
            wait=time.wait,
            chance=lambda: 0.5,
            new_id=lambda kind: f"{kind}_{prefix}_{next(ids)}",
            exit_process=(exits := []).append,
            stop=stop,
        )
        chosen = WorkerSettings(data_dir=data_dir, **{"slots": 4, **settings})
        client = ServiceClient(
            chosen.url, token="secret", timeout_seconds=1, transport=transport or httpx.MockTransport(service.handle)
        )
        folder = WorkerFolder.take(data_dir, lambda: around.new_id("wrk"))
        worker = assemble(
            chosen, client=client, folder=folder, trainer=trainer, around=around, log=logging.getLogger("worker")
        )
        bench = Bench(service, trainer, time, worker, stop, folder, exits)
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.kill()


@pytest.fixture
def bench(make_bench) -> Bench:
    return make_bench()
