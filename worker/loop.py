"""A worker's life: claim, train an epoch, report, obey, refill; at the end, hand back.

The bank trains trials of one signature. Between two epochs its free slots are refilled with trials of the same
signature; when it is empty it is dropped and the next claim decides which signature comes. While the service is away,
the trials that are held train on.
"""

import logging
import threading
from collections.abc import Callable

from service.wire.leases import ClaimAnswer, WorkerInfo
from service.wire.recording_claims import RecordingClaimAnswer, RecordingReleased
from worker.capacity import Capacity
from worker.claiming import Claims, Granted
from worker.client import Backoff
from worker.errors import (
    DatasetError,
    LeaseEnded,
    NotAllowed,
    ProtocolNotServed,
    RequestRefused,
    ServiceAway,
    TrainerUnavailable,
)
from worker.heartbeat import EXIT_DRAINED, Heartbeat, News, Pulse
from worker.outbox import Outbox
from worker.recorder import Recorder
from worker.trainer import LoadedData, Trainer
from worker.workbench import Workbench

EXIT_ERROR = 1
EXIT_REFUSED = 2
EXIT_UPGRADE = 6


class Loop:
    """One worker: one lease, one workbench.

    Args:
        worker: Who this is; its `datasets` are brought up to date at each claim.
        settle_past: Delivers and hands back what an earlier process of this folder left.
        end_lease: Hands back all trials of a lease and ends it.
        remember_lease: Writes the lease down for the next process.
        clock: Monotonic seconds.
        wait: Waits for so many seconds, or until `stop` is set.
        stop: Set to drain.
        poll_seconds: Longest wait between two claims without work.
        fairness_epochs: After so many epochs a bank with a free slot asks whether another signature waits.
    """

    def __init__(
        self,
        *,
        trainer: Trainer,
        worker: WorkerInfo,
        claims: Claims,
        recorder: Recorder,
        outbox: Outbox,
        heartbeat: Heartbeat,
        pulse: Pulse,
        backoff: Backoff,
        settle_past: Callable[[], None],
        end_lease: Callable[[str], None],
        remember_lease: Callable[[str | None], None],
        clock: Callable[[], float],
        wait: Callable[[float], object],
        stop: threading.Event,
        poll_seconds: float,
        fairness_epochs: int,
        log: logging.Logger,
    ) -> None:
        self._trainer = trainer
        self._worker = worker
        self._claims = claims
        self._recorder = recorder
        self._outbox = outbox
        self._heartbeat = heartbeat
        self._pulse = pulse
        self._backoff = backoff
        self._settle_past = settle_past
        self._end_lease = end_lease
        self._remember_lease = remember_lease
        self._clock = clock
        self._wait = wait
        self._stop = stop
        self._poll_seconds = poll_seconds
        self._fairness_epochs = fairness_epochs
        self._log = log

        self._capacity = Capacity(worker.n_slots)
        self._bench = Workbench(trainer=trainer, capacity=self._capacity, outbox=outbox, pulse=pulse, log=log)
        self._refused_datasets: set[str] = set()  # they cannot be loaded, or are not the sweep's
        self._lease_id: str | None = None
        self._ask_again_at = clock()
        self._free_after_claim = 0
        self._epochs_unshared = 0  # since trials of any signature were last asked for
        self._has_trained = False  # since a recording was last asked for

    def run(self) -> int:
        """Work until told to stop; returns the process's exit code."""
        code = EXIT_DRAINED
        try:
            self._settle_past()
            while not self._stop.is_set():
                self._turn()
        except NotAllowed as error:
            self._log.critical("the service refuses this worker: %s. Check token_file", error)
            code = EXIT_REFUSED
        except ProtocolNotServed as error:
            self._log.critical("worker and service do not match: %s. Install the service's version", error)
            code = EXIT_UPGRADE
        except TrainerUnavailable as error:
            self._log.critical("this worker cannot train: %s", error)
            code = EXIT_REFUSED
        except Exception:  # noqa: BLE001 - whatever it was, the trials go back
            self._log.exception("the worker has met an error of its own; its trials are handed back")
            code = EXIT_ERROR
        self._drain()
        return code

    def _turn(self) -> None:
        bench = self._bench
        bench.obey(self._outbox.flush())
        self._hear(self._heartbeat.take_news())
        if bench.n_held > 0:
            self._refill()
        else:
            self._begin()
        if bench.n_held == 0:
            return
        if self._outbox.is_full:
            self._wait_for_room()
        else:
            bench.train_epoch()
            self._epochs_unshared += 1

    def _begin(self) -> None:
        """Claim trials of any signature for an empty bank; with none, make a recording; with none, wait.

        Between two banks one recording comes first, so that a long sweep keeps nobody waiting who asked for one, and
        many recordings keep no sweep waiting.
        """
        self._pulse.phase = "idle"
        self._pulse.is_yielding, self._epochs_unshared = False, 0
        comes_first = self._has_trained or not self._recorder.is_idle
        self._has_trained = False
        if comes_first and self._record():
            return
        if self._recorder.is_idle and self._fill(self._capacity.next_claim, None):
            self._has_trained = True
        elif comes_first or not self._record():
            self._wait(max(self._ask_again_at - self._clock(), self._backoff.wait_seconds, 0.0))

    def _record(self) -> bool:
        """Make one recording and deliver it, if one waits; whether one did."""
        if not self._outbox.is_empty or self._backoff.wait_seconds > 0 or not self._recorder.flush():
            return False
        answer = self._ask_for_recording()
        if answer is None or answer.recording is None or answer.lease_id is None:
            return False
        self._adopt_lease(answer)
        grant, lease_id = answer.recording, answer.lease_id
        if self._load(grant.dataset, grant.dataset_sha256) is None:
            self._recorder.deliver(lease_id, grant, RecordingReleased())
            return True

        def goes_on() -> bool:
            self._hear(self._heartbeat.take_news())
            return self._lease_id == lease_id and not self._stop.is_set()

        result = self._recorder.make(grant, goes_on=goes_on, make_room=self._make_room)
        if result is not None:
            self._recorder.deliver(lease_id, grant, result)
        return True

    def _make_room(self) -> bool:
        """Let the empty bank go that was kept for trials to come; whether there was one."""
        has_bank = self._bench.has_bank
        self._bench.drop_bank()
        return has_bank

    def _ask_for_recording(self) -> RecordingClaimAnswer | None:
        """Claim a recording; None if there is no answer now."""
        try:
            return self._recorder.ask(self._who(), self._lease_id)
        except LeaseEnded as error:
            self._log.warning("claim: %s", error)
            self._lose_lease()
            return None
        except (NotAllowed, ProtocolNotServed):
            raise
        except RequestRefused as error:
            self._log.error("the service refuses a claim: %s", error)
            return None

    def _refill(self) -> None:
        """Claim trials of the bank's signature for its free slots; if none wait, train on with the slots empty."""
        bench = self._bench
        if self._pulse.is_yielding or bench.free_slots == 0 or self._capacity.is_careful(bench.signature):
            return
        if self._epochs_unshared >= self._fairness_epochs:
            self._share()
        is_time = self._clock() >= self._ask_again_at or bench.free_slots > self._free_after_claim
        if self._pulse.is_yielding or bench.free_slots == 0 or not is_time:
            return
        self._fill(bench.free_slots, bench.signature)

    def _share(self) -> None:
        """Ask for one trial of any signature, so that a bank that is refilled for hours starves no other.

        Comes one of another signature, it goes back at no cost, the bank is refilled no more, and when it is empty
        the service decides what is next.
        """
        self._epochs_unshared = 0
        self._fill(1, None)

    def _fill(self, max_trials: int, signature: str | None) -> bool:
        """Claim trials and place them; whether there were any. Where all came that were asked for, more may wait."""
        granted = self._ask(max_trials, signature)
        if granted is None:
            self._free_after_claim = self._bench.free_slots
            return False
        self._place(granted)
        self._free_after_claim = 0 if len(granted.trials) == max_trials else self._bench.free_slots
        return True

    def _wait_for_room(self) -> None:
        """The spool is full: rather than lose a report, make none until some are delivered."""
        if self._pulse.phase != "idle":
            self._log.error("the spool takes no more (spool_max_mb, or the disk): training waits for the service")
        self._pulse.phase = "idle"
        self._wait(max(self._backoff.wait_seconds, 0.1))

    def _ask(self, max_trials: int, signature: str | None) -> Granted | None:
        """Claim trials; None if there is no answer now."""
        if not self._outbox.is_empty or self._backoff.wait_seconds > 0:
            return None
        self._ask_again_at = self._clock() + self._poll_seconds
        try:
            answer = self._claims.ask(max_trials, worker=self._who(), lease_id=self._lease_id, signature=signature)
        except LeaseEnded as error:
            self._log.warning("claim: %s", error)
            if self._lease_id is not None:
                self._lose_lease()
                self._ask_again_at = self._clock()
            return None
        except (NotAllowed, ProtocolNotServed):
            raise
        except RequestRefused as error:
            self._log.error("the service refuses a claim: %s", error)
            return None
        if answer is None:
            return None
        self._adopt_lease(answer)
        if answer.retry_after_ms:
            self._ask_again_at = self._clock() + min(answer.retry_after_ms / 1000, self._poll_seconds)
        return Granted.read(answer)

    def _adopt_lease(self, answer: ClaimAnswer | RecordingClaimAnswer) -> None:
        self._pulse.interval_seconds = answer.heartbeat_seconds
        if answer.lease_id is None or answer.lease_id == self._lease_id:
            return
        if self._lease_id is not None:
            self._lose_lease()
        self._lease_id = self._pulse.lease_id = answer.lease_id
        self._remember_lease(answer.lease_id)
        self._heartbeat.wake()

    def _lose_lease(self) -> None:
        """The lease is no more, and neither are the trials under it: they run elsewhere."""
        if self._lease_id is not None:
            self._log.warning("lease %s has ended; %d trials run elsewhere", self._lease_id, self._bench.n_held)
        self._bench.vacate_all()
        self._recorder.forget()
        self._lease_id = self._pulse.lease_id = None
        self._remember_lease(None)

    def _hear(self, news: News) -> None:
        if news.lost_lease is not None and news.lost_lease == self._lease_id:
            self._lose_lease()
        self._bench.hear(news)

    def _place(self, granted: Granted) -> None:
        """Put granted trials into the bank, or hand back what does not belong there."""
        bench = self._bench
        if bench.n_held > 0 and granted.signature != bench.signature:
            self._log.info("trials of another signature wait: this bank is refilled no more")
            self._pulse.is_yielding = True
            bench.release(granted.trials)
            return
        is_refill = bench.n_held > 0
        sweeps = ", ".join(sorted(granted.sweeps))
        self._log.info("%s %d trials of %s", "refilled with" if is_refill else "claimed", len(granted.trials), sweeps)
        data = self._load(granted.dataset, granted.dataset_sha256)
        if data is None:
            bench.release(granted.trials)
        elif is_refill:
            bench.admit(granted)
        else:
            bench.begin(granted, data)

    def _load(self, dataset: str, expected_sha256: str | None) -> LoadedData | None:
        """The data set here if it is the sweep's; else None, and it is offered no more."""
        if self._bench.n_held == 0:
            self._pulse.phase = "loading"
        try:
            here = self._trainer.load(dataset)
        except DatasetError as error:
            self._log.error("data set %s is offered no more: %s", dataset, error)
        else:
            if expected_sha256 in (None, here.sha256):
                return here
            self._log.error(
                "data set %s is offered no more: its hash here is %s, the sweep's is %s. Copy the sweep's file to "
                "this machine and start the worker again",
                dataset,
                here.sha256,
                expected_sha256,
            )
        self._refused_datasets.add(dataset)
        return None

    def _who(self) -> WorkerInfo:
        """Who this is, with the data sets that may be granted now: files may have come since the start."""
        datasets = tuple(name for name in self._trainer.datasets() if name not in self._refused_datasets)
        return self._worker.model_copy(update={"datasets": datasets})

    def _drain(self) -> None:
        """Deliver what waits and hand back the trials held; if the service is away, the next process does."""
        self._pulse.phase = "draining"
        try:
            self._bench.obey(self._outbox.flush(even_if_early=True))
            self._recorder.flush()
            if self._lease_id is not None and self._outbox.is_empty:
                self._heartbeat.cease()
                self._hand_back(self._lease_id)
                self._remember_lease(None)
                self._log.info("drained: %d trials handed back", self._bench.n_held)
                self._lease_id = None
        except (ServiceAway, RequestRefused) as error:
            self._log.debug("drain: %s", error)
        if self._lease_id is not None or not self._outbox.is_empty:
            self._log.warning(
                "not all was delivered and handed back: reports stay on disk, and the next start does the rest"
            )

    def _hand_back(self, lease_id: str) -> None:
        try:
            self._end_lease(lease_id)
        except LeaseEnded as error:
            self._log.info("%s", error)
