"""Asking for trials: one claim key per question, the same question again until it was answered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.wire.leases import ClaimAnswer, ClaimRequest, WorkerInfo
from service.wire.parameters import Parameters
from worker.errors import ServiceAway, WorkerError
from worker.holding import HeldTrial


@dataclass(frozen=True, slots=True)
class Granted:
    """Trials of one signature that a claim brought, at least one."""

    signature: str
    dataset: str
    dataset_sha256: str | None
    stream_seed: int
    trials: list[HeldTrial]
    representatives: tuple[Parameters, ...] = ()
    statistics_every: int = 1

    @property
    def sweeps(self) -> set[str]:
        """Ids of the sweeps that the trials are of."""
        return {trial.grant.sweep_id for trial in self.trials}

    @classmethod
    def read(cls, answer: ClaimAnswer) -> "Granted | None":
        """What an answer grants; None if it grants nothing.

        Raises:
            WorkerError: Trials were granted without what is needed to train them.
        """
        if not answer.grants:
            return None
        if answer.lease_id is None or answer.signature is None or answer.dataset is None or answer.stream_seed is None:
            raise WorkerError("the service granted trials without lease, signature, data set or stream seed")
        trials = [HeldTrial(grant, answer.lease_id) for grant in answer.grants]
        return cls(
            answer.signature,
            answer.dataset,
            answer.dataset_sha256,
            answer.stream_seed,
            trials,
            answer.representatives,
            answer.statistics_every,
        )


class ClaimService(Protocol):
    """What claiming needs of a client."""

    def claim(self, request: ClaimRequest) -> ClaimAnswer:
        """Ask for trials."""


class Claims:
    """Asks the service for trials.

    A question whose answer was lost may have been granted, so it is asked again as it was, with its key, before any
    other; the service then gives the first answer again.

    Args:
        new_key: Makes a claim key that was never used.
        note_failure: Told when there is no answer.
    """

    def __init__(
        self,
        client: ClaimService,
        *,
        new_key: Callable[[], str],
        note_failure: Callable[[ServiceAway], None],
        note_answer: Callable[[], None],
    ) -> None:
        self._client = client
        self._new_key = new_key
        self._note_failure = note_failure
        self._note_answer = note_answer
        self._unanswered: ClaimRequest | None = None

    def ask(
        self, max_trials: int, *, worker: WorkerInfo, lease_id: str | None, signature: str | None
    ) -> ClaimAnswer | None:
        """Ask for at most `max_trials` trials; None if there was no answer.

        Raises:
            RequestRefused: The service refuses the claim; it is not asked again.
        """
        request = self._unanswered or ClaimRequest(
            claim_key=self._new_key(),
            worker=worker,
            lease_id=lease_id,
            max_trials=max_trials,
            signature=signature,
        )
        self._unanswered = None
        try:
            answer = self._client.claim(request)
        except ServiceAway as error:
            self._unanswered = request
            self._note_failure(error)
            return None
        self._note_answer()
        return answer
