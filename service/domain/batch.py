"""Who gets a free slot: several sweeps share fairly, and no batch grows beyond what one of its members allows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

UNLIMITED = 2**31

MAX_GROUP = 64
"""No group of matched trials is larger."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiting trial that a claim may take. `group`: matched trials, which should begin together."""

    trial_id: str
    sweep_id: str
    batch_limit: int | None
    group: int | None = None


def smallest_limit(limits: Iterable[int | None]) -> int:
    """The size that a batch of trials with these limits may have."""
    return min((limit for limit in limits if limit is not None), default=UNLIMITED)


def choose_batch(
    candidates: Sequence[Candidate],
    n_running: Mapping[str, int],
    *,
    held_limits: Sequence[int | None],
    held_sweeps: Collection[str] = (),
    max_trials: int,
) -> list[str]:
    """The trials that a claim takes.

    The next one always comes from the sweep with the fewest running trials, ties to the sweep whose candidate is
    oldest; within a sweep, the oldest first. A candidate is passed over when the batch, itself included, would be
    larger than its own limit or that of a member.

    A group is taken whole. If there is no room for all of it, it waits for more as long as the lease holds trials of
    its own sweep alone, which will end; else, or where the whole bank is smaller, the trials come as there is room.

    Args:
        candidates: Oldest first.
        n_running: Running trials of each sweep; the claim's own are added as they are chosen.
        held_limits: `batch_limit` of each trial that the lease holds already.
        held_sweeps: The sweeps of those trials.
        max_trials: At most so many are chosen: with those that are held, as many as the bank holds.

    Returns:
        Ids of trials, in the order in which they were chosen.
    """
    queues = _queues(candidates)
    load = {sweep_id: n_running.get(sweep_id, 0) for sweep_id in queues}
    limit, size, chosen = smallest_limit(held_limits), len(held_limits), list[str]()
    served, n_slots = set(held_sweeps), len(held_limits) + max_trials
    while queues and len(chosen) < max_trials and size < limit:
        sweep_id = min(queues, key=load.__getitem__)
        unit = queues[sweep_id].pop()
        room = min(max_trials - len(chosen), limit - size)
        waits = room < len(unit) <= n_slots and served == {sweep_id}
        if waits or not queues[sweep_id]:
            del queues[sweep_id]
        for candidate in unit[: 0 if waits else room]:
            allowed = min(limit, smallest_limit([candidate.batch_limit]))
            if size < allowed:
                chosen.append(candidate.trial_id)
                limit, size = allowed, size + 1
                load[sweep_id] += 1
                served.add(sweep_id)
    return chosen


def _queues(candidates: Iterable[Candidate]) -> dict[str, list[list[Candidate]]]:
    """Per sweep, what can be taken at once: single trials and whole groups, the oldest at the end."""
    by_sweep: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_sweep.setdefault(candidate.sweep_id, []).append(candidate)
    return {
        sweep_id: [
            list(unit) for _, unit in groupby(of_sweep, lambda one: one.trial_id if one.group is None else one.group)
        ][::-1]
        for sweep_id, of_sweep in by_sweep.items()
    }


def share_proposals(room: Mapping[str, int], n_active: Mapping[str, int], n: int) -> dict[str, int]:
    """How many new trials each sweep proposes, one at a time to the sweep with the fewest active ones.

    Args:
        room: For each sweep, how many more trials it may have waiting or running; oldest sweep first.
        n_active: Its trials that wait or run now.
        n: How many are wanted altogether.

    Returns:
        For each sweep that proposes any, how many; together at most `n`.
    """
    shares: dict[str, int] = {}
    for _ in range(n):
        open_sweeps = [sweep_id for sweep_id in room if shares.get(sweep_id, 0) < room[sweep_id]]
        if not open_sweeps:
            break
        chosen = min(open_sweeps, key=lambda sweep_id: n_active.get(sweep_id, 0) + shares.get(sweep_id, 0))
        shares[chosen] = shares.get(chosen, 0) + 1
    return shares
