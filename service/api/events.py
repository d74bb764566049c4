"""A sweep's events as they happen: server-sent events, and a long poll for those without.

These handlers alone are asynchronous: they wait for a signal, and read in short sessions on the thread pool. What
another process wrote is found by looking again every `event_poll_seconds`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from service.api.bodies import StrictRoute
from service.api.context import Context, ContextDep, SweepRef
from service.api.documenting import errors
from service.errors import NotFound
from service.operations.reading import resolve_sweep
from service.operations.tailing import News, read_news
from service.wire.base import MAX_INTEGER
from service.wire.sweeps import EventList, EventView

logger = logging.getLogger("gradsweep.events")
router = APIRouter(route_class=StrictRoute, tags=["events"])

LONGEST_WAIT_SECONDS = 60
COALESCE_SECONDS = 0.1
"""A stream looks no more often than this, however fast events come."""
_EVENT_STREAM = "text/event-stream"


@router.get(
    "/v1/sweeps/{sweep}/events",
    operation_id="follow_events",
    summary="Follow a sweep",
    response_model=EventList,
    responses=errors(NotFound)
    | {
        200: {
            "description": "A stream that ends when the sweep has; with `after` or `wait`, a list.",
            "content": {_EVENT_STREAM: {"schema": {"type": "string"}}},
        },
        204: {"description": "The sweep is over and all its events were seen: do not reconnect."},
    },
)
async def follow(
    context: ContextDep,
    sweep: SweepRef,
    after: Annotated[
        int | None, Query(ge=0, le=MAX_INTEGER, description="Long poll: number of the last event that is known.")
    ] = None,
    wait: Annotated[
        float | None,
        Query(ge=0, le=LONGEST_WAIT_SECONDS, description="Long poll: seconds to wait for an event at most."),
    ] = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=MAX_INTEGER, description="Stream: number of the last event that is known.")
    ] = None,
) -> Response | EventList:
    """Server-sent events, each with its number as id; with `after` or `wait`, one long poll instead."""
    found = await run_in_threadpool(resolve_sweep, context.database, sweep)
    if after is not None or wait is not None:
        return await _long_poll(context, found.id, after or 0, wait or 0.0)
    known = last_event_id or 0
    news = await _read(context, found.id, known)
    if news.is_over and not news.events:
        return Response(status_code=204)
    return StreamingResponse(
        _stream(context, found.id, known), media_type=_EVENT_STREAM, headers={"X-Accel-Buffering": "no"}
    )


async def _read(context: Context, sweep_id: str, after: int) -> News:
    return await run_in_threadpool(read_news, context.database, sweep_id, after)


async def _long_poll(context: Context, sweep_id: str, after: int, wait_seconds: float) -> EventList:
    clock = asyncio.get_running_loop().time
    deadline = clock() + wait_seconds
    while True:
        seen = context.signal.count
        news = await _read(context, sweep_id, after)
        left = deadline - clock()
        if news.events or news.is_over or left <= 0 or context.signal.is_closing:
            return EventList(events=news.events, last_event=news.last, is_ended=news.is_over)
        await context.signal.wait(seen, min(left, context.settings.event_poll_seconds))


async def _stream(context: Context, sweep_id: str, after: int) -> AsyncIterator[bytes]:
    """Events after a number until the sweep is over or the service closes; whoever lost the line comes back."""
    clock = asyncio.get_running_loop().time
    yield b"retry: 2000\n\n"
    last, spoken_at = after, clock()
    while True:
        seen = context.signal.count
        try:
            news = await _read(context, sweep_id, last)
        except (NotFound, SQLAlchemyError) as error:
            logger.warning("the stream of %s ends: %s", sweep_id, error)
            return
        if news.events:
            yield b"".join(map(encode_event, news.events))
            last, spoken_at = news.last, clock()
        elif clock() - spoken_at >= context.settings.event_heartbeat_seconds:
            yield b": nothing new\n\n"
            spoken_at = clock()
        if news.is_over or context.signal.is_closing:
            return
        await context.signal.wait(seen, context.settings.event_poll_seconds)
        await asyncio.sleep(COALESCE_SECONDS)


def encode_event(event: EventView) -> bytes:
    """One event in the format of WHATWG HTML, section 9.2; JSON holds no line break, so one data line is enough."""
    return f"id: {event.number}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n".encode()
