"""The loop around a fake service and a fake bank: claim, refill, report, obey, hand back."""

from dataclasses import replace

import httpx
import pytest

from worker.errors import OutOfDeviceMemory, TrainerUnavailable, TrialError
from worker.loop import EXIT_ERROR, EXIT_REFUSED, EXIT_UPGRADE


def test_every_trial_is_trained_and_reported_from_the_probe_to_its_end(bench, service):
    service.add_trials(3, epochs=2)
    assert bench.run_until_idle() == 0
    assert service.states() == {"completed": 3}
    assert [trial.epochs for trial in service.trials.values()] == [[0, 1, 2]] * 3
    assert {trial.final["best_epoch"] for trial in service.trials.values()} == {2}
    assert {trial.final["test_accuracy"] for trial in service.trials.values()} == {0.002}


def test_the_probe_says_how_the_attempt_began(bench, service):
    service.add_trials(5, epochs=2)
    bench.run_until_idle()
    starts = [trial.starts for trial in service.trials.values()]
    expected = {
        "stream_seed": 7,
        "dataset_sha256": "0" * 64,
        "class_shares": (0.25, 0.75),
        "environment": {"device": "fake"},
    }
    assert starts[0] == [{**expected, "start_epoch": 0}]
    assert starts[4] == [{**expected, "start_epoch": 2}]


def test_the_bank_is_made_for_the_kinds_that_the_service_shows(bench, service):
    service.add_trials(2)
    bench.run_until_idle()
    assert [shown.optimizer for shown in bench.trainer.representatives] == ["adam"]
    assert [shown.hidden_units for shown in bench.trainer.representatives] == [(8,)]


def test_the_bank_measures_the_steps_that_the_service_wants(bench, service):
    service.statistics_every = 8
    service.add_trials(1)
    bench.run_until_idle()
    assert bench.trainer.statistics_every == 8


def test_free_slots_are_refilled_between_epochs_without_a_new_bank(bench, service):
    service.add_trials(2, epochs=1)
    service.add_trials(8, epochs=3)
    bench.run_until_idle()
    assert service.states() == {"completed": 10}
    assert len(bench.trainer.banks) == 1
    assert bench.trainer.trained[:2] == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert {claim.signature for claim in service.claims[1:4]} == {"a"}


def test_a_pruned_trials_slot_is_busy_in_the_next_epoch(bench, service):
    service.add_trials(5, epochs=3)
    service.directives["trl_1", 1] = "prune"
    bench.run_until_idle()
    assert bench.trainer.trained[:2] == [[0, 1, 2, 3], [0, 2, 3, 4]]
    assert service.states() == {"completed": 4, "pruned": 1}
    assert service.trials["trl_1"].epochs == [0, 1]


def test_a_bank_that_finds_nothing_of_its_signature_trains_on_and_the_next_bank_is_any(bench, service):
    service.add_trials(2, signature="a", epochs=3)
    service.add_trials(2, signature="b", epochs=1)
    bench.run_until_idle()
    assert bench.trainer.trained == [[0, 1], [0, 1], [0, 1], [2, 3]]
    assert len(bench.trainer.banks) == 2


def test_an_empty_answer_is_not_asked_for_again_before_its_time(bench, service):
    service.retry_after_ms = 2000
    service.add_trials(1, epochs=6)
    bench.run_until_idle()
    asked = [claim.signature for claim in service.claims]
    assert asked[:3] == [None, "a", "a"]
    assert asked.count("a") == 2


def test_a_bank_refilled_for_long_gives_way_to_another_signature(make_bench, service):
    bench = make_bench(slots=2, fairness_epochs=5)
    service.add_trials(1, signature="a", epochs=1)
    service.add_trials(3, signature="a", epochs=2)
    starving = service.add_trials(1, signature="b", epochs=1)
    service.add_trials(30, signature="a", epochs=2)
    bench.run_until_idle()
    order = [seeds for seeds in bench.trainer.trained if 4 in seeds]
    assert order == [[4]]
    assert bench.trainer.trained.index([4]) <= 8
    assert service.states() == {"completed": 35}
    assert service.trials[starving[0]].attempt == 2


