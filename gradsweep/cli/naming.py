"""From what a user types to a sweep or a trial: an id, a unique prefix of one, a name, `latest`, NAME/12."""

from collections.abc import Callable
from itertools import islice
from shlex import quote
from typing import TypeVar

from gradsweep.cli.exits import CommandError
from gradsweep.client import ApiError, Client
from service.wire.base import Answer
from service.wire.sweeps import SweepView
from service.wire.trials import TrialView

LATEST = "latest"
NOT_FOUND = 404
SHOWN_MATCHES = 3
MOST_WATCHED = 20
_NOT_OVER = "state != completed AND state != cancelled"

_ViewT = TypeVar("_ViewT", bound=Answer)


def find_sweep(client: Client, reference: str) -> SweepView:
    """The sweep that the reference means; the name comes before a prefix."""
    if reference == LATEST:
        newest = client.sweeps(page_size=1).sweeps
        if not newest:
            raise CommandError("there is no sweep yet: submit one with gradsweep submit FILE")
        return client.sweep(newest[0].id)
    found = _or_none(lambda: client.sweep(reference))
    return found if found is not None else client.sweep(_by_prefix(client, reference))


def active_sweeps(client: Client) -> list[SweepView]:
    """The sweeps that are not over, the newest first, one more than are watched; the newest of all if every one is."""
    listed = client.sweeps(filter=_NOT_OVER, page_size=MOST_WATCHED + 1).sweeps
    return [client.sweep(sweep.id) for sweep in listed] or [find_sweep(client, LATEST)]


def find_trial(client: Client, reference: str) -> TrialView:
    """The trial that the reference means: its id, or its number in a sweep."""
    sweep_reference, slash, number = reference.rpartition("/")
    if not slash:
        found = _or_none(lambda: client.trial(reference))
        if found is None:
            raise CommandError(f"there is no trial {reference}: give its id, or SWEEP/NUMBER as in latest/12")
        return found
    if not number.isdecimal():
        raise CommandError(f"{reference} is no trial: write SWEEP/NUMBER, as in latest/12")
    sweep = find_sweep(client, sweep_reference)
    trials = client.trials(sweep.id, filter=f"number = {int(number)}", page_size=1).trials
    if not trials:
        raise CommandError(f"{sweep.name} has no trial {number}: gradsweep trials {quote(sweep.name)} lists them")
    return trials[0]


def is_trial(reference: str) -> bool:
    """Whether a reference means a trial rather than a sweep, by its form alone."""
    return "/" in reference or reference.startswith("trl_")


def _by_prefix(client: Client, prefix: str) -> str:
    matches = list(islice((s for s in client.all_sweeps() if s.id.startswith(prefix)), SHOWN_MATCHES + 1))
    if not matches:
        raise CommandError(f"there is no sweep {prefix}: gradsweep list shows what there is")
    if len(matches) > 1:
        names = ", ".join(match.id for match in matches[:SHOWN_MATCHES])
        raise CommandError(f"{prefix} fits several sweeps ({names} …): write more of the id, or use the name")
    return matches[0].id


def _or_none(ask: Callable[[], _ViewT]) -> _ViewT | None:
    try:
        return ask()
    except ApiError as error:
        if error.status == NOT_FOUND:
            return None
        raise
