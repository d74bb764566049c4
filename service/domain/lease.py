"""Leases: a worker's right to the trials it holds, and what its death does to them.

active ──release──► released        active ──reaper, after expires_at──► expired

"Batch" means all trials that a lease holds.
"""

from dataclasses import dataclass

from service.domain.states import LeaseState, SweepState, TrialState
from service.domain.trial import MAX_LOST

SMALL_BATCH = 4
"""Only a loss in a batch this small or smaller costs a life: in a larger one most members are innocent."""

BACK_OFF_MS = 5_000
"""How long a trial waits after the second life it lost; doubled for each further one."""


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """What the lease protocol is tuned by. A dead worker's trials run elsewhere within a lease and a reaper's tick.

    Args:
        lease_seconds: How long a lease holds after it was renewed.
        heartbeat_seconds: How often a worker renews; told to it with each claim.
        reap_seconds: How often expired leases are looked for.
        max_lost: Lives: a trial that lost this many workers has failed.
        quarantine_after: A worker that fails so many trials in a row gets none for a while.
        quarantine_seconds: How long that while is; afterwards one failure more starts it again.
        retry_after_ms: How long a worker that got nothing waits, on average.
        claim_kept_seconds: How long a claim's answer is kept for a repeated claim.
    """

    lease_seconds: float = 60.0
    heartbeat_seconds: float = 15.0
    reap_seconds: float = 5.0
    max_lost: int = MAX_LOST
    quarantine_after: int = 8
    quarantine_seconds: float = 600.0
    retry_after_ms: int = 1_000
    claim_kept_seconds: float = 86_400.0

    @property
    def lease_ms(self) -> int:
        """How long a lease holds after it was renewed."""
        return round(self.lease_seconds * 1000)

    @property
    def reap_ms(self) -> int:
        """How often expired leases are looked for."""
        return round(self.reap_seconds * 1000)


@dataclass(frozen=True, slots=True)
class Lease:
    """One row of `leases`."""

    id: str
    worker_id: str
    state: LeaseState
    expires_at_ms: int
    ended_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a trial whose worker vanished."""

    state: TrialState
    lost: int
    batch_limit: int | None
    wait_ms: int


def fate_of_lost(
    *,
    lost: int,
    batch_limit: int | None,
    batch_size: int,
    stop_requested: bool,
    sweep_state: SweepState,
    max_lost: int,
) -> Fate:
    """What becomes of a trial whose worker vanished with `batch_size` trials.

    A trial that was told to stop, or whose sweep takes no more trials, is cancelled. A large batch is split in four,
    at nobody's expense: so 512 trials reach the culprit in four steps and one dead GPU kills nothing. In a small one
    each member loses a life; the last life lost is `failed` (worker_lost).
    """
    if stop_requested or not returns_to_waiting(sweep_state):
        return Fate(TrialState.CANCELLED, lost, batch_limit, 0)
    limit = max(1, batch_size // 4)
    lowered = limit if batch_limit is None else min(batch_limit, limit)
    if batch_size > SMALL_BATCH:
        return Fate(TrialState.WAITING, lost, lowered, 0)
    lost += 1
    if lost >= max_lost:
        return Fate(TrialState.FAILED, lost, lowered, 0)
    return Fate(TrialState.WAITING, lost, lowered, back_off_ms(lost))


def returns_to_waiting(sweep_state: SweepState) -> bool:
    """Whether a trial that comes back from a worker waits again; otherwise it is cancelled."""
    return sweep_state in (SweepState.QUEUED, SweepState.RUNNING, SweepState.PAUSED)


def back_off_ms(lost: int) -> int:
    """How long a trial waits after it lost its `lost`-th life: not at all after the first, then longer and longer."""
    return 0 if lost < 2 else BACK_OFF_MS * 2 ** (lost - 2)


def retry_after_ms(settings: LeaseSettings, chance: float) -> int:
    """When a worker that got nothing asks again: half to one and a half times the setting, so that many spread out.

    Args:
        settings: For the average.
        chance: A random number in [0, 1).
    """
    return round(settings.retry_after_ms * (0.5 + chance))
