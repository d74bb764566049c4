"""The service goes away and comes back; the worker is killed and starts again. No report is lost or sent in vain."""

import logging
from dataclasses import replace

import httpx
import pytest

from worker.loop import EXIT_REFUSED


def away_between(bench, start, end):
    bench.time.at(start, lambda: setattr(bench.service, "is_away", True))
    bench.time.at(end, lambda: setattr(bench.service, "is_away", False))


def test_trials_train_on_through_an_outage_and_every_epoch_arrives_in_order(bench, service):
    service.add_trials(3, epochs=6)
    away_between(bench, 1.5, 40)
    bench.run_until_idle()
    assert service.states() == {"completed": 3}
    assert [trial.epochs for trial in service.trials.values()] == [[0, 1, 2, 3, 4, 5, 6]] * 3
    assert len(bench.trainer.trained) == 6
    assert bench.spooled() == []


def test_after_an_outage_the_heartbeat_comes_before_the_reports(bench, service):
    service.add_trials(1, epochs=3)
    away_between(bench, 0.5, 40)
    bench.run_until_idle()
    back = len(service.calls) - service.calls[::-1].index("heartbeat") - 1
    assert service.calls[back : back + 2] == ["heartbeat", "reports"]
    assert service.trials["trl_0"].epochs == [0, 1, 2, 3]


def test_nothing_is_claimed_before_the_spool_is_empty(bench, service):
    service.add_trials(5, epochs=2)
    away_between(bench, 0.5, 40)
    bench.run_until_idle()
    reported = [len(report.entries) for _, report in service.reports]
    assert service.states() == {"completed": 5}
    assert reported[1] == 8
    assert bench.trainer.trained == [[0, 1, 2, 3]] * 2 + [[4]] * 2


def test_nothing_is_claimed_while_reports_alone_do_not_get_through(bench, service):
    service.add_trials(5, epochs=2)
    bench.time.at(0.5, lambda: service.status_of.update(reports=503))
    n_claims = []
    bench.time.at(29, lambda: n_claims.append(len(service.claims)))
    bench.time.at(30, service.status_of.clear)
    bench.run_until_idle()
    assert n_claims == [1]
    assert service.states() == {"completed": 5}


def test_a_directive_that_comes_late_is_obeyed(bench, service):
    service.add_trials(2, epochs=30)
    service.directives["trl_0", 2] = "prune"
    service.directives["trl_1", 3] = "stop"
    away_between(bench, 1.5, 9.5)
    bench.run_until_idle()
    assert service.states() == {"pruned": 1, "cancelled": 1}
    assert len(bench.trainer.trained) < 30


def test_tries_grow_rarer_up_to_a_limit_and_go_on_for_ever(bench, service):
    service.is_away = True
    bench.time.at(3600, lambda: setattr(service, "is_away", False))
    service.add_trials(1, epochs=1)
    bench.run_until_idle()
    n_tries = service.calls.index("reports")
    assert 3600 / 15 < n_tries < 3600 / 7.5 + 10
    assert service.states() == {"completed": 1}


def test_an_outage_is_said_once_and_its_end_too(bench, service, caplog):
    caplog.set_level(logging.INFO, "worker")
    service.add_trials(2, epochs=9)
    away_between(bench, 0.5, 60)
    bench.run_until_idle()
    said = [record.getMessage() for record in caplog.records]
    assert sum("service away" in line for line in said) == 1
    assert sum("service back after" in line for line in said) == 1
    assert sum("replayed 18 reports" in line for line in said) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_service_that_cannot_answer_now_is_an_outage(bench, service, status):
    service.add_trials(2, epochs=4)
    bench.time.at(1.5, lambda: service.status_of.update(reports=status, heartbeat=status, claims=status))
    bench.time.at(30, service.status_of.clear)
    bench.run_until_idle()
    assert [trial.epochs for trial in service.trials.values()] == [[0, 1, 2, 3, 4]] * 2


def test_a_full_spool_makes_training_wait_and_loses_nothing(make_bench, service):
    bench = make_bench(spool_max_mb=1)
    plain = bench.trainer.row
    bench.trainer.row = lambda key, spec, epoch: _with_layers(plain(key, spec, epoch), 200)
    service.add_trials(2, epochs=20)
    away_between(bench, 0.5, 120)
    seen = []
    bench.time.at(119, lambda: seen.extend([len(bench.trainer.trained), bench.worker.pulse.phase]))
    bench.run_until_idle()
    assert 5 < seen[0] < 15
    assert seen[1] == "idle"
    assert [trial.epochs for trial in service.trials.values()] == [list(range(21))] * 2


