"""Real signals to this process, caught by the worker's watcher."""

import os
import signal
import threading

import pytest

from worker.signals import drain_on_signal


@pytest.fixture(autouse=True)
def no_signal_ends_the_tests():
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains_and_the_second_ends_the_process(number):
    drained, ended = threading.Event(), threading.Event()
    codes = []

    def end(code):
        codes.append(code)
        ended.set()

    with drain_on_signal(drained.set, end):
        os.kill(os.getpid(), number)
        assert drained.wait(30)
        assert codes == []
        os.kill(os.getpid(), number)
        assert ended.wait(30)
    assert codes == [128 + number]


def test_without_a_signal_nothing_happens_and_the_handlers_come_back():
    called = []
    with drain_on_signal(lambda: called.append("drain"), called.append):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
    assert called == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_a_signal_that_meets_another_thread_drains_too():
    drained = threading.Event()
    may_end = threading.Event()
    neighbour = threading.Thread(target=may_end.wait)
    neighbour.start()
    with drain_on_signal(drained.set, lambda code: None):
        signal.pthread_kill(neighbour.ident, signal.SIGTERM)
        assert drained.wait(30)
    may_end.set()
    neighbour.join()
