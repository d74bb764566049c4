"""SIGTERM and SIGINT: the first drains, the second ends the process.

Signals are awaited by a thread of their own. A Python handler would run in the main thread between two bytecodes:
not while an epoch runs inside TensorFlow, and perhaps while that thread holds the very lock that the handler needs.
"""

import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


@contextmanager
def drain_on_signal(
    drain: Callable[[], None],
    exit_process: Callable[[int], None],
    await_signal: Callable[[Collection[int]], int] = signal.sigwait,
) -> Iterator[None]:
    """While inside, call `drain` on the first signal and `exit_process(128 + signal)` on the second.

    Threads that are started inside inherit the blocked signals, so that only the waiting thread gets them.
    """
    is_over = threading.Event()

    def watch() -> None:
        await_signal(SIGNALS)
        if is_over.is_set():
            return
        drain()
        number = await_signal(SIGNALS)
        if not is_over.is_set():
            exit_process(128 + number)

    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    thread = threading.Thread(target=watch, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        if thread.is_alive() and thread.ident is not None:
            signal.pthread_kill(thread.ident, signal.SIGTERM)
        thread.join(timeout=1)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
