"""The reaper's thread: a round that fails is logged, and the next one comes."""

import threading
from itertools import chain, repeat
from unittest.mock import Mock

from service.background.reaper import ReaperThread
from service.operations.reaping import ReapResult


def make_thread(tick, announce, clock=lambda: 0.0):
    return ReaperThread(tick, interval_seconds=0.001, announce=announce, clock=clock)


def test_goes_on_after_a_crash(caplog):
    announced = threading.Event()
    script = chain([RuntimeError("database away")], repeat(ReapResult(n_expired=1, n_lost=2)))
    thread = make_thread(Mock(side_effect=script), announced.set)
    thread.start()
    assert announced.wait(10)
    thread.stop()
    assert "database away" in caplog.text


def test_tells_how_long_it_has_been_silent():
    now = [100.0]
    tick = Mock(side_effect=[RuntimeError("away"), ReapResult(), RuntimeError("away")])
    thread = make_thread(tick, Mock(), clock=lambda: now[0])
    silences = [thread.silent_seconds()]
    for _ in range(3):
        thread.round()
        silences.append(thread.silent_seconds())
        now[0] += 7.0
    assert silences == [None, None, 0.0, 7.0]


def test_announces_only_what_changed_something():
    announce = Mock()
    make_thread(Mock(return_value=ReapResult(n_extended=3)), announce).round()
    announce.assert_not_called()