def test_a_disk_that_takes_no_report_makes_training_wait_and_loses_nothing(bench, service, monkeypatch):
    service.add_trials(2, epochs=20)
    away_between(bench, 0.5, 60)

    def broken(entries):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bench.worker.spool, "append", broken)
    bench.run_until_idle()
    assert [trial.epochs for trial in service.trials.values()] == [list(range(21))] * 2


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_poison_entry_is_parked_its_trial_fails_and_the_others_pass(bench, service, epoch):
    service.add_trials(4, epochs=2)
    service.refuses = lambda entry: entry.trial_id == "trl_2" and entry.epoch is not None and entry.epoch.epoch == epoch
    bench.run_until_idle()
    assert service.states() == {"completed": 3, "failed": 1}
    assert service.trials["trl_2"].final["error_type"] == "ReportRefused"
    [parked] = bench.rejected()
    assert parked["entry"]["trial_id"] == "trl_2"
    assert "poison" in parked["reason"]
    assert [trial.epochs for number, trial in service.trials.items() if number != "trl_2"] == [[0, 1, 2]] * 3


def test_a_poison_entry_in_the_spool_does_not_block_it(bench, service):
    service.add_trials(4, epochs=3)
    service.refuses = lambda entry: entry.trial_id == "trl_1" and entry.epoch is not None and entry.epoch.epoch == 2
    away_between(bench, 0.5, 30)
    bench.run_until_idle()
    assert service.states() == {"completed": 4}
    assert service.trials["trl_1"].epochs == [0, 1, 3]
    assert len(bench.rejected()) == 1


def test_a_trial_whose_failure_is_refused_too_goes_back(bench, service):
    service.add_trials(1, epochs=2)
    service.refuses = lambda entry: entry.attempt == 1
    bench.run_until_idle()
    assert service.trials["trl_0"].attempt == 2
    assert service.states() == {"completed": 1}


def test_reports_of_a_lease_that_is_no_more_are_parked_not_retried(bench, service):
    service.add_trials(1, epochs=2)
    bench.time.at(0.5, lambda: service.status_of.update(reports=404))
    bench.time.at(20, lambda: None)
    bench.run_until_idle()
    assert [parked["entry"]["trial_id"] for parked in bench.rejected()] == ["trl_0"]


def _with_layers(row, n_layers):
    return replace(row, layers=tuple(replace(row.layers[0], layer=number + 1) for number in range(n_layers)))


def test_a_report_lost_after_it_was_stored_ends_nothing_twice(bench, service):
    service.add_trials(2, epochs=2)
    bench.time.at(1.5, lambda: service.lose_answers_of.update(reports=1))
    bench.run_until_idle()
    assert service.states() == {"completed": 2}
    assert service.trials["trl_0"].attempt == 1


def test_a_restart_delivers_what_was_spooled_and_hands_back_the_rest(make_bench, service, time):
    service.add_trials(1, epochs=3)
    service.add_trials(1, epochs=50)
    before = make_bench()
    away_between(before, 1.5, 300)
    time.at(10.5, before.stop.set)
    before.run()
    before.kill()
    after = make_bench()
    assert after.run_until_idle() == 0
    done, again = service.trials.values()
    assert (done.state, done.attempt, done.epochs) == ("completed", 1, [0, 1, 2, 3])
    assert again.attempt == 2
    assert again.epochs[:12] == list(range(12))
    assert service.trials["trl_1"].state == "completed"
    assert "lse_1" in service.ended_leases
    assert after.folder.worker_id == before.folder.worker_id


def test_a_restart_after_a_kill_hands_back_before_it_claims(make_bench, service, time):
    service.add_trials(2, epochs=3)
    before = make_bench()

    class Killed(BaseException):
        pass

    def kill(bank):
        if bank.bank_epoch == 1:
            raise Killed

    before.trainer.before_epoch = kill
    with pytest.raises(Killed):
        before.run()
    before.kill()
    n_calls = len(service.calls)
    make_bench().run_until_idle()
    assert service.calls[n_calls : n_calls + 2] == ["release", "claims"]
    assert [trial.epochs for trial in service.trials.values()] == [[0, 1, 0, 1, 2, 3]] * 2


