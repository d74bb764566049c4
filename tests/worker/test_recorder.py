"""Recordings by the real loop around fakes: when they are taken, and what becomes of them when something fails."""

from dataclasses import replace

import pytest

from worker.errors import DatasetNotFound, OutOfDeviceMemory, TrialError
from worker.loop import EXIT_DRAINED

HEADER = "step,layer,loss,global_norm,grad_norm,grad_rms,bias_grad_rms,update_ratio,weight_norm"


@pytest.fixture
def ended(service):
    """A trial that has ended; its id."""
    [trial_id] = service.add_trials(1)
    service.trials[trial_id].state = "completed"
    return trial_id


def results(service):
    return [report.result for _, report in service.recorded]


def test_an_idle_worker_makes_a_recording_and_delivers_it(bench, service, ended):
    recording = service.add_recording(ended, steps=15)
    assert bench.run_until_idle() == EXIT_DRAINED
    [result] = results(service)
    assert (recording.state, result.kind, result.differs_from_epoch) == ("done", "recorded", None)
    lines = result.csv.splitlines()
    assert lines[0] == HEADER
    assert lines[1] == "1,1,1,1,1,0.5,1,1,1"
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in range(1, 16)]


def test_the_heartbeat_says_what_goes_on(bench, service, ended):
    service.add_recording(ended, n_epochs=2)
    bench.trainer.before_epoch = lambda _: bench.worker.heartbeat.renew()
    bench.run_until_idle()
    assert {beat.phase for beat in service.heartbeats} == {"recording"}
    assert service.heartbeats[-1].idle_slot_seconds["recording"] == 4 * 1.0
    assert [beat.steps_done for beat in service.heartbeats] == [0, 10]


def test_only_as_many_epochs_are_trained_as_hold_the_steps(bench, service, ended):
    service.add_recording(ended, n_epochs=5, steps=11)
    bench.run_until_idle()
    assert bench.trainer.trained == [[3], [3]]


def test_what_differs_from_the_stored_is_told(bench, service, ended):
    recording = service.add_recording(ended)
    recording.stored = (*recording.stored[:2], replace(recording.stored[1], epoch=2))
    bench.run_until_idle()
    assert [result.differs_from_epoch for result in results(service)] == [2]


def test_trials_come_first_and_one_recording_between_two_banks(bench, service, ended):
    service.add_trials(1, signature="a", epochs=1)
    service.add_trials(1, signature="b", epochs=1)
    for other in service.add_trials(2):
        service.trials[other].state = "completed"
        service.add_recording(other, n_epochs=1)
    bench.run_until_idle()
    assert bench.trainer.trained == [[1], [3], [2], [3]]
    assert [recording.state for recording in service.recordings] == ["done", "done"]
    assert service.states()["completed"] == 5


def test_the_kept_bank_is_not_mistaken_for_the_recordings(bench, service, ended):
    """The same signature after a recording: the bank goes on in its own stream, and its steps count on."""
    service.add_trials(1, epochs=1)
    service.add_recording(ended, n_epochs=2)
    bench.time.at(1.5, lambda: service.add_trials(1, epochs=1))
    bench.run_until_idle()
    assert len(bench.trainer.banks) == 1
    assert bench.worker.pulse.steps() == 20


def test_a_claim_whose_answer_was_lost_is_asked_again_as_it_was(bench, service, ended):
    recording = service.add_recording(ended)
    service.lose_answers_of["recordings"] = 1
    bench.time.at(60, bench.stop.set)
    bench.run()
    assert (recording.state, recording.attempt, len(results(service))) == ("done", 1, 1)
    assert bench.worker.pulse.lease_id is None


def test_a_result_whose_answer_was_lost_is_sent_again_as_it_was(bench, service, ended):
    recording = service.add_recording(ended)
    bench.trainer.before_replay = lambda: service.lose_answers_of.update(recordings=2)
    bench.time.at(60, bench.stop.set)
    bench.run()
    first, *others = service.recorded
    assert others == [first, first]
    assert (recording.state, bench.trainer.trained) == ("done", [[3], [3]])


