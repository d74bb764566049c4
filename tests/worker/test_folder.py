"""One folder per worker: a stable id, a lock, a lease that is remembered."""

import itertools

import pytest

from worker.errors import SpoolFolderInUse
from worker.folder import MAX_FOLDERS, WorkerFolder


@pytest.fixture
def take(tmp_path):
    numbers = itertools.count()
    taken = []

    def make():
        taken.append(WorkerFolder.take(tmp_path, lambda: f"wrk_{next(numbers)}"))
        return taken[-1]

    yield make
    for folder in taken:
        folder.close()


def test_a_worker_keeps_its_id_over_restarts(take, tmp_path):
    first = WorkerFolder.take(tmp_path, lambda: "wrk_mine")
    first.close()
    assert take().worker_id == "wrk_mine"


def test_two_workers_of_one_data_folder_are_two(take):
    one, other = take(), take()
    assert (one.worker_id, other.worker_id) == ("wrk_0", "wrk_1")
    assert one.spool_path.parent.name == "0"
    assert other.spool_path.parent.name == "1"


def test_a_freed_folder_is_the_next_to_be_taken(tmp_path, take):
    first = WorkerFolder.take(tmp_path, lambda: "wrk_first")
    take()
    first.close()
    assert take().worker_id == "wrk_first"


def test_the_lease_is_remembered_and_forgotten(take):
    folder = take()
    assert folder.lease_id is None
    folder.remember_lease("lse_1")
    folder.remember_lease("lse_2")
    assert folder.lease_id == "lse_2"
    folder.remember_lease(None)
    assert folder.lease_id is None


def test_what_a_vanished_worker_left_is_found_and_what_a_living_one_holds_is_not(tmp_path, take):
    mine, living = take(), take()
    living.remember_lease("lse_living")
    vanished = WorkerFolder.take(tmp_path, lambda: "wrk_vanished")
    vanished.remember_lease("lse_vanished")
    vanished.close()
    tidy = WorkerFolder.take_abandoned(tmp_path, lambda: "wrk_new")
    assert [folder.lease_id for folder in tidy] == ["lse_vanished"]
    assert mine.worker_id == "wrk_0"


def test_a_spool_without_a_lease_counts_as_left_behind(tmp_path, take):
    take()
    vanished = WorkerFolder.take(tmp_path, lambda: "wrk_vanished")
    vanished.spool_path.write_text("{}\n")
    vanished.close()
    assert [folder.has_reports for folder in WorkerFolder.take_abandoned(tmp_path, lambda: "wrk_new")] == [True]


def test_too_many_workers_are_refused_with_what_to_do(take):
    for _ in range(MAX_FOLDERS):
        take()
    with pytest.raises(SpoolFolderInUse, match="data folder of its own"):
        take()


def test_a_folder_that_cannot_be_written_is_refused_with_its_name(tmp_path):
    (tmp_path / "worker").write_text("a file in the way")
    with pytest.raises(SpoolFolderInUse, match="worker/0"):
        WorkerFolder.take(tmp_path, lambda: "wrk_0")
