"""Recordings: asked for, given out under a fence, taken in once, handed back, lost, deleted with their trial."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from service.domain.lease import LeaseSettings
from service.errors import Conflict, InvalidRequest, NotFound
from service.operations.leasing import heartbeat, release
from service.operations.reading import read_trial
from service.operations.reaping import reap
from service.operations.recording import list_artifacts, read_artifact, read_recorded_steps, record_trial
from service.operations.recording_leases import claim_recording, report_recording
from service.operations.steering import delete_sweep, retry_trial
from service.operations.tailing import read_news
from service.wire.leases import HeartbeatRequest, ReleaseRequest, Start
from service.wire.recording_claims import (
    Recorded,
    RecordingClaim,
    RecordingFailed,
    RecordingReleased,
    RecordingReport,
)

START = Start(stream_seed=5, start_epoch=2, dataset_sha256="0" * 64, environment={"trainer": "fused"})
COLUMNS = "step,layer,loss,global_norm,grad_norm,grad_rms,bias_grad_rms,update_ratio,weight_norm"


def table(n_steps: int, *, every: int = 1, n_layers: int = 2, value: str = "0.5") -> str:
    """A table of steps in which every number is `value`."""
    rows = [
        f"{step},{layer}{7 * (',' + value)}"
        for step in range(1, n_steps + 1, every)
        for layer in range(1, n_layers + 1)
    ]
    return "\n".join([COLUMNS, *rows]) + "\n"


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Run actions in threads that start at the same moment; their results."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        barrier.wait(timeout=30)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(run, action) for action in actions]]


class Recorder:
    """A worker that takes recordings and sends what it is told to."""

    def __init__(self, worker: Any) -> None:
        self.worker = worker
        self.fence = ("trl_none", 1)

    def ask(self, **changes: Any) -> Any:
        """Claim a recording; the grant, or None."""
        request = self.worker.request()
        asked = {"claim_key": request.claim_key, "worker": request.worker, "lease_id": self.worker.lease_id} | changes
        claim = RecordingClaim(**asked)
        answer = claim_recording(self.worker.database, claim, self.worker.settings, chance=lambda: 0.5)
        self.worker.lease_id = answer.lease_id
        if answer.recording is not None:
            self.fence = (answer.recording.trial_id, answer.recording.attempt)
        return answer.recording

    def send(self, result: Any, **changes: Any) -> str:
        """Report a result under the fence of the last grant, or another one; the outcome."""
        trial_id, attempt = changes.pop("fence", self.fence)
        lease_id = changes.pop("lease_id", self.worker.lease_id)
        request = RecordingReport(trial_id=trial_id, attempt=attempt, result=result)
        return report_recording(self.worker.database, lease_id, request, self.worker.settings).outcome

    def store(self, text: str | None = None, **changes: Any) -> str:
        """Report a table."""
        fence = {name: changes.pop(name) for name in ("fence", "lease_id") if name in changes}
        result = Recorded(**{"csv": text or table(20), "same_program": True} | changes)
        return self.send(result, **fence)


@pytest.fixture
def recorder(worker: Any) -> Recorder:
    """A worker."""
    return Recorder(worker)


@pytest.fixture
def other(new_worker: Callable[..., Any]) -> Recorder:
    """Another worker."""
    return Recorder(new_worker("w2"))


@pytest.fixture
def train(submit: Any, new_worker: Callable[..., Any], speak: Any) -> Callable[..., str]:
    """Has a worker train a trial of two layers that ends after epoch 2, of ten steps each; its id."""

    numbers = itertools.count()

    def one(kind: str = "completed", **changes: Any) -> str:
        submit(run_cap=1, parameters={"hidden_units": {"value": [8]}, "epochs": 2} | changes)
        trainer = new_worker(f"trainer{next(numbers)}")
        [fence] = trainer.claim(1)
        entries = [speak["epoch"](fence, 0, steps=0, start=START), *(speak["epoch"](fence, epoch) for epoch in (1, 2))]
        trainer.report(*entries, speak["final"](fence, kind))
        trainer.release()
        return fence[0]

    return one


def view(database: Any, trial_id: str) -> Any:
    """The trial's recording as it is shown."""
    return read_trial(database, trial_id).recording


def told(database: Any, trial_id: str) -> list[str]:
    """The kinds of the events of the trial's sweep that tell of recordings."""
    events = read_news(database, read_trial(database, trial_id).sweep_id, 0).events
    return [event.kind for event in events if event.kind.startswith("recording")]


