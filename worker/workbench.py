"""The bank, the trials in its slots, and what is said about them: admit, train, report, obey.

Whatever goes wrong, each trial ends, waits again, or is held by a live lease: a trial at fault fails, its neighbours
go on or go back at no cost.
"""

import logging
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from service.wire.leases import Completed, Failed, ReportEntry, Start, Stopped
from worker.capacity import Capacity
from worker.claiming import Granted
from worker.entries import epoch_report, failed, hyperparameters, trial_spec
from worker.errors import OutOfDeviceMemory, TrainerUnavailable, TrialError, WorkerError
from worker.heartbeat import News, Pulse
from worker.holding import HeldTrial, key_of
from worker.outbox import Delivery, Outbox, RefusedEntry
from worker.trainer import LoadedData, Trainer
from worker.training.contract import Bank, EpochRow


class ReportRefused(WorkerError):
    """The service refuses what was measured of a trial; it ends as failed rather than unreported."""


class Workbench:
    """At most one bank, and the trials that it holds.

    Args:
        trainer: Makes banks.
        capacity: How many slots a bank may have.
        outbox: Takes reports and releases.
        pulse: Told what goes on here.
    """

    def __init__(
        self, *, trainer: Trainer, capacity: Capacity, outbox: Outbox, pulse: Pulse, log: logging.Logger
    ) -> None:
        self._trainer = trainer
        self._capacity = capacity
        self._outbox = outbox
        self._pulse = pulse
        self._log = log
        self._bank: Bank | None = None
        self._held: dict[str, HeldTrial] = {}
        self._data = LoadedData("", ())
        self._steps_before = 0  # of banks that were dropped
        self._n_slots = 0  # that the bank was asked to have
        self._sweeps: set[str] = set()  # served by the bank
        self.signature = ""

    @property
    def n_held(self) -> int:
        """Trials in the bank."""
        return len(self._held)

    @property
    def has_bank(self) -> bool:
        """Whether there is a bank, empty or not."""
        return self._bank is not None

    @property
    def free_slots(self) -> int:
        """Trials that the bank could take now. A bank may round its slots up; what was not asked for stays empty."""
        if self._bank is None:
            return 0
        return max(0, min(self._bank.free_slots, self._n_slots - len(self._held)))

    def begin(self, granted: Granted, data: LoadedData) -> None:
        """Admit trials to the empty bank if it is theirs, else to a new one.

        A bank is kept for the sweeps that it has served, so that a generation of trials that end together costs no
        compilation. Another sweep gets a bank of its own, whose stream begins with that sweep's seed: so one sweep on
        one worker repeats exactly.

        Raises:
            TrainerUnavailable: No bank can be made on this machine; the trials are handed back.
        """
        is_theirs = granted.signature == self.signature and granted.sweeps <= self._sweeps
        has_size = self._bank is not None and self._n_slots == self._capacity.slots(granted.signature)
        if not (is_theirs and has_size):
            self._open(granted, data)
        self.admit(granted)

    def admit(self, granted: Granted) -> None:
        """Fill free slots and report epoch 0; what finds no slot goes back, what cannot be placed fails alone."""
        bank = self._bank
        if bank is None:
            return
        n_free = self.free_slots
        self.release(granted.trials[n_free:])
        trials = granted.trials[:n_free]
        self._sweeps |= granted.sweeps
        try:
            rows = bank.admit([trial_spec(trial.grant, trial.key) for trial in trials])
        except OutOfDeviceMemory as error:
            self._lose_bank(error, trials)
            return
        except Exception:  # noqa: BLE001 - which trial it was shows when each comes alone
            for trial in trials:
                bank.evict(trial.key)
            rows = self._admit_one_by_one(bank, trials)
        started = {trial.key: trial for trial in trials if trial.key in {row.key for row in rows}}
        self._held.update(started)
        self._publish()
        start = Start(
            stream_seed=bank.stream_seed,
            start_epoch=bank.bank_epoch,
            dataset_sha256=self._data.sha256,
            class_shares=self._data.class_shares,
            environment=self._trainer.environment(),
        )
        self._report([_entry(started[row.key], epoch=row, start=start) for row in rows])

    def train_epoch(self) -> None:
        """Train all slots for one epoch, report, and obey the answers."""
        bank = self._bank
        if bank is None:
            return
        if self._pulse.phase != "compiling":
            self._pulse.phase = "training"
        try:
            entries = [self._digest(bank, self._held[row.key], row) for row in bank.train_epoch()]
        except Exception as error:  # noqa: BLE001 - whatever it was, the trials must end or go back
            self._lose_bank(error, [])
            return
        self._pulse.phase = "training"
        self._report(entries)
        if not self._held:
            self._capacity.ended_well(self.signature)

    def drop_bank(self) -> None:
        """Let the bank and its memory go; whatever is in it must have been seen to."""
        if self._bank is not None:
            self._steps_before += self._bank.steps_done()
        steps = self._steps_before
        self._pulse.steps = lambda: steps
        self._pulse.compiling_from = None
        self._bank = None
        self._held = {}
        self._sweeps = set()
        self._publish()

    def vacate_all(self) -> None:
        """Free all slots, saying nothing: the trials are no longer this worker's."""
        self._vacate(list(self._held.values()))

    def release(self, trials: Sequence[HeldTrial]) -> None:
        """Hand trials back at no cost."""
        for trial in trials:
            self._outbox.release(trial.lease_id, [trial.fence])
        self.obey(self._outbox.flush())

    def obey(self, delivery: Delivery) -> None:
        """Do what the answers say. Words about trials that have ended here meanwhile change nothing."""
        for answer in delivery.answers:
            trial = self._held.get(key_of((answer.trial_id, answer.attempt)))
            if trial is None or answer.directive == "continue":
                continue
            self._log.info("%s: %s%s", trial, answer.directive, f" ({answer.reason})" if answer.reason else "")
            self._vacate([trial])
            if answer.directive == "stop":
                self._end(trial, Stopped())
            elif answer.directive == "conflict":
                # What is stored is not what was measured here: a new attempt starts with a clean record.
                self.release([trial])
        for refused in delivery.refused:
            self._give_up(refused)

    def hear(self, news: News) -> None:
        """Act on what heartbeats brought since the last epoch."""
        gone = [trial for trial in self._held.values() if trial.fence in news.gone]
        for trial in gone:
            self._log.info("%s is no longer this worker's", trial)
        self._vacate(gone)
        for trial in [trial for trial in self._held.values() if trial.fence[0] in news.stop]:
            self._log.info("%s: stop", trial)
            self._vacate([trial])
            self._end(trial, Stopped())

    def _open(self, granted: Granted, data: LoadedData) -> None:
        self.drop_bank()
        self.signature = granted.signature
        self._data = data
        self._pulse.phase = "compiling"
        shapes = granted.trials[0].grant.parameters
        self._n_slots = self._capacity.slots(granted.signature)
        try:
            bank = self._trainer.make_bank(
                granted.dataset,
                hidden_units=shapes.hidden_units,
                batch_size=shapes.batch_size,
                stream_seed=granted.stream_seed,
                n_slots=self._n_slots,
                statistics_every=granted.statistics_every,
                representatives=[hyperparameters(each) for each in granted.representatives],
            )
        except TrainerUnavailable:
            self.release(granted.trials)
            raise
        except TrialError as error:  # the same for all trials of these shapes
            for trial in granted.trials:
                self._fail(trial, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, the trials must end or go back
            self._lose_bank(error, granted.trials)
            return
        self._bank = bank
        self._pulse.compiling_from = self._steps_before + bank.steps_done()
        self._pulse.steps = lambda before=self._steps_before: before + bank.steps_done()  # type: ignore[misc]

    def _admit_one_by_one(self, bank: Bank, trials: list[HeldTrial]) -> list[EpochRow]:
        rows: list[EpochRow] = []
        for index, trial in enumerate(trials):
            try:
                rows += bank.admit([trial_spec(trial.grant, trial.key)])
            except OutOfDeviceMemory as error:
                placed = {row.key for row in rows}
                self._lose_bank(error, [t for t in trials[:index] if t.key in placed] + trials[index:])
                return []
            except Exception as error:  # noqa: BLE001 - it came alone, so it is this trial's
                bank.evict(trial.key)
                self._fail(trial, error)
        return rows

    def _digest(self, bank: Bank, trial: HeldTrial, row: EpochRow) -> ReportEntry:
        """What to report of an epoch, with the trial's end if it was the last."""
        try:
            final = trial.note(row, lambda: bank.test_metrics(row.key))
        except OutOfDeviceMemory:  # of all slots together
            raise
        except Exception as error:  # noqa: BLE001 - an evaluation that fails is this trial's alone
            self._log.error("%s failed: %s: %s", trial, type(error).__name__, error)
            return _entry(trial, epoch=row, final=failed(error))
        if final is not None:
            self._log.info("finished %s after %d epochs", trial, row.epoch)
        return _entry(trial, epoch=row, final=final)

    def _lose_bank(self, error: Exception, newcomers: list[HeldTrial]) -> None:
        """The bank failed as a whole: nothing in it can be trusted, so its trials start again in smaller ones.

        They go back without costing a life. Only what was alone fails: the one trial of the bank, or, out of memory,
        the trials of a bank of one slot, since all have the same shapes.
        """
        trials = [*self._held.values(), *newcomers]
        self.drop_bank()
        if isinstance(error, OutOfDeviceMemory):
            is_trials_fault = self._capacity.ran_out_of_memory(self.signature, self._n_slots) == 0
        elif len(trials) == 1:
            is_trials_fault = True
            self._capacity.ended_well(self.signature)
        else:
            is_trials_fault = False
            self._capacity.failed(self.signature, len(trials))
        if is_trials_fault:
            for trial in trials:
                self._fail(trial, error)
            return
        self._log.error("a bank of %d trials failed; they start again in smaller banks", len(trials), exc_info=error)
        self.release(trials)

    def _vacate(self, trials: Iterable[HeldTrial]) -> None:
        for trial in trials:
            self._held.pop(trial.key, None)
            if self._bank is not None:
                self._bank.evict(trial.key)
        self._publish()

    def _publish(self) -> None:
        self._pulse.held = frozenset(trial.fence for trial in self._held.values())

    def _report(self, entries: Sequence[ReportEntry]) -> None:
        """Send entries of held trials, freeing the slots of those that end, and obey the answers."""
        if not entries:
            return
        trials = [self._held[key_of((entry.trial_id, entry.attempt))] for entry in entries]
        self._vacate(trial for trial, entry in zip(trials, entries, strict=True) if entry.final is not None)
        self.obey(self._outbox.send(trials[0].lease_id, entries))

    def _end(self, trial: HeldTrial, final: Failed | Stopped) -> None:
        self.obey(self._outbox.send(trial.lease_id, [_entry(trial, final=final)]))

    def _fail(self, trial: HeldTrial, error: Exception) -> None:
        self._log.error("%s failed: %s: %s", trial, type(error).__name__, error)
        self._end(trial, failed(error))

    def _give_up(self, refused: RefusedEntry) -> None:
        """End a trial whose report is refused, or it would be held for ever; if even that is refused, hand it back."""
        trial = self._held.get(key_of(refused.fence))
        if trial is not None:
            self._vacate([trial])
        if refused.final == "failed":
            self._outbox.release(refused.lease_id, [refused.fence])
        elif trial is not None or refused.final is not None:
            final = failed(ReportRefused(f"the service refuses this trial's report: {refused.reason}"))
            entry = ReportEntry(trial_id=refused.fence[0], attempt=refused.fence[1], final=final)
            self.obey(self._outbox.send(refused.lease_id, [entry]))


def _entry(
    trial: HeldTrial,
    *,
    epoch: EpochRow | None = None,
    start: Start | None = None,
    final: Completed | Failed | Stopped | None = None,
) -> ReportEntry:
    """The entry, or the trial's failure if its numbers cannot be what they claim to be."""
    trial_id, attempt = trial.fence
    try:
        measured = None if epoch is None else epoch_report(epoch)
    except ValidationError as error:
        return ReportEntry(trial_id=trial_id, attempt=attempt, start=start, final=failed(error))
    return ReportEntry(trial_id=trial_id, attempt=attempt, epoch=measured, start=start, final=final)
