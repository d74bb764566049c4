"""Where a worker keeps what must outlive it: its id, its lease, its spool; one numbered folder per process.

data_dir/worker/0/  lock  id  lease  spool.jsonl  rejected.jsonl
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from worker.errors import SpoolFolderInUse

MAX_FOLDERS = 64


class WorkerFolder:
    """A folder that is locked while its worker lives; the kernel frees the lock however the process ends."""

    def __init__(self, path: Path, lock: int, worker_id: str) -> None:
        self._path = path
        self._lock = lock
        self.worker_id = worker_id

    @classmethod
    def take(cls, data_dir: Path, new_id: Callable[[], str]) -> "WorkerFolder":
        """Lock the first folder that no other worker uses.

        Args:
            data_dir: The data folder.
            new_id: Makes an id for a folder that is used for the first time.

        Raises:
            SpoolFolderInUse: All are taken, or none can be written.
        """
        for number in range(MAX_FOLDERS):
            folder = cls._try_take(data_dir / "worker" / str(number), new_id)
            if folder is not None:
                return folder
        raise SpoolFolderInUse(
            f"{MAX_FOLDERS} workers use {data_dir / 'worker'} already. Give this one a data folder of its own."
        )

    @classmethod
    def take_abandoned(cls, data_dir: Path, new_id: Callable[[], str]) -> Iterator["WorkerFolder"]:
        """Lock, one after the other, the folders whose workers are gone and left a lease or reports behind."""
        for path in sorted((data_dir / "worker").glob("[0-9]*")):
            folder = cls._try_take(path, new_id)
            if folder is None:
                continue
            try:
                if folder.lease_id is not None or folder.has_reports:
                    yield folder
            finally:
                folder.close()

    @classmethod
    def _try_take(cls, path: Path, new_id: Callable[[], str]) -> "WorkerFolder | None":
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SpoolFolderInUse(f"{path} cannot be written ({error}). Choose another data folder.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        worker_id = _read(path / "id")
        if worker_id is None:
            worker_id = new_id()
            _write(path / "id", worker_id)
        return cls(path, lock, worker_id)

    @property
    def spool_path(self) -> Path:
        """The spool's file."""
        return self._path / "spool.jsonl"

    @property
    def has_reports(self) -> bool:
        """Whether the spool's file holds anything."""
        return self.spool_path.exists() and self.spool_path.stat().st_size > 0

    @property
    def lease_id(self) -> str | None:
        """The lease that the folder's worker holds or held when it ended."""
        return _read(self._path / "lease")

    def remember_lease(self, lease_id: str | None) -> None:
        """Write down the lease, so that the next process can give it back if this one is killed."""
        if lease_id is None:
            (self._path / "lease").unlink(missing_ok=True)
        else:
            _write(self._path / "lease", lease_id)

    def close(self) -> None:
        """Unlock the folder."""
        os.close(self._lock)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    """Replace a file whole: after a crash it holds the old text or the new."""
    beside = path.with_suffix(".new")
    with open(beside, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
