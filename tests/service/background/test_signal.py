"""The signal that wakes event streams."""

import asyncio
import threading

import pytest

from service.background.signal import EventSignal


def test_wakes_who_waits_from_another_thread():
    async def wait():
        signal = EventSignal()
        waiting = asyncio.create_task(signal.wait(signal.count, timeout_seconds=60))
        await asyncio.sleep(0)
        thread = threading.Thread(target=signal.announce)
        thread.start()
        await waiting
        thread.join()
        return signal.count

    assert asyncio.run(wait()) == 1


@pytest.mark.parametrize("say", [EventSignal.announce, EventSignal.close])
def test_what_was_said_before_is_not_waited_for(say):
    signal = EventSignal()
    seen = signal.count
    say(signal)
    asyncio.run(asyncio.wait_for(signal.wait(seen, timeout_seconds=60), 10))
    assert signal.count == 1


def test_closing_ends_every_wait():
    signal = EventSignal()
    signal.close()
    asyncio.run(asyncio.wait_for(signal.wait(signal.count, timeout_seconds=60), 10))
    assert signal.is_closing


def test_a_wait_ends_by_itself():
    signal = EventSignal()
    asyncio.run(signal.wait(signal.count, timeout_seconds=0.01))
    assert signal.count == 0


def test_an_announcement_outlives_the_loop_of_who_waited():
    signal = EventSignal()

    async def leave_waiting():
        task = asyncio.create_task(signal.wait(signal.count, timeout_seconds=60))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave_waiting())
    signal.announce()
    assert signal.count == 1