def test_a_recording_is_given_out_with_all_that_is_needed_and_comes_back(database, train, recorder) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)

    grant = recorder.ask()

    assert (grant.trial_id, grant.attempt, grant.steps, grant.every) == (trial, 1, 20, 1)
    assert (grant.stream_seed, grant.start_epoch, grant.dataset, grant.environment) == (
        5, 2, "digits", {"trainer": "fused"},
    )  # fmt: skip
    assert [(epoch.epoch, epoch.steps) for epoch in grant.epochs] == [(0, 0), (1, 10), (2, 10)]
    assert [(row.epoch, row.layer) for row in grant.layers] == [
        (epoch, layer) for epoch in (0, 1, 2) for layer in (1, 2)
    ]
    assert view(database, trial).state == "running"
    assert recorder.store() == "stored"
    found = view(database, trial)
    assert (found.state, found.matches, found.artifact, found.worker_id) == ("done", True, "steps-1.csv", "w1")
    assert read_artifact(database, trial, "steps-1.csv")[1] == table(20)
    assert told(database, trial) == ["recording_queued", "recording_started", "recording_done"]


def test_only_the_epochs_that_hold_the_steps_are_sent(database, train, recorder) -> None:
    record_trial(database, train(), steps=10, every=1)
    assert [epoch.epoch for epoch in recorder.ask().epochs] == [0, 1]


def test_what_differs_is_said(database, train, recorder) -> None:
    trial = train()
    record_trial(database, trial, steps=500, every=1)
    recorder.ask()
    assert recorder.store(differs_from_epoch=2, same_program=False) == "stored"
    assert (view(database, trial).matches, view(database, trial).differs_from_epoch) == (False, 2)
    [file] = list_artifacts(database, trial).artifacts
    assert (file.matches, file.same_program, file.steps, file.trial_attempt) == (False, False, 20, 1)


def test_the_same_request_changes_nothing_while_it_is_open(database, train, recorder) -> None:
    trial = train()
    for _ in range(2):
        record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    record_trial(database, trial, steps=20, every=1)
    assert told(database, trial) == ["recording_queued", "recording_started"]
    with pytest.raises(Conflict, match=r"20 steps of trial 0 .* are being recorded"):
        record_trial(database, trial, steps=10, every=1)
    assert view(database, trial).steps == 20


def test_another_request_takes_the_place_of_one_that_waits(database, train, recorder) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    record_trial(database, trial, steps=20, every=3)
    assert recorder.ask().every == 3
    assert recorder.store(table(20, every=3)) == "stored"


def test_a_new_recording_replaces_the_file_only_when_it_is_done(database, train, recorder) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    recorder.store()
    record_trial(database, trial, steps=10, every=1)
    queued = view(database, trial)
    assert (queued.state, queued.matches, queued.artifact) == ("queued", None, "steps-1.csv")
    assert list(read_recorded_steps(database, trial).steps) == list(range(1, 21))
    recorder.ask()
    recorder.store(table(10))
    assert [file.name for file in list_artifacts(database, trial).artifacts] == ["steps-2.csv"]
    with pytest.raises(NotFound, match=r"no file 'steps-1\.csv'"):
        read_artifact(database, trial, "steps-1.csv")


def test_a_lost_claim_is_answered_again(database, train, recorder, other) -> None:
    record_trial(database, train(), steps=20, every=1)
    first = recorder.ask(claim_key="once", lease_id=None)
    lease_id = recorder.worker.lease_id
    again = recorder.ask(claim_key="once", lease_id=None)
    assert (again, recorder.worker.lease_id) == (first, lease_id)
    assert other.ask() is None


def test_a_repeated_result_is_answered_the_same_and_another_is_a_conflict(database, train, recorder) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    assert [recorder.store(), recorder.store()] == ["stored", "stored"]
    assert recorder.store(table(20, value="0.25")) == "conflict"
    recorder.worker.release()
    assert recorder.store() == "stored"
    assert read_artifact(database, trial, "steps-1.csv")[1] == table(20)
    assert told(database, trial).count("recording_done") == 1


def test_a_stale_workers_result_is_refused(database, clock, train, recorder, other, lease_settings) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    stale = recorder.ask()
    lost_lease = recorder.worker.lease_id
    clock.advance_seconds(61)
    reap(database, lease_settings)
    assert (view(database, trial).state, stale.attempt) == ("queued", 1)
    assert recorder.store() == "gone"
    assert other.ask().attempt == 2
    assert recorder.store() == "gone"
    assert recorder.store(fence=(trial, 2), lease_id=lost_lease) == "gone"
    assert other.store(fence=(trial, 1)) == "gone"
    assert other.store(table(20, value="0.25")) == "stored"
    assert recorder.store() == "gone"
    assert read_artifact(database, trial, "steps-2.csv")[1] == table(20, value="0.25")