def test_the_same_signature_keeps_its_bank_when_nothing_else_waits(make_bench, service):
    bench = make_bench(slots=2, fairness_epochs=5)
    service.add_trials(30, epochs=2)
    bench.run_until_idle()
    assert len(bench.trainer.banks) == 1
    assert all(len(seeds) == 2 for seeds in bench.trainer.trained)


@pytest.mark.parametrize(
    ("directive", "state", "epochs", "attempt"),
    [("stop", "cancelled", [0, 1], 1), ("prune", "pruned", [0, 1], 1), ("conflict", "completed", [0, 1, 0, 1, 2], 2)],
)
def test_directives_end_a_trial_at_the_epochs_end(bench, service, directive, state, epochs, attempt):
    service.add_trials(2, epochs=2)
    service.directives["trl_0", 1] = directive
    bench.time.at(1.5, service.directives.clear)
    bench.run_until_idle()
    trial = service.trials["trl_0"]
    assert (trial.state, trial.epochs, trial.attempt) == (state, epochs, attempt)
    assert service.trials["trl_1"].state == "completed"


def test_stop_is_acknowledged(bench, service):
    service.add_trials(1, epochs=3)
    service.directives["trl_0", 1] = "stop"
    bench.run_until_idle()
    assert service.trials["trl_0"].final == {"kind": "stopped"}


def test_a_trial_stopped_at_the_probe_is_not_trained(bench, service):
    service.add_trials(2, epochs=1)
    service.directives["trl_0", 0] = "stop"
    bench.run_until_idle()
    assert bench.trainer.trained == [[1]]


def test_a_trial_that_is_gone_is_not_trained_on_and_not_reported_again(bench, service):
    service.add_trials(2, epochs=4)
    bench.time.at(1.5, lambda: setattr(service.trials["trl_0"], "lease_id", "lse_other"))
    bench.run_until_idle()
    assert [0 in seeds for seeds in bench.trainer.trained] == [True, True, False, False]


def test_heartbeats_bring_stop_and_gone_between_reports(bench, service):
    service.add_trials(3, epochs=4)
    bench.time.at(0.5, lambda: setattr(service.trials["trl_0"], "told_to_stop", True))
    bench.time.at(0.5, lambda: setattr(service.trials["trl_1"], "lease_id", "lse_other"))
    bench.time.at(0.6, bench.worker.heartbeat.beat)
    bench.time.at(0.7, lambda: setattr(service.trials["trl_1"], "lease_id", "lse_1"))
    bench.run_until_idle()
    assert service.trials["trl_0"].state == "cancelled"
    assert service.trials["trl_1"].epochs == [0, 1]
    assert bench.trainer.trained == [[0, 1, 2], [2], [2], [2]]


def test_test_metrics_are_taken_at_each_improving_epoch_and_the_last_kept(bench, service):
    service.add_trials(1, epochs=4, at="best")
    accuracies = {1: 0.3, 2: 0.6, 3: 0.6, 4: 0.5}
    plain = bench.trainer.row
    bench.trainer.row = lambda key, spec, epoch: _with(plain(key, spec, epoch), val_accuracy=accuracies[epoch])
    tested = []
    bench.trainer.before_test = tested.append
    bench.run_until_idle()
    assert service.trials["trl_0"].final["best_epoch"] == 2
    assert service.trials["trl_0"].final["test_accuracy"] == 0.002
    assert len(tested) == 2


def test_a_trial_without_a_finite_epoch_is_tested_at_its_last(bench, service):
    service.add_trials(1, epochs=2, at="best")
    plain = bench.trainer.row
    bench.trainer.row = lambda key, spec, epoch: _with(plain(key, spec, epoch), val_accuracy=float("nan"))
    bench.run_until_idle()
    assert service.trials["trl_0"].final["best_epoch"] == 2


def test_values_that_are_not_finite_cross_the_wire_spelled_out(bench, service):
    service.add_trials(1, epochs=1)
    plain = bench.trainer.row
    bench.trainer.row = lambda key, spec, epoch: _with(plain(key, spec, epoch), train_loss=float("inf"))
    bench.run_until_idle()
    epoch = service.reports[-1][1].entries[0].epoch
    assert epoch.train_loss is None
    assert epoch.nonfinite_values == {"train_loss": "inf"}


