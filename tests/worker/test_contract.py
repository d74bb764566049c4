"""The real worker, its bank apart, against the real service in process: both sides of the wire mean the same."""

from collections import Counter
from dataclasses import replace

import httpx
import pytest
from starlette.testclient import TestClient

import service.api.leases
from service.app import create_app, lease_settings_of
from service.operations.reaping import Reaper
from service.settings import ServiceSettings
from worker.errors import TrialError
from worker.loop import EXIT_REFUSED, EXIT_UPGRADE

SWEEP = {
    "name": "contract",
    "dataset": "digits",
    "method": "random",
    "metric": {"name": "val_accuracy"},
    "run_cap": 6,
    "max_parallel": 6,
    "seed": 7,
    "parameters": {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0}, "epochs": 3},
}


class Line(httpx.BaseTransport):
    """The network between worker and service: it can be cut, and it can lose answers after the work was done."""

    def __init__(self, app):
        self._app = TestClient(app, base_url="http://127.0.0.1:8321")
        self.is_cut = False
        self.losses: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.kinds: list[str] = []

    def handle_request(self, request):
        if self.is_cut:
            raise httpx.ConnectError("connection refused")
        answer = self._app.request(
            request.method, request.url.path, content=request.read(), headers=dict(request.headers)
        )
        kind = request.url.path.replace(":", "/").rsplit("/", 1)[1]
        self.kinds.append(kind)
        self.statuses[answer.status_code] += 1
        if self.losses[kind] > 0:
            self.losses[kind] -= 1
            raise httpx.ReadTimeout("timed out")
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)


