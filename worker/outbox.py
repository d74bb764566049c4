"""Reports on their way: straight to the service, or by way of the disk while it is away. None is dropped.

send ──► service                      the usual way
  └────► spool ──► service            from the first failure until the spool is empty again
            └────► rejected.jsonl     what the service refuses, one entry at a time, so that it blocks no other
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.wire.leases import (
    EntryAnswer,
    Release,
    ReleaseAnswer,
    ReleaseRequest,
    ReportAnswer,
    ReportEntry,
)
from worker.client import Backoff
from worker.errors import LeaseEnded, NotAllowed, ProtocolNotServed, RequestRefused, ServiceAway
from worker.heartbeat import Fence
from worker.spool import Spool, SpooledEntry

MAX_ENTRIES = 4096
MAX_BODY_BYTES = 12_000_000
"""The service takes 16 MB; the rest is for commas and for being wrong by a little."""


class ReportService(Protocol):
    """What the outbox needs of a client."""

    def report(self, lease_id: str, entries: Sequence[str]) -> ReportAnswer:
        """Send entries."""

    def release(self, lease_id: str, request: ReleaseRequest) -> ReleaseAnswer:
        """Hand trials back."""


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """An entry that the service refuses and that is parked now; `final` is the kind of end it told of, if any."""

    fence: Fence
    lease_id: str
    final: str | None
    reason: str


@dataclass(slots=True)
class Delivery:
    """What came back for entries that were sent now or earlier."""

    answers: list[EntryAnswer] = field(default_factory=list)
    refused: list[RefusedEntry] = field(default_factory=list)
    n_delivered: int = 0


class Outbox:
    """Sends reports in order and keeps what cannot be sent.

    Args:
        renew: Sends a heartbeat: before a replay, so that the lease is alive when its reports come.
        backoff: Says when to try again.
    """

    def __init__(
        self,
        *,
        client: ReportService,
        spool: Spool,
        renew: Callable[[], None],
        backoff: Backoff,
        log: logging.Logger,
    ) -> None:
        self._client = client
        self._spool = spool
        self._renew = renew
        self._backoff = backoff
        self._log = log
        self._unwritten: list[SpooledEntry] = []  # the disk would not take them
        self._releases: list[tuple[str, Release]] = []

    @property
    def is_empty(self) -> bool:
        """Whether everything was delivered."""
        return self._spool.is_empty and not self._unwritten and not self._releases

    @property
    def is_full(self) -> bool:
        """Whether to make no more reports until some are delivered."""
        return self._spool.is_full or bool(self._unwritten)

    def send(self, lease_id: str, entries: Sequence[ReportEntry]) -> Delivery:
        """Send entries, or keep them on disk; either way they are safe on return.

        Raises:
            NotAllowed, ProtocolNotServed: The service refuses this worker; the entries are on disk.
        """
        sealed = [SpooledEntry(lease_id, entry.model_dump_json(exclude_none=True)) for entry in entries]
        if not self._spool.is_empty or self._unwritten:
            self._keep(sealed)
            return self.flush()
        delivery = Delivery()
        for batch in _batches(sealed):
            try:
                self._deliver(batch, delivery)
            except (ServiceAway, NotAllowed, ProtocolNotServed) as error:
                self._keep(sealed[delivery.n_delivered :])
                self._raise_unless_away(error)
                break
        return delivery

    def release(self, lease_id: str, fences: Sequence[Fence]) -> None:
        """Hand trials back, after all reports that wait; kept in memory until it can be done."""
        self._releases += [(lease_id, Release(trial_id=fence[0], attempt=fence[1])) for fence in fences]

    def flush(self, *, even_if_early: bool = False) -> Delivery:
        """Send what waits, oldest first, if the time for another try has come.

        Raises:
            NotAllowed, ProtocolNotServed: The service refuses this worker; the entries stay.
        """
        delivery = Delivery()
        if self.is_empty or (self._backoff.wait_seconds > 0 and not even_if_early):
            return delivery
        try:
            self._renew_first()
            self._replay(delivery)
            self._send_releases()
        except (ServiceAway, NotAllowed, ProtocolNotServed) as error:
            self._raise_unless_away(error)
        else:
            self.note_answer(delivery.n_delivered)
        return delivery

    def note_failure(self, error: ServiceAway) -> None:
        """Take note that the service is away; said once, not at each try."""
        if self._backoff.failed():
            self._log.warning("service away: %s. Training goes on; reports are kept on disk", error)

    def note_answer(self, n_replayed: int = 0) -> None:
        """Take note that the service answers."""
        away_seconds = self._backoff.succeeded()
        if away_seconds is not None:
            self._log.warning("service back after %.0f seconds", away_seconds)
        if n_replayed:
            self._log.info("replayed %d reports", n_replayed)

    def _renew_first(self) -> None:
        try:
            self._renew()
        except (NotAllowed, ProtocolNotServed):
            raise
        except RequestRefused as error:
            self._log.debug("heartbeat before a replay: %s", error)  # the reports will say what holds

    def _replay(self, delivery: Delivery) -> None:
        while batch := self._spool.oldest(MAX_ENTRIES, MAX_BODY_BYTES):
            self._deliver(batch, delivery)
            self._spool.drop_oldest()
        for batch in list(_batches(self._unwritten)):
            self._deliver(batch, delivery)
            del self._unwritten[: len(batch)]

    def _send_releases(self) -> None:
        while self._releases:
            lease_id = self._releases[0][0]
            batch = [release for lease, release in self._releases if lease == lease_id][:MAX_ENTRIES]
            try:
                self._client.release(lease_id, ReleaseRequest(trials=tuple(batch)))
            except RequestRefused as error:
                self._log.warning("the service does not take %d trials back: %s", len(batch), error)
            self._releases = [each for each in self._releases if each[0] != lease_id or each[1] not in batch]

    def _deliver(self, batch: Sequence[SpooledEntry], delivery: Delivery) -> None:
        """Send entries of one lease; a batch that is refused is halved until the entry at fault stands alone."""
        lease_id = batch[0].lease_id
        try:
            answer = self._client.report(lease_id, [entry.body for entry in batch])
        except (NotAllowed, ProtocolNotServed):
            raise
        except LeaseEnded as error:
            for entry in batch:
                self._spool.park(entry, str(error))
                delivery.answers.append(_gone(entry, error))
            self._log.warning("lease %s is no more: %d reports parked in rejected.jsonl", lease_id, len(batch))
        except RequestRefused as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                self._deliver(batch[:middle], delivery)
                self._deliver(batch[middle:], delivery)
                return
            self._park(batch[0], error, delivery)
        else:
            delivery.answers += answer.entries
        delivery.n_delivered += len(batch)

    def _park(self, entry: SpooledEntry, error: RequestRefused, delivery: Delivery) -> None:
        self._spool.park(entry, str(error))
        said = json.loads(entry.body)
        final = said.get("final", {}).get("kind")
        fence = (said["trial_id"], said["attempt"])
        delivery.refused.append(RefusedEntry(fence, entry.lease_id, final, str(error)))
        self._log.error("the service refuses a report of %s: %s. Parked in rejected.jsonl", said["trial_id"], error)

    def _keep(self, entries: Sequence[SpooledEntry]) -> None:
        self._unwritten += entries
        try:
            self._spool.append(self._unwritten)
        except OSError as error:
            self._log.error("reports cannot be written to the spool (%s): training waits for the service", error)
        else:
            self._unwritten = []

    def _raise_unless_away(self, error: ServiceAway | RequestRefused) -> None:
        if not isinstance(error, ServiceAway):
            raise error
        self.note_failure(error)


def _batches(entries: Sequence[SpooledEntry]) -> Iterator[list[SpooledEntry]]:
    """Cut entries where the lease changes and where the service's limits are reached."""
    batch: list[SpooledEntry] = []
    n_bytes = 0
    for entry in entries:
        size = len(entry.body.encode()) + 1
        is_full = len(batch) == MAX_ENTRIES or n_bytes + size > MAX_BODY_BYTES
        if batch and (is_full or entry.lease_id != batch[0].lease_id):
            yield batch
            batch, n_bytes = [], 0
        batch.append(entry)
        n_bytes += size
    if batch:
        yield batch


def _gone(entry: SpooledEntry, error: LeaseEnded) -> EntryAnswer:
    said = json.loads(entry.body)
    epoch = said.get("epoch", {}).get("epoch")
    return EntryAnswer(
        trial_id=said["trial_id"], attempt=said["attempt"], epoch=epoch, directive="gone", reason=str(error)
    )