def _with(row, **changes):
    return replace(row, **changes)


def test_a_trial_that_cannot_be_placed_fails_and_its_neighbours_go_on(bench, service):
    service.add_trials(4, epochs=1)

    def refuse(spec):
        if spec.seed == 2:
            raise TrialError("no such\0optimizer \ud800")

    bench.trainer.before_admit = refuse
    bench.run_until_idle()
    assert service.states() == {"completed": 3, "failed": 1}
    final = service.trials["trl_2"].final
    assert (final["failure_kind"], final["error_type"]) == ("error", "TrialError")
    assert final["message"] == "no suchoptimizer ?"
    assert "raise TrialError" in final["traceback"]


def test_a_trial_that_cannot_be_evaluated_fails_with_its_last_row(bench, service):
    service.add_trials(3, epochs=2)

    def refuse(spec):
        if spec.seed == 1:
            raise RuntimeError("boom")

    bench.trainer.before_test = refuse
    bench.run_until_idle()
    assert service.trials["trl_1"].final["message"] == "boom"
    assert service.trials["trl_1"].epochs == [0, 1, 2]
    assert service.states() == {"completed": 2, "failed": 1}


def test_a_row_with_impossible_numbers_fails_its_trial_alone(bench, service):
    service.add_trials(2, epochs=2)
    plain = bench.trainer.row
    bench.trainer.row = lambda key, spec, epoch: _with(
        plain(key, spec, epoch), val_accuracy={0: 1.5}.get(spec.seed, 0.5)
    )
    bench.run_until_idle()
    assert service.states() == {"completed": 1, "failed": 1}
    assert service.trials["trl_0"].final["error_type"] == "ValidationError"


def test_out_of_memory_halves_the_bank_until_it_fits(bench, service):
    service.add_trials(4, epochs=1)
    sizes = []

    def fit(n_slots):
        sizes.append(n_slots)
        if n_slots > 1:
            raise OutOfDeviceMemory("too large")

    bench.trainer.before_make = fit
    bench.run_until_idle()
    assert sizes[:3] == [4, 2, 1]
    assert service.states() == {"completed": 4}


def test_out_of_memory_in_an_epoch_starts_the_trials_again_in_half_the_slots(bench, service):
    service.add_trials(4, epochs=2)

    def fit(bank):
        if bank.n_slots == 4 and bank.bank_epoch == 1:
            raise OutOfDeviceMemory("too large")

    bench.trainer.before_epoch = fit
    bench.run_until_idle()
    assert service.states() == {"completed": 4}
    assert [bank.n_slots for bank in bench.trainer.banks] == [4, 2]
    assert service.trials["trl_0"].attempt == 2


def test_what_does_not_fit_one_slot_fails_as_out_of_memory(bench, service):
    service.add_trials(2, epochs=1)

    def never(n_slots):
        raise OutOfDeviceMemory("too large")

    bench.trainer.before_make = never
    bench.run_until_idle()
    assert service.states() == {"failed": 2}
    assert {trial.final["failure_kind"] for trial in service.trials.values()} == {"out_of_memory"}


def test_shapes_that_no_bank_can_be_made_for_fail_all_their_trials_at_once(bench, service):
    service.add_trials(3, signature="a", epochs=1)
    service.add_trials(1, signature="b", epochs=1)
    refusals = iter([TrialError("the batch is larger than the data")])

    def refuse_once(n_slots):
        for error in refusals:
            raise error

    bench.trainer.before_make = refuse_once
    bench.run_until_idle()
    assert service.states() == {"failed": 3, "completed": 1}
    assert service.trials["trl_2"].final["error_type"] == "TrialError"


def test_a_bank_that_rounds_its_slots_up_is_kept_and_filled_no_further_than_asked(make_bench, service):
    bench = make_bench(slots=3)
    bench.trainer.slots_per_tile = 4
    service.add_trials(9, epochs=2)
    bench.run_until_idle()
    assert len(bench.trainer.banks) == 1
    assert {len(seeds) for seeds in bench.trainer.trained} == {3}
    assert {trial.attempt for trial in service.trials.values()} == {1}