def test_nothing_is_claimed_while_a_result_waits(bench, service, ended):
    service.add_recording(ended, n_epochs=1)
    bench.trainer.before_epoch = lambda _: setattr(service, "is_away", True)
    bench.time.at(20, lambda: setattr(service, "is_away", False))
    bench.time.at(60, bench.stop.set)
    n_claims = len(service.claims) + 1
    bench.time.at(19, lambda: pytest.fail("claimed") if len(service.claims) > n_claims else None)
    bench.run()
    assert [result.kind for result in results(service)] == ["recorded"]


def test_a_lost_lease_ends_it_and_it_is_made_again(bench, service, ended):
    recording = service.add_recording(ended, n_epochs=3)
    bench.trainer.before_epoch = lambda _: (bench.worker.heartbeat.renew(), service.ended_leases or expire(service))
    bench.run_until_idle()
    assert (recording.state, recording.attempt) == ("done", 2)
    assert [(lease, report.attempt) for lease, report in service.recorded] == [("lse_2", 2)]


def expire(service):
    service.expire("lse_1")


def test_a_result_of_a_lease_that_has_ended_is_dropped(bench, service, ended):
    recording = service.add_recording(ended, n_epochs=1)
    bench.trainer.before_epoch = lambda _: service.ended_leases or expire(service)
    bench.run_until_idle()
    assert [(lease, report.attempt) for lease, report in service.recorded][-1] == ("lse_2", 2)
    assert (recording.state, recording.attempt) == ("done", 2)


def test_a_worker_that_drains_hands_it_back(bench, service, ended):
    recording = service.add_recording(ended, n_epochs=9)
    bench.time.at(3, bench.stop.set)
    assert bench.run() == EXIT_DRAINED
    assert (recording.state, results(service)) == ("queued", [])
    assert len(bench.trainer.trained) < 9
    assert service.calls[-1] == "release"


def test_an_error_fails_it_with_its_words(bench, service, ended):
    recording = service.add_recording(ended)

    def fail():
        raise TrialError("no such activation")

    bench.trainer.before_replay = fail
    bench.run_until_idle()
    assert (recording.state, results(service)[0].reason) == ("failed", "TrialError: no such activation")


def test_without_the_data_it_goes_back_and_is_not_asked_for_again(bench, service, ended):
    recording = service.add_recording(ended)

    def miss(dataset):
        raise DatasetNotFound("no file")

    bench.trainer.load = miss
    bench.run_until_idle()
    assert (recording.state, recording.attempt) == ("queued", 1)
    assert [result.kind for result in results(service)] == ["released"]


def test_a_kept_bank_makes_room_on_the_device(bench, service, ended):
    service.add_trials(1, epochs=1)
    recording = service.add_recording(ended, n_epochs=1)
    errors = [OutOfDeviceMemory("full")]

    def fill():
        raise errors.pop() if errors else OutOfDeviceMemory("still full")

    bench.trainer.before_replay = fill
    bench.run_until_idle()
    assert [result.kind for result in results(service)] == ["released", "failed"]
    assert (recording.state, results(service)[1].reason) == ("failed", "OutOfDeviceMemory: still full")


def test_a_service_that_knows_no_recordings_is_asked_once(bench, service):
    service.add_trials(1, epochs=1)
    service.status_of["recordings"] = 404
    bench.time.at(30, bench.stop.set)
    bench.run()
    assert (service.n_recording_claims, service.states()) == (0, {"completed": 1})


def test_a_recording_that_hangs_ends_the_process(bench, service, ended):
    """The first epoch compiles, and may take its time."""
    service.add_recording(ended, n_epochs=2)
    n_exits = []

    def hang(bank):
        bench.worker.heartbeat.beat()
        bench.time.pass_by(400.0)
        bench.worker.heartbeat.beat()
        n_exits.append(len(bench.exits))

    bench.trainer.before_epoch = hang
    bench.run_until_idle()
    assert (n_exits, bench.exits) == ([0, 1], [70])
