"""Recordings of trials that have ended: taken one at a time, between banks, and delivered before anything else.

A claim that was not answered is asked again as it was; a result that was not is sent again as it is. What a worker
takes to its grave is made again by another: nothing needs to be kept on disk.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from service.wire.leases import WorkerInfo
from service.wire.recording_claims import (
    Recorded,
    RecordingClaim,
    RecordingClaimAnswer,
    RecordingFailed,
    RecordingGrant,
    RecordingReleased,
    RecordingReport,
    RecordingReportAnswer,
)
from worker.comparing import EpochNumbers, numbers_of
from worker.entries import hyperparameters, short_reason
from worker.errors import (
    NotAllowed,
    OutOfDeviceMemory,
    ProtocolNotServed,
    RequestRefused,
    ServiceAway,
    TrainerUnavailable,
)
from worker.heartbeat import Pulse
from worker.replaying import Replay, ReplayTrainer, record_steps
from worker.training.contract import Bank, TrialSpec

NOT_FOUND = 404
Result = Recorded | RecordingFailed | RecordingReleased


class RecordingService(Protocol):
    """What recording needs of a client."""

    def claim_recording(self, request: RecordingClaim) -> RecordingClaimAnswer:
        """Ask for a recording."""

    def report_recording(self, lease_id: str, report: RecordingReport) -> RecordingReportAnswer:
        """Say what came of one."""


class Recorder:
    """Asks for recordings, makes them, and delivers what comes of them.

    Args:
        trainer: Trains again.
        pulse: Told what goes on here.
        new_key: Makes a claim key that was never used.
        note_failure: Told when there is no answer.
        note_answer: Told when there is one.
    """

    def __init__(
        self,
        *,
        trainer: ReplayTrainer,
        client: RecordingService,
        pulse: Pulse,
        new_key: Callable[[], str],
        note_failure: Callable[[ServiceAway], None],
        note_answer: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self._trainer = trainer
        self._client = client
        self._pulse = pulse
        self._new_key = new_key
        self._note_failure = note_failure
        self._note_answer = note_answer
        self._log = log
        self._unanswered: RecordingClaim | None = None
        self._unsent: tuple[str, RecordingReport] | None = None
        self._is_served = True

    @property
    def is_idle(self) -> bool:
        """Whether every question was answered and every result was delivered."""
        return self._unanswered is None and self._unsent is None

    def ask(self, worker: WorkerInfo, lease_id: str | None) -> RecordingClaimAnswer | None:
        """Ask for a recording; None if there was no answer, or if this service has none to give.

        Raises:
            RequestRefused: The service refuses the claim; it is not asked again.
        """
        if not self._is_served:
            return None
        request = self._unanswered or RecordingClaim(claim_key=self._new_key(), worker=worker, lease_id=lease_id)
        self._unanswered = None
        try:
            answer = self._client.claim_recording(request)
        except ServiceAway as error:
            self._unanswered = request
            self._note_failure(error)
            return None
        except RequestRefused as error:
            if error.status != NOT_FOUND:
                raise
            self._is_served = False
            self._log.info("this service knows no recordings: it is of an earlier version")
            return None
        self._note_answer()
        return answer

    def make(
        self, grant: RecordingGrant, *, goes_on: Callable[[], bool], make_room: Callable[[], bool]
    ) -> Result | None:
        """Make a recording; None if `goes_on` says no before it is done.

        Where the device is too small, `make_room` is asked; if it found some, the recording goes back to be tried
        once more, here or elsewhere.

        Raises:
            TrainerUnavailable: Nothing can be trained here.
        """
        self._log.info("recording %d steps of trial %d of %s", grant.steps, grant.number, grant.sweep_id)
        steps_before, compiling_before = self._pulse.steps, self._pulse.compiling_from
        self._pulse.phase = "recording"

        def watch(bank: Bank) -> None:
            self._pulse.compiling_from = steps_before()
            self._pulse.steps = lambda: steps_before() + bank.steps_done()

        try:
            made = record_steps(
                self._trainer, replay_of(grant), steps=grant.steps, every=grant.every, watch=watch, goes_on=goes_on
            )
        except TrainerUnavailable:
            raise
        except OutOfDeviceMemory as error:
            return RecordingReleased() if make_room() else RecordingFailed(reason=short_reason(error))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is this recording's alone
            self._log.error("the recording of trial %d failed", grant.number, exc_info=error)
            return RecordingFailed(reason=short_reason(error))
        finally:
            self._pulse.steps, self._pulse.compiling_from = steps_before, compiling_before
        if made is None:
            return None
        from worker.training.steps import steps_csv

        return Recorded(
            csv=steps_csv(made.rows), same_program=made.same_program, differs_from_epoch=made.differs_from_epoch
        )

    def deliver(self, lease_id: str, grant: RecordingGrant, result: Result) -> None:
        """Send a result; without an answer it is kept, and sent again by `flush`."""
        report = RecordingReport(trial_id=grant.trial_id, attempt=grant.attempt, result=result)
        self._unsent = (lease_id, report)
        self.flush()

    def flush(self) -> bool:
        """Send the result that waits, if there is one; whether none waits now.

        Raises:
            NotAllowed, ProtocolNotServed: The service refuses this worker.
        """
        if self._unsent is None:
            return True
        lease_id, report = self._unsent
        try:
            answer = self._client.report_recording(lease_id, report)
        except ServiceAway as error:
            self._note_failure(error)
            return False
        except (NotAllowed, ProtocolNotServed):
            raise
        except RequestRefused as error:
            self._log.error("the service refuses a recording of %s: %s", report.trial_id, error)
            return self._give_up(lease_id, report, error)
        self._unsent = None
        self._note_answer()
        self._log.info("recording of %s: %s", report.trial_id, answer.outcome)
        return True

    def forget(self) -> None:
        """Drop the result that waits: its lease has ended, and another worker makes it again."""
        self._unsent = None

    def _give_up(self, lease_id: str, report: RecordingReport, error: RequestRefused) -> bool:
        """A result that is refused would be held for ever: say that it failed, unless it is that which is refused."""
        self._unsent = None
        if not isinstance(report.result, Recorded):
            return True
        failure = RecordingFailed(reason=f"the service refuses what was recorded: {error}"[:4096])
        self._unsent = (lease_id, report.model_copy(update={"result": failure}))
        return self.flush()


def replay_of(grant: RecordingGrant) -> Replay:
    """What a grant asks to train again."""
    key = f"{grant.trial_id}.recording.{grant.attempt}"
    return Replay(
        dataset=grant.dataset,
        spec=TrialSpec(key=key, seed=grant.seed, hyperparameters=hyperparameters(grant.parameters)),
        stream_seed=grant.stream_seed,
        start_epoch=grant.start_epoch,
        environment=grant.environment,
        stored=stored_numbers(grant),
    )


def stored_numbers(grant: RecordingGrant) -> list[EpochNumbers]:
    """The stored epochs of a grant, with their layers, as a replay compares them."""
    return [numbers_of(row, [layer for layer in grant.layers if layer.epoch == row.epoch]) for row in grant.epochs]
