"""SIGTERM and SIGINT: the first drains, the second ends the process.

A Python handler runs in the main thread between two bytecodes: not while an epoch runs inside TensorFlow, and perhaps
while that thread holds the very lock that the handler needs. So the handlers here do nothing; the interpreter's own
C handler writes the signal's number into a pipe, at once and whatever thread it meets, and a thread reads it there.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_OVER = 0  # no signal has this number


@contextmanager
def drain_on_signal(drain: Callable[[], None], exit_process: Callable[[int], None]) -> Iterator[None]:
    """While inside, call `drain` on the first signal and `exit_process(128 + signal)` on the second.

    To be entered in the main thread; both are called in another one.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def next_signal() -> int:
        number = os.read(reader, 1)[0]
        return number if number in (*SIGNALS, _OVER) else next_signal()

    def watch() -> None:
        if next_signal() == _OVER:
            return
        drain()
        number = next_signal()
        if number != _OVER:
            exit_process(128 + number)

    thread = threading.Thread(target=watch, name="signals", daemon=True)
    wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers_before = {number: signal.signal(number, _do_nothing) for number in SIGNALS}
    thread.start()
    try:
        yield
    finally:
        for number, handler in handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        os.write(writer, bytes([_OVER]))
        thread.join()
        os.close(reader)
        os.close(writer)


def _do_nothing(number: int, frame: object) -> None:
    """What Python runs in the main thread; the pipe has told the number already."""
