"""Reports on their way: packed into what the service takes, in order, and kept when they cannot go."""

import json
import logging

import pytest

from service.wire.leases import EntryAnswer, ReleaseAnswer, ReportAnswer, ReportEntry, Start
from worker.client import Backoff
from worker.errors import RequestRefused, ServiceAway
from worker.outbox import MAX_BODY_BYTES, Outbox
from worker.spool import Spool


class Counter:
    """A service that counts what comes."""

    def __init__(self):
        self.batches = []
        self.releases = []
        self.errors = []
        self.max_entries = 10**6

    def report(self, lease_id, entries):
        if self.errors:
            raise self.errors.pop(0)
        if len(entries) > self.max_entries:
            raise RequestRefused(413, "too large")
        self.batches.append((lease_id, [json.loads(entry)["trial_id"] for entry in entries], sum(map(len, entries))))
        return ReportAnswer(
            entries=tuple(
                EntryAnswer(trial_id=json.loads(entry)["trial_id"], attempt=1, epoch=None, directive="continue")
                for entry in entries
            )
        )

    def release(self, lease_id, request):
        self.releases.append((lease_id, [each.trial_id for each in request.trials]))
        return ReleaseAnswer(released=())


@pytest.fixture
def counter():
    return Counter()


@pytest.fixture
def renewals():
    return []


@pytest.fixture
def outbox(tmp_path, time, counter, renewals):
    spool = Spool(tmp_path / "spool.jsonl", 10**9)
    yield Outbox(
        client=counter,
        spool=spool,
        renew=lambda: renewals.append(time.now),
        backoff=Backoff(time.clock, lambda: 0.5),
        log=logging.getLogger("worker"),
    )
    spool.close()


def entries(n, n_values=0):
    environment = {f"k{number}": "x" * 512 for number in range(n_values)}
    start = Start(stream_seed=1, start_epoch=0, dataset_sha256="0" * 64, environment=environment)
    return [ReportEntry(trial_id=f"trl_{number}", attempt=1, start=start) for number in range(n)]


def names(n):
    return [f"trl_{number}" for number in range(n)]


@pytest.mark.parametrize(("n", "sizes"), [(1, [1]), (4096, [4096]), (5000, [4096, 904])])
def test_a_report_has_no_more_entries_than_the_service_takes(outbox, counter, n, sizes):
    delivery = outbox.send("lse_1", entries(n))
    assert [len(batch[1]) for batch in counter.batches] == sizes
    assert [answer.trial_id for answer in delivery.answers] == names(n)


def test_a_report_is_no_larger_than_the_service_takes(outbox, counter):
    outbox.send("lse_1", entries(900, n_values=40))
    assert len(counter.batches) == 2
    assert max(batch[2] for batch in counter.batches) < MAX_BODY_BYTES
    assert [name for batch in counter.batches for name in batch[1]] == names(900)


def test_the_usual_way_touches_no_disk(outbox, tmp_path):
    outbox.send("lse_1", entries(3))
    assert (tmp_path / "spool.jsonl").stat().st_size == 0
    assert outbox.is_empty


def test_what_was_delivered_before_the_service_went_is_not_spooled(outbox, counter, tmp_path, time):
    counter.max_entries = 2
    deliver, n_calls = counter.report, []

    def go_away_at_the_fourth(lease_id, batch):
        n_calls.append(len(batch))
        counter.errors = {4: [ServiceAway("gone")]}.get(len(n_calls), [])
        return deliver(lease_id, batch)

    counter.report = go_away_at_the_fourth
    delivery = outbox.send("lse_1", entries(8))
    assert n_calls == [8, 4, 2, 2]
    assert delivery.n_delivered == 2
    assert len((tmp_path / "spool.jsonl").read_text().splitlines()) == 6
    time.pass_by(60)
    outbox.flush()
    assert [name for batch in counter.batches for name in batch[1]] == names(8)


def test_a_body_too_large_is_halved_until_it_passes(outbox, counter):
    counter.max_entries = 3
    delivery = outbox.send("lse_1", entries(8))
    assert [batch[1] for batch in counter.batches] == [names(8)[i : i + 2] for i in range(0, 8, 2)]
    assert delivery.refused == []


def test_no_try_is_made_before_its_time(outbox, counter, time, renewals):
    counter.errors = [ServiceAway("gone")]
    outbox.send("lse_1", entries(1))
    outbox.flush()
    assert counter.batches == []
    time.pass_by(1)
    outbox.flush()
    assert len(counter.batches) == 1
    assert renewals == [time.now]


def test_leases_keep_apart_in_the_spool(outbox, counter, time):
    counter.errors = [ServiceAway("gone")]
    outbox.send("lse_1", entries(2))
    outbox.send("lse_2", entries(1))
    time.pass_by(1)
    outbox.flush()
    assert [(batch[0], len(batch[1])) for batch in counter.batches] == [("lse_1", 2), ("lse_2", 1)]


def test_releases_go_after_the_reports_that_wait(outbox, counter, time):
    counter.errors = [ServiceAway("gone")]
    outbox.send("lse_1", entries(2))
    outbox.release("lse_1", [("trl_0", 1), ("trl_1", 1)])
    assert not outbox.is_empty
    time.pass_by(1)
    outbox.flush()
    assert len(counter.batches) == 1
    assert counter.releases == [("lse_1", ["trl_0", "trl_1"])]
    assert outbox.is_empty


def test_a_release_that_is_refused_is_not_repeated(outbox, counter, monkeypatch):
    def refuse(lease_id, request):
        raise RequestRefused(409, "no longer yours")

    monkeypatch.setattr(counter, "release", refuse)
    outbox.release("lse_1", [("trl_0", 1)])
    outbox.flush()
    assert outbox.is_empty
