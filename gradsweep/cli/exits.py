"""How a command ends: the exit codes, and the error that carries one."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script can rely on (docs/command-line.md)."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    PAUSED_BY_FAILURE = 3
    CANCELLED = 4
    UNREACHABLE = 5
    DETACHED = 130


class CommandError(Exception):
    """A command cannot go on. The message is one line: what was wrong, with the value, and what to do next."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.BAD_INPUT) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code