class Site:
    """A service with its line, and questions that a user would ask."""

    def __init__(self, database, settings):
        self.app = create_app(settings, database)
        self.reaper = Reaper(database, lease_settings_of(settings))
        self.line = Line(self.app)
        self._user = TestClient(self.app, base_url="http://127.0.0.1:8321")

    def submit(self, **changes):
        answer = self._user.post("/v1/sweeps", json={**SWEEP, **changes})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def ask(self, path):
        answer = self._user.get(f"/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path):
        answer = self._user.post(f"/v1/{path}")
        assert answer.status_code < 300, answer.text

    def counts(self, sweep="contract"):
        return {state: n for state, n in self.ask(f"sweeps/{sweep}")["counts"].items() if n}

    def trials(self, sweep="contract"):
        return self.ask(f"sweeps/{sweep}/trials?page_size=100")["trials"]

    def epochs(self, trial_id):
        return [row["epoch"] for row in self.ask(f"trials/{trial_id}/epochs")["epochs"]]


on_both_databases = pytest.mark.parametrize("record", ["sqlite_database", "postgresql_database"], indirect=True)


@pytest.fixture
def record(request):
    """The service's database: SQLite unless the test is marked `on_both_databases`."""
    return request.getfixturevalue(getattr(request, "param", "sqlite_database"))


@pytest.fixture
def site(record, tmp_path, time, clock):
    time.followers.append(clock.advance_seconds)
    return Site(record, ServiceSettings(data_dir=tmp_path))


@pytest.fixture
def make_worker(make_bench, site):
    return lambda **settings: make_bench(transport=site.line, **settings)


@on_both_databases
def test_a_sweep_is_trained_to_its_end(site, make_worker):
    site.submit()
    worker = make_worker()
    assert worker.run_until_idle() == 0
    assert site.ask("sweeps/contract")["state"] == "completed"
    assert site.counts() == {"completed": 6}
    assert {tuple(site.epochs(trial["id"])) for trial in site.trials()} == {(0, 1, 2, 3)}
    assert {trial["attempt"] for trial in site.trials()} == {1}
    assert len(worker.trainer.banks) == 1
    assert set(site.line.statuses) == {200}


def test_the_best_epochs_test_metrics_arrive(site, make_worker):
    site.submit(metric={"name": "val_accuracy", "at": "best"}, run_cap=2)
    worker = make_worker()
    accuracies = {1: 0.5, 2: 0.7, 3: 0.6}
    plain = worker.trainer.row
    worker.trainer.row = lambda key, spec, epoch: replace(plain(key, spec, epoch), val_accuracy=accuracies[epoch])
    worker.run_until_idle()
    [first, _] = site.trials()
    assert (first["objective"], first["best_epoch"], first["test_accuracy"]) == (0.7, 2, 0.002)


@on_both_databases
def test_an_outage_loses_no_epoch_and_costs_no_attempt(site, make_worker, time):
    site.submit()
    worker = make_worker()
    time.at(1.5, lambda: setattr(site.line, "is_cut", True))
    time.at(45, lambda: setattr(site.line, "is_cut", False))
    worker.run_until_idle()
    assert site.counts() == {"completed": 6}
    assert {tuple(site.epochs(trial["id"])) for trial in site.trials()} == {(0, 1, 2, 3)}
    assert {trial["attempt"] for trial in site.trials()} == {1}
    assert worker.spooled() == []


def test_an_outage_longer_than_the_lease_loses_no_epoch_if_nobody_reaped(site, make_worker, time):
    site.submit(run_cap=2)
    worker = make_worker()
    time.at(0.5, lambda: setattr(site.line, "is_cut", True))
    time.at(3600, lambda: setattr(site.line, "is_cut", False))
    worker.run_until_idle()
    assert site.counts() == {"completed": 2}
    assert {tuple(site.epochs(trial["id"])) for trial in site.trials()} == {(0, 1, 2, 3)}


@on_both_databases
@pytest.mark.parametrize("kind", ["claims", "reports"])
def test_answers_lost_after_the_work_was_done_change_nothing(site, make_worker, time, kind):
    site.submit()
    worker = make_worker()
    site.line.losses[kind] = 3
    time.at(20, lambda: None)
    worker.run_until_idle()
    assert site.counts() == {"completed": 6}
    assert {tuple(site.epochs(trial["id"])) for trial in site.trials()} == {(0, 1, 2, 3)}
    assert {trial["attempt"] for trial in site.trials()} == {1}


def test_a_drain_hands_back_at_no_cost_and_the_next_worker_finishes(site, make_worker, time):
    site.submit(run_cap=4)
    first = make_worker()
    time.at(1.5, first.stop.set)
    assert first.run() == 0
    assert site.counts() == {"waiting": 4}
    first.kill()
    make_worker().run_until_idle()
    assert site.counts() == {"completed": 4}
    assert {(trial["attempt"], trial["lost"]) for trial in site.trials()} == {(2, 0)}


class Killed(BaseException):
    """Ends a worker in the middle of an epoch, as SIGKILL would."""


def _kill(*_):
    raise Killed


@on_both_databases
def test_a_killed_worker_that_starts_again_costs_no_life(site, make_worker, time):
    site.submit(run_cap=4)
    first = make_worker()
    time.at(1.5, _kill)
    with pytest.raises(Killed):
        first.run()
    assert site.counts() == {"running": 4}
    first.kill()
    make_worker().run_until_idle()
    assert site.counts() == {"completed": 4}
    assert {(trial["attempt"], trial["lost"]) for trial in site.trials()} == {(2, 0)}


def test_reports_spooled_before_a_restart_are_delivered_after_it(site, make_worker, time):
    site.submit(run_cap=4)
    first = make_worker()
    time.at(1.5, lambda: setattr(site.line, "is_cut", True))
    time.at(20, first.stop.set)
    time.at(20, lambda: setattr(site.line, "is_cut", True))
    first.run()
    first.kill()
    assert site.counts() == {"running": 4}
    site.line.is_cut = False
    make_worker().run_until_idle()
    assert site.counts() == {"completed": 4}
    assert {trial["attempt"] for trial in site.trials()} == {1}


def test_a_worker_whose_lease_was_reaped_stops_training_and_claims_anew(site, make_worker, time, clock):
    site.submit(run_cap=2, parameters={**SWEEP["parameters"], "epochs": 5})
    worker = make_worker()
    site.reaper.tick()

    def reap():
        clock.advance_seconds(6)
        site.reaper.tick()

    def sleep():
        for _ in range(30):
            reap()

    time.at(1.5, sleep)
    time.at(1.6, worker.worker.heartbeat.beat)
    worker.run_until_idle()
    assert site.counts() == {"completed": 2}
    assert {(trial["attempt"], trial["lost"]) for trial in site.trials()} == {(2, 1)}
    assert site.line.statuses[409] >= 1


def test_a_cancelled_sweep_empties_its_slots(site, make_worker, time):
    site.submit(run_cap=4, parameters={**SWEEP["parameters"], "epochs": 50})
    worker = make_worker()
    time.at(2.5, lambda: site.post("sweeps/contract:cancel"))
    worker.run_until_idle()
    assert site.counts() == {"cancelled": 4}
    assert site.ask("sweeps/contract")["state"] == "cancelled"
    assert len(worker.trainer.trained) == 3


def test_a_heartbeat_tells_of_a_stop_during_an_epoch(site, make_worker, time):
    site.submit(run_cap=2, parameters={**SWEEP["parameters"], "epochs": 50})
    worker = make_worker()
    time.at(2.4, lambda: site.post(f"trials/{site.trials()[0]['id']}:cancel"))
    time.at(2.5, worker.worker.heartbeat.beat)
    time.at(4.5, worker.stop.set)
    worker.run()
    assert site.counts() == {"cancelled": 1, "waiting": 1}


def test_pruned_trials_make_room_at_once(site, make_worker):
    site.submit(run_cap=20, max_parallel=4, early_terminate={"type": "hyperband", "min_iter": 1, "eta": 3})
    worker = make_worker()
    plain = worker.trainer.row
    worker.trainer.row = lambda key, spec, epoch: replace(
        plain(key, spec, epoch), val_accuracy=(spec.seed * 7919 % 1000) / 1000
    )
    worker.run_until_idle()
    counts = site.counts()
    assert counts["pruned"] + counts["completed"] == 20
    assert counts["pruned"] >= 5
    assert [len(seeds) for seeds in worker.trainer.trained[:4]] == [4] * 4


def test_a_trial_that_diverges_is_pruned_not_failed(site, make_worker):
    site.submit(run_cap=3)
    worker = make_worker()
    plain = worker.trainer.row
    loss = {1: float("inf"), 2: float("nan")}
    worker.trainer.row = lambda key, spec, epoch: replace(
        plain(key, spec, epoch), train_loss=loss.get(spec.seed % 3, 0.5)
    )
    worker.run_until_idle()
    assert site.counts() == {"completed": 1, "pruned": 2}


def test_a_trial_that_cannot_be_trained_fails_with_its_reason(site, make_worker):
    site.submit(run_cap=3, failure_limit=1.0)
    worker = make_worker()

    def refuse(spec):
        if spec.seed % 3 == 0:
            raise TrialError("no \0such \ud800 thing " + "x" * 9999)

    worker.trainer.before_admit = refuse
    worker.run_until_idle()
    assert site.counts() == {"completed": 2, "failed": 1}
    [failed] = [trial for trial in site.trials() if trial["state"] == "failed"]
    assert failed["failure"]["kind"] == "error"
    assert failed["failure"]["message"].startswith("no such ? thing")


def test_a_report_that_is_packed_arrives(site, make_worker):
    site.submit(run_cap=4)
    worker = make_worker()
    plain = worker.trainer.row

    def deep(key, spec, epoch):
        row = plain(key, spec, epoch)
        return replace(row, layers=tuple(replace(row.layers[0], layer=layer + 1) for layer in range(100)))

    worker.trainer.row = deep
    worker.run_until_idle()
    assert site.counts() == {"completed": 4}
    assert set(site.line.statuses) == {200}


def test_two_workers_share_a_sweep(site, make_worker, time):
    site.submit(run_cap=8, max_parallel=8)
    first, second = make_worker(), make_worker()
    time.at(1.5, second.stop.set)
    time.at(1.4, second.run)
    first.run_until_idle()
    assert site.counts() == {"completed": 8}


def test_a_worker_of_another_protocol_ends(site, make_worker, monkeypatch):
    monkeypatch.setattr(service.api.leases, "SERVED_PROTOCOLS", (2, 3))
    assert make_worker().run_until_idle() == EXIT_UPGRADE


def test_the_token_is_needed_and_the_right_one_is_enough(sqlite_database, tmp_path, make_bench, time):
    path = tmp_path / "token"
    path.write_text("another secret, long enough")
    site = Site(sqlite_database, ServiceSettings(data_dir=tmp_path, token_file=path))
    assert make_bench(transport=site.line).run_until_idle() == EXIT_REFUSED
    assert site.line.statuses == {401: 1}
