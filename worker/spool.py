"""Reports on disk while the service is away: JSON lines, the oldest first.

A line is `{"lease_id": …, "entry": …}` with a newline at its end. A line without one was torn by a crash and is cut
off when the file is opened. Lines that were read and dropped stay in the file until it is empty: reports may be sent
twice, so a crash in the middle of a replay costs nothing.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class SpooledEntry:
    """One entry of a report, as the JSON that goes over the wire, and the lease it stands under."""

    lease_id: str
    body: str


class Spool:
    """A file of entries that were not yet acknowledged.

    Args:
        path: The file; `rejected.jsonl` beside it takes what the service refuses.
        max_bytes: From this size on `is_full`. An append is never refused: the loop stops making entries instead.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._rejected = path.with_name("rejected.jsonl")
        self._max_bytes = max_bytes
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._n_bytes = _cut_torn_line(self._descriptor)
        self._n_read = 0
        self._line_ends: list[int] = []  # of the entries that `oldest` returned last
        _sync_folder(path.parent)

    @property
    def is_empty(self) -> bool:
        """Whether every entry was dropped."""
        return self._n_read == self._n_bytes

    @property
    def is_full(self) -> bool:
        """Whether the file has reached its size."""
        return self._n_bytes >= self._max_bytes

    def append(self, entries: Sequence[SpooledEntry]) -> None:
        """Add entries to the end; on return they are on the disk.

        Raises:
            OSError: The disk is full or broken; the file is as it was before.
        """
        data = b"".join(_line(entry) for entry in entries)
        try:
            _write_all(self._descriptor, data)
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._n_bytes)
            raise
        self._n_bytes += len(data)

    def oldest(self, max_entries: int, max_bytes: int) -> list[SpooledEntry]:
        """The oldest entries of one lease, at least one unless the spool is empty; a line that is no JSON is parked.

        Args:
            max_entries: At most so many.
            max_bytes: Their bodies together take at most this, a single one apart.
        """
        entries: list[SpooledEntry] = []
        self._line_ends = []
        n_bytes = 0
        with open(self._path, "rb") as file:
            file.seek(self._n_read)
            while file.tell() < self._n_bytes and len(entries) < max_entries:
                line = file.readline()
                entry = _read(line)
                if entry is None and not entries:
                    self._park_line({"line": line.decode(errors="replace"), "reason": "the line is not an entry"})
                    self._n_read = file.tell()
                    continue
                n_bytes += len(line)
                if entry is None or (entries and (entry.lease_id != entries[0].lease_id or n_bytes > max_bytes)):
                    break
                entries.append(entry)
                self._line_ends.append(file.tell())
        if not entries:
            self.drop_oldest()
        return entries

    def drop_oldest(self) -> None:
        """Forget what `oldest` returned last: it was acknowledged or parked. A file that is read is cut to nothing."""
        self._n_read = self._line_ends[-1] if self._line_ends else self._n_read
        self._line_ends = []
        if self.is_empty and self._n_bytes:
            os.ftruncate(self._descriptor, 0)
            os.fsync(self._descriptor)
            self._n_read = self._n_bytes = 0

    def park(self, entry: SpooledEntry, reason: str) -> None:
        """Keep an entry that the service refuses in `rejected.jsonl`, for a person to look at."""
        self._park_line({"lease_id": entry.lease_id, "entry": json.loads(entry.body), "reason": reason})

    def close(self) -> None:
        """Close the file; what is in it stays."""
        os.close(self._descriptor)

    def _park_line(self, record: dict[str, object]) -> None:
        with open(self._rejected, "ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _line(entry: SpooledEntry) -> bytes:
    return b'{"lease_id":' + json.dumps(entry.lease_id).encode() + b',"entry":' + entry.body.encode() + b"}\n"


def _read(line: bytes) -> SpooledEntry | None:
    try:
        record = json.loads(line)
        return SpooledEntry(record["lease_id"], json.dumps(record["entry"], separators=(",", ":")))
    except (ValueError, KeyError, TypeError):
        return None


def _cut_torn_line(descriptor: int) -> int:
    """Cut off what stands behind the last newline; returns the file's size then."""
    size = end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        end = start + newline + 1 if newline >= 0 else start
        if newline >= 0:
            break
    if end < size:
        os.ftruncate(descriptor, end)
        os.fsync(descriptor)
    return end


def _sync_folder(folder: Path) -> None:
    """Put the folder's list of files on the disk, or a new file may be lost with its name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
