"""Following a sweep's events."""

from dataclasses import dataclass

from service.database.engine import Database
from service.database.history import events_after, last_event
from service.errors import NotFound
from service.operations.viewing import event_view
from service.wire.sweeps import EventView


@dataclass(frozen=True, slots=True)
class News:
    """Events after a number. `is_over`: the sweep has ended and nothing comes after these."""

    events: tuple[EventView, ...]
    last: int
    is_over: bool


def read_news(database: Database, sweep_id: str, after: int, *, limit: int = 500) -> News:
    """Events of a sweep after a number, at most `limit`.

    Raises:
        NotFound: The sweep is gone.
    """
    with database.read() as connection:
        found = last_event(connection, sweep_id)
        if found is None:
            raise NotFound(f"There is no sweep with the id '{sweep_id}' any more.")
        newest, is_ended = found
        events = events_after(connection, sweep_id, after, limit) if newest > after else []
    last = events[-1].number if events else max(after, 0)
    return News(tuple(map(event_view, events)), last, is_ended and last >= newest)