def test_out_of_memory_in_a_bank_that_rounds_up_comes_to_an_end(bench, service):
    bench.trainer.slots_per_tile = 4
    service.add_trials(2, epochs=1)

    def never(spec):
        raise OutOfDeviceMemory("too large")

    bench.trainer.before_admit = never
    bench.run_until_idle()
    assert service.states() == {"failed": 2}


def test_another_sweep_gets_a_bank_whose_stream_is_its_own(make_bench, service):
    bench = make_bench(slots=2)
    service.add_trials(2, epochs=3)
    for trial_id in service.add_trials(2, epochs=1):
        service.trials[trial_id].grant["sweep_id"] = "swp_2"
    bench.run_until_idle()
    assert len(bench.trainer.banks) == 2
    assert {trial.starts[0]["start_epoch"] for trial in service.trials.values()} == {0}


@pytest.mark.parametrize("culprit", [0, 3, 6])
def test_a_culprit_is_found_by_halving_and_takes_no_neighbour_with_it(bench, service, culprit):
    service.add_trials(8, epochs=2)

    def fail(bank):
        if culprit in bench.trainer.trained[-1]:
            raise RuntimeError("illegal instruction")

    bench.trainer.before_epoch = fail
    bench.run_until_idle()
    assert service.states() == {"completed": 7, "failed": 1}
    assert service.trials[f"trl_{culprit}"].final["error_type"] == "RuntimeError"
    assert len(bench.trainer.trained) < 40


def test_data_of_another_hash_goes_back_and_is_offered_no_more(bench, service):
    service.add_trials(1, dataset="digits")
    service.add_trials(1, dataset="other")
    service.dataset_sha256 = "1" * 64
    bench.run_until_idle()
    assert service.states() == {"waiting": 2}
    offered = [claim.worker.datasets for claim in service.claims]
    assert offered[:3] == [("digits", "other"), ("other",), ()]
    assert bench.trainer.trained == []


def test_data_that_came_after_the_start_are_offered_without_a_restart(bench, service):
    service.add_trials(1, epochs=1, dataset="late")
    bench.time.at(30, lambda: bench.trainer.names.append("late"))
    bench.run_until_idle()
    assert service.claims[0].worker.datasets == ("digits", "other")
    assert service.states() == {"completed": 1}


def test_a_lost_claim_is_asked_again_with_its_key_and_grants_nothing_twice(bench, service):
    service.add_trials(3, epochs=1)
    service.lose_answers_of["claims"] = 2
    bench.time.at(30, lambda: None)
    bench.run_until_idle()
    keys = [claim.claim_key for claim in service.claims]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert service.states() == {"completed": 3}
    assert {trial.attempt for trial in service.trials.values()} == {1}


def test_every_claim_has_a_key_of_its_own(bench, service):
    service.add_trials(6, epochs=1)
    bench.run_until_idle()
    keys = [claim.claim_key for claim in service.claims]
    assert len(set(keys)) == len(keys) > 2


def test_a_lost_report_is_sent_again(bench, service):
    service.add_trials(2, epochs=3)
    service.lose_answers_of["reports"] = 1
    bench.run_until_idle()
    assert service.states() == {"completed": 2}
    assert set(service.trials["trl_0"].epochs) == {0, 1, 2, 3}


def test_a_lease_that_ended_is_followed_by_another(bench, service):
    service.add_trials(1, epochs=3)
    bench.time.at(0.5, lambda: service.expire("lse_1"))
    bench.time.at(0.6, bench.worker.heartbeat.beat)
    bench.run_until_idle()
    assert service.states() == {"completed": 1}
    assert service.trials["trl_0"].attempt == 2
    assert service.trials["trl_0"].epochs == [0, 0, 1, 2, 3]