def test_a_restart_waits_for_the_service(make_bench, service, time):
    before = make_bench()
    before.folder.remember_lease("lse_1")
    before.kill()
    after = make_bench()
    service.is_away = True
    time.at(100, lambda: setattr(service, "is_away", False))
    after.run_until_idle()
    assert set(service.calls[: service.calls.index("claims")]) == {"release"}


def test_a_restart_finds_its_lease_expired_and_goes_on(make_bench, service):
    before = make_bench()
    before.folder.remember_lease("lse_1")
    before.kill()
    service.status_of["release"] = 404
    service.add_trials(1, epochs=1)
    make_bench().run_until_idle()
    assert service.states() == {"completed": 1}


def test_what_a_neighbour_left_behind_is_settled_too(make_bench, service, time):
    service.add_trials(2, epochs=3)
    first = make_bench()
    second = make_bench(slots=2)
    away_between(second, 1.5, 20)
    time.at(10, second.stop.set)
    second.run()
    second.kill()
    assert service.states() == {"running": 2}
    first.run_until_idle()
    assert service.states() == {"completed": 2}
    assert {trial.attempt for trial in service.trials.values()} == {1}


def test_a_token_that_is_refused_after_an_outage_keeps_the_reports(bench, service):
    service.add_trials(2, epochs=20)
    bench.time.at(1.5, lambda: setattr(service, "is_away", True))
    bench.time.at(5.5, lambda: setattr(service, "is_away", False))
    bench.time.at(5.5, lambda: service.status_of.update(heartbeat=401, reports=401, release=401))
    assert bench.run() == EXIT_REFUSED
    assert len(bench.spooled()) >= 8
    assert bench.folder.lease_id == "lse_1"


def test_a_drain_while_the_service_is_away_keeps_reports_and_lease_for_the_next_start(bench, service):
    service.add_trials(1, epochs=9)
    bench.time.at(1.5, lambda: setattr(service, "is_away", True))
    bench.time.at(4.5, bench.stop.set)
    assert bench.run() == 0
    assert [line["entry"]["epoch"]["epoch"] for line in bench.spooled()] == [2, 3, 4, 5]
    assert bench.folder.lease_id == "lse_1"


def test_a_release_that_could_not_be_sent_is_sent_later(make_bench, service):
    bench = make_bench()
    service.add_trials(2, epochs=2)
    service.dataset_sha256 = "1" * 64
    service.status_of["release"] = 503
    bench.time.at(20, service.status_of.clear)
    bench.run_until_idle()
    assert service.states() == {"waiting": 2}
    assert service.trials["trl_0"].lease_id is None


def test_a_proxy_of_the_outer_world_is_not_used_on_loopback(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    from worker.client import ServiceClient

    requests = []

    def handle(request):
        requests.append(request.url.host)
        return httpx.Response(404, json={"detail": "no such lease"})

    client = ServiceClient(
        "http://127.0.0.1:8321", token=None, timeout_seconds=1, transport=httpx.MockTransport(handle)
    )
    with pytest.raises(Exception, match="no such lease"):
        client.report("lse_1", ["{}"])
    client.close()
    assert requests == ["127.0.0.1"]


def test_a_drain_cut_short_leaves_the_lease_to_the_next_start_if_reports_wait(bench, service):
    service.add_trials(1, epochs=9)
    bench.time.at(1.5, lambda: setattr(service, "is_away", True))
    bench.time.at(3.2, lambda: setattr(service, "is_away", False))
    bench.time.at(3.2, lambda: setattr(bench.worker.pulse, "drain_until", bench.time.now))
    bench.time.at(3.3, bench.worker.heartbeat.beat)
    bench.time.at(3.3, bench.stop.set)
    seen = []
    bench.time.at(3.4, lambda: seen.extend([*bench.exits, *service.ended_leases]))
    bench.run()
    assert seen == [0]


def test_a_drain_cut_short_hands_back_at_once_if_nothing_waits(bench, service):
    service.add_trials(1, epochs=9)
    bench.time.at(3.2, lambda: setattr(bench.worker.pulse, "drain_until", bench.time.now))
    bench.time.at(3.3, bench.worker.heartbeat.beat)
    bench.time.at(3.3, bench.stop.set)
    seen = []
    bench.time.at(3.4, lambda: seen.extend([*bench.exits, *service.ended_leases]))
    bench.run()
    assert seen == [0, "lse_1"]