def test_a_result_under_another_live_lease_is_refused(database, train, recorder, other) -> None:
    for trial in (train(), train()):
        record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    other.ask()
    assert other.store(fence=recorder.fence) == "gone"
    assert recorder.store(table(20, value="0.25")) == "stored"
    assert other.store() == "stored"


def test_a_result_of_an_earlier_request_is_refused(database, train, recorder) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    recorder.store()
    record_trial(database, trial, steps=20, every=1)
    assert recorder.store() == "gone"
    assert view(database, trial).state == "queued"


def test_the_third_lost_worker_fails_it_and_it_can_be_asked_for_again(
    database, clock, train, new_worker, lease_settings
) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    for number, wait_seconds in enumerate([0, 0, 5]):
        clock.advance_seconds(wait_seconds)
        assert Recorder(new_worker(f"doomed{number}")).ask() is not None
        clock.advance_seconds(61)
        reap(database, lease_settings)
    found = view(database, trial)
    assert (found.state, found.made_at) == ("failed", None)
    assert found.reason == "3 workers vanished while they recorded it, the last was doomed2"
    record_trial(database, trial, steps=20, every=1)
    assert Recorder(new_worker("able")).ask().attempt == 4


def test_after_the_second_lost_worker_it_waits_a_while(database, clock, train, new_worker, lease_settings) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    for number in range(2):
        Recorder(new_worker(f"doomed{number}")).ask()
        clock.advance_seconds(61)
        reap(database, lease_settings)
    assert Recorder(new_worker("early")).ask() is None
    clock.advance_seconds(5)
    assert Recorder(new_worker("late")).ask().attempt == 3


def test_a_recording_that_was_handed_back_costs_no_life(database, train, recorder, other) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    for _ in range(4):
        recorder.ask()
        assert recorder.send(RecordingReleased()) == "stored"
    recorder.ask()
    release(database, recorder.worker.lease_id, ReleaseRequest(), recorder.worker.settings)
    assert view(database, trial).state == "queued"
    assert other.ask().attempt == 6
    assert recorder.store() == "gone"


def test_a_heartbeat_keeps_it(database, clock, train, recorder, lease_settings) -> None:
    record_trial(database, train(), steps=20, every=1)
    recorder.ask()
    for _ in range(4):
        clock.advance_seconds(30)
        heartbeat(database, recorder.worker.lease_id, HeartbeatRequest(steps_done=1, phase="idle"), lease_settings)
        reap(database, lease_settings)
    assert recorder.store() == "stored"


def test_a_failure_is_told_with_its_reason(database, train, recorder) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    failure = RecordingFailed(reason="the device is too small")
    assert [recorder.send(failure), recorder.send(failure)] == ["stored", "stored"]
    assert (view(database, trial).state, view(database, trial).reason) == ("failed", "the device is too small")
    assert recorder.ask() is None
    with pytest.raises(NotFound, match="the device is too small"):
        read_recorded_steps(database, trial)


def test_deleting_the_sweep_meanwhile_takes_recording_and_file_along(database, train, recorder) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    recorder.store()
    record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    delete_sweep(database, read_trial(database, trial).sweep_id)
    assert recorder.store() == "gone"
    with pytest.raises(NotFound):
        list_artifacts(database, trial)


def test_a_trial_that_is_retried_meanwhile_is_recorded_as_it_was(database, submit, new_worker, speak, recorder) -> None:
    submit(run_cap=2, parameters={"hidden_units": {"value": [8]}, "epochs": 2, "dropout": {"values": [0.0, 0.5]}})
    trainer = new_worker("trainer")
    [fence] = trainer.claim(1)
    trainer.report(speak["epoch"](fence, 0, steps=0, start=START), speak["epoch"](fence, 1))
    trainer.report(speak["final"](fence, "failed"))
    record_trial(database, fence[0], steps=10, every=1)
    retry_trial(database, fence[0])
    assert [epoch.epoch for epoch in recorder.ask().epochs] == [0, 1]
    assert recorder.store(table(10)) == "stored"
    with pytest.raises(Conflict, match="is waiting; record it when it has ended"):
        record_trial(database, fence[0], steps=10, every=1)


def test_it_is_given_to_workers_that_have_the_data(database, train, new_worker) -> None:
    record_trial(database, train(), steps=20, every=1)
    assert Recorder(new_worker("w3", datasets=("mnist",))).ask() is None
    assert Recorder(new_worker("w4")).ask() is not None