def test_a_drain_ends_the_epoch_reports_and_hands_back(bench, service):
    service.add_trials(3, epochs=5)
    bench.time.at(1.5, bench.stop.set)
    assert bench.run() == 0
    assert service.states() == {"waiting": 3}
    assert service.trials["trl_0"].epochs == [0, 1, 2]
    assert service.ended_leases == {"lse_1"}
    assert bench.folder.lease_id is None
    assert service.calls[-1] == "release"


def test_a_lease_that_ended_between_two_claims_is_followed_by_another(bench, service):
    service.add_trials(1, epochs=1)
    bench.time.at(3, lambda: service.expire("lse_1"))
    bench.time.at(3, lambda: service.add_trials(1, epochs=1))
    bench.time.at(9, lambda: None)
    bench.run_until_idle()
    assert service.states() == {"completed": 2}
    assert service.ended_leases == {"lse_1", "lse_2"}


def test_a_drain_under_a_lease_that_ended_forgets_it(bench, service):
    service.add_trials(1, epochs=9)
    bench.time.at(1.5, lambda: service.expire("lse_1"))
    bench.time.at(1.6, bench.stop.set)
    assert bench.run() == 0
    assert bench.folder.lease_id is None


def test_a_drain_while_idle_ends_the_lease(bench, service):
    service.add_trials(1, epochs=1)
    bench.run_until_idle()
    assert service.ended_leases == {"lse_1"}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("claims", 401, EXIT_REFUSED),
        ("claims", 403, EXIT_REFUSED),
        ("claims", 426, EXIT_UPGRADE),
        ("reports", 401, EXIT_REFUSED),
    ],
)
def test_a_service_that_refuses_the_worker_ends_it(bench, service, kind, status, code):
    service.add_trials(1)
    service.status_of[kind] = status
    assert bench.run_until_idle() == code


def test_a_service_of_another_version_gets_the_trials_back(bench, service):
    service.add_trials(2, epochs=1)
    service.add_trials(2, epochs=9)
    bench.time.at(0.5, lambda: service.status_of.update(claims=426))
    assert bench.run_until_idle() == EXIT_UPGRADE
    assert service.states() == {"completed": 2, "waiting": 2}


def test_a_machine_that_cannot_train_hands_back_and_ends(bench, service):
    service.add_trials(2)

    def unavailable(n_slots):
        raise TrainerUnavailable("no TensorFlow here")

    bench.trainer.before_make = unavailable
    assert bench.run_until_idle() == EXIT_REFUSED
    assert service.states() == {"waiting": 2}


def test_an_error_of_the_workers_own_hands_the_trials_back(bench, service, monkeypatch):
    service.add_trials(2, epochs=5)

    def slip():
        raise KeyError("a slip")

    bench.time.at(1.5, lambda: monkeypatch.setattr(bench.worker.heartbeat, "take_news", slip))
    assert bench.run_until_idle() == EXIT_ERROR
    assert service.states() == {"waiting": 2}
    assert service.ended_leases == {"lse_1"}


def test_a_refused_claim_is_tried_again_later(bench, service):
    service.add_trials(1, epochs=1)
    service.status_of["claims"] = 409
    bench.time.at(5, service.status_of.clear)
    bench.run_until_idle()
    assert service.states() == {"completed": 1}
    assert len(service.calls) < 20


def test_phases_are_told(bench, service, time):
    service.add_trials(1, epochs=3)
    for seconds in (0.5, 1.5):
        time.at(seconds, bench.worker.heartbeat.beat)
    bench.run_until_idle()
    bench.worker.heartbeat.beat()
    assert [beat.phase for beat in service.heartbeats] == ["training", "training"]
    assert [beat.steps_done for beat in service.heartbeats] == [10, 20]
    assert [beat.slots_filled for beat in service.heartbeats] == [1, 1]


def test_the_token_is_sent(bench, service):
    bench.run_until_idle()
    assert set(service.tokens) == {"Bearer secret"}


def test_answers_that_are_not_the_services_are_an_outage(bench, service, monkeypatch):
    service.add_trials(1, epochs=1)
    monkeypatch.setattr(service, "_ok", lambda answer: httpx.Response(200, text="<html>"))
    bench.time.at(9, monkeypatch.undo)
    bench.run_until_idle()
    assert service.states() == {"completed": 1}
