"""Reports on disk: order, torn lines, size, parking."""

import errno
import json
import os

import pytest

from worker.spool import Spool, SpooledEntry


def entry(number, lease_id="lse_1", padding=""):
    body = json.dumps({"trial_id": f"trl_{number}", "attempt": 1, "padding": padding}, separators=(",", ":"))
    return SpooledEntry(lease_id, body)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.jsonl"


@pytest.fixture
def open_spool(path):
    opened = []

    def make(max_bytes=10**6):
        opened.append(Spool(path, max_bytes))
        return opened[-1]

    yield make
    for spool in opened:
        spool.close()


def read_all(spool):
    read = []
    while batch := spool.oldest(100, 10**6):
        read += batch
        spool.drop_oldest()
    return read


def test_entries_come_back_in_order_and_byte_for_byte(open_spool):
    spool = open_spool()
    spool.append([entry(0), entry(1)])
    spool.append([entry(2)])
    assert read_all(spool) == [entry(0), entry(1), entry(2)]
    assert spool.is_empty


def test_floats_survive_the_disk_exactly(open_spool):
    spool = open_spool()
    body = '{"loss":0.1,"small":5e-324,"large":1.7976931348623157e+308,"third":0.3333333333333333}'
    spool.append([SpooledEntry("lse_1", body)])
    assert json.loads(read_all(spool)[0].body) == json.loads(body)


def test_what_was_not_dropped_is_there_after_a_restart(open_spool, path):
    spool = open_spool()
    spool.append([entry(0), entry(1)])
    spool.oldest(1, 10**6)
    assert open_spool().oldest(100, 10**6) == [entry(0), entry(1)]


def test_a_file_that_was_read_takes_no_room(open_spool, path):
    spool = open_spool()
    spool.append([entry(0), entry(1)])
    spool.oldest(1, 10**6)
    spool.drop_oldest()
    assert path.stat().st_size > 0
    read_all(spool)
    assert path.stat().st_size == 0
    spool.append([entry(2)])
    assert read_all(spool) == [entry(2)]


@pytest.mark.parametrize("n_cut", [1, 2, 10, 50])
def test_a_line_torn_by_a_crash_is_cut_off(open_spool, path, n_cut):
    open_spool().append([entry(0), entry(1, padding="x" * 100)])
    os.truncate(path, path.stat().st_size - n_cut)
    spool = open_spool()
    spool.append([entry(2)])
    assert read_all(spool) == [entry(0), entry(2)]


def test_a_file_of_one_long_torn_line_becomes_empty(open_spool, path):
    path.write_bytes(b"x" * 200_000)
    assert open_spool().is_empty
    assert path.stat().st_size == 0


def test_a_torn_line_longer_than_a_chunk_leaves_the_whole_lines(open_spool, path):
    open_spool().append([entry(0)])
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    assert read_all(open_spool()) == [entry(0)]


def test_a_damaged_line_in_the_middle_is_parked_and_blocks_nothing(open_spool, path):
    open_spool().append([entry(0)])
    with path.open("ab") as file:
        file.write(b"\0\0\0 damaged\n")
    spool = open_spool()
    spool.append([entry(1)])
    assert read_all(spool) == [entry(0), entry(1)]
    parked = json.loads((path.parent / "rejected.jsonl").read_text())
    assert parked["reason"] == "the line is not an entry"


def test_a_batch_is_of_one_lease(open_spool):
    spool = open_spool()
    spool.append([entry(0), entry(1), entry(2, "lse_2"), entry(3)])
    batches = []
    while batch := spool.oldest(100, 10**6):
        batches.append([each.lease_id for each in batch])
        spool.drop_oldest()
    assert batches == [["lse_1", "lse_1"], ["lse_2"], ["lse_1"]]


def test_a_batch_keeps_to_the_limits_but_never_stops_at_one_large_entry(open_spool):
    spool = open_spool()
    spool.append([entry(number, padding="x" * 1000) for number in range(5)])
    assert len(spool.oldest(3, 10**6)) == 3
    assert len(spool.oldest(100, 2500)) == 2
    assert len(spool.oldest(100, 10)) == 1


def test_a_full_spool_says_so_and_still_takes_what_was_made(open_spool):
    spool = open_spool(max_bytes=100)
    assert not spool.is_full
    spool.append([entry(0, padding="x" * 200)])
    assert spool.is_full
    spool.append([entry(1)])
    assert len(read_all(spool)) == 2
    assert not spool.is_full


def test_a_full_disk_leaves_the_file_as_it_was(open_spool, path, monkeypatch):
    spool = open_spool()
    spool.append([entry(0)])
    before = path.read_bytes()
    write = os.write

    def write_half(descriptor, data):
        write(descriptor, bytes(data)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write_half)
    with pytest.raises(OSError, match="No space"):
        spool.append([entry(1)])
    monkeypatch.undo()
    assert path.read_bytes() == before
    spool.append([entry(2)])
    assert read_all(spool) == [entry(0), entry(2)]


def test_an_append_is_on_the_disk_before_it_returns(open_spool, monkeypatch):
    spool = open_spool()
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    spool.append([entry(0)])
    assert len(synced) == 1


def test_a_parked_entry_keeps_its_lease_and_the_reason(open_spool, path):
    open_spool().park(entry(7), "too large")
    parked = json.loads((path.parent / "rejected.jsonl").read_text())
    assert parked == {"lease_id": "lse_1", "entry": json.loads(entry(7).body), "reason": "too large"}