def test_a_lease_that_has_ended_gets_none(database, train, recorder) -> None:
    record_trial(database, train(), steps=20, every=1)
    with pytest.raises(Conflict, match="lease lse_old has ended"):
        recorder.ask(lease_id="lse_old")
    assert view(database, recorder.ask(lease_id=None).trial_id).state == "running"


def test_what_was_never_trained_is_not_recorded(database, submit, worker, speak) -> None:
    submit(run_cap=1)
    [fence] = worker.claim(1)
    with pytest.raises(Conflict, match="is running; record it when it has ended"):
        record_trial(database, fence[0], steps=1, every=1)
    worker.report(speak["final"](fence, "failed"))
    with pytest.raises(Conflict, match="is failed and was never trained"):
        record_trial(database, fence[0], steps=1, every=1)
    with pytest.raises(NotFound):
        record_trial(database, "trl_none", steps=1, every=1)


def test_a_recording_that_is_too_large_is_refused(database, train) -> None:
    trial = train("failed", hidden_units={"value": [8] * 9})
    with pytest.raises(InvalidRequest) as refused:
        record_trial(database, trial, steps=10_000, every=1)
    assert refused.value.problems[0].message.startswith("10 layers leave room for 5,000 steps")
    record_trial(database, trial, steps=10_000, every=2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("step,layer\n1,1\n", "line 1: the columns are"),
        (COLUMNS + "\n", "line 1: 0 rows"),
        (table(21), "42 rows are no whole steps of 2 layers, of 20 at most"),
        (table(20).replace("\n3,2,", "\n3,1,"), "line 7: step 3, layer 2 comes here"),
        (table(20).replace("4,1,0.5", "4,1,=A1"), "line 8: 9 numbers are wanted"),
        (table(20).replace("4,1,0.5", "4,1,0.5,0.5"), "line 8: 9 numbers are wanted"),
        (table(20).rpartition("\n20,2")[0] + "\n", "39 rows are no whole steps"),
    ],
)
def test_a_table_that_is_not_what_was_asked_for_is_refused(database, train, recorder, text, words) -> None:
    trial = train()
    record_trial(database, trial, steps=20, every=1)
    recorder.ask()
    with pytest.raises(InvalidRequest) as refused:
        recorder.store(text)
    assert words in refused.value.problems[0].message
    assert view(database, trial).state == "running"
    assert recorder.store(table(20, value="-inf")) == "stored"
    assert read_recorded_steps(database, trial).layers["grad_norm"][1][3] == float("-inf")


def test_two_workers_at_the_same_moment_get_one_recording(
    database, database_url, open_database, train, new_worker
) -> None:
    second = new_worker("w2")
    second.database = open_database(database_url)
    for _ in range(3):
        trial = train()
        record_trial(database, trial, steps=20, every=1)
        recorders = [Recorder(new_worker("w1")), Recorder(second)]
        grants = together(*[partial(each.ask, lease_id=None) for each in recorders])
        assert sum(grant is not None for grant in grants) == 1
        results = together(*[partial(each.store, fence=(trial, 1)) for each in recorders])
        assert sorted(results) == ["gone", "stored"]


def test_the_same_claim_twice_at_once_gets_the_same_recording(
    database, database_url, open_database, train, new_worker
) -> None:
    """Two wait, so that the second of the claims could take another one; it must not."""
    services = [database, open_database(database_url)]
    for number in range(3):
        for trial in (train(), train()):
            record_trial(database, trial, steps=20, every=1)
        workers = [new_worker(f"w{number}"), new_worker(f"w{number}")]
        recorders = [Recorder(worker) for worker in workers]
        workers[1].database = services[1]
        first, second = together(*[partial(each.ask, claim_key=f"key{number}", lease_id=None) for each in recorders])
        assert (first.trial_id, first.attempt) == (second.trial_id, second.attempt)
        assert recorders[0].worker.lease_id == recorders[1].worker.lease_id
        recorders[0].store()
        assert recorders[1].ask().trial_id != first.trial_id
        recorders[1].store()


def test_a_result_and_the_reaper_at_the_same_moment(
    database, clock, train, new_worker, lease_settings: LeaseSettings
) -> None:
    """Whoever is first, nothing is half done: either the file is there, or the recording waits."""
    for number in range(3):
        trial = train()
        record_trial(database, trial, steps=20, every=1)
        recorder = Recorder(new_worker(f"w{number}"))
        recorder.ask(lease_id=None)
        clock.advance_seconds(61)
        outcome, _ = together(recorder.store, partial(reap, database, lease_settings))
        files = len(list_artifacts(database, trial).artifacts)
        assert (outcome, view(database, trial).state, files) in [("stored", "done", 1), ("gone", "queued", 0)]
        delete_sweep(database, read_trial(database, trial).sweep_id)
