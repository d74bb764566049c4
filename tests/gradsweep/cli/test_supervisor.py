"""Real children, a clock set by hand: what is started again, what is not, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.supervisor import Child, RestartPolicy, Supervisor

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]
POLICY = RestartPolicy(max_restarts=2, first_wait_seconds=1.0, longest_wait_seconds=3.0, forget_seconds=60.0)


class HandClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make_supervisor(clock: HandClock, said: list[str]) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(*children: Child) -> Supervisor:
        made.append(Supervisor(children, say=said.append, policy=POLICY, clock=clock))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.kill()


def exit_with(code: int) -> list[str]:
    return [sys.executable, "-c", f"raise SystemExit({code})"]


def start_and_let_end(child: Child, now: float) -> subprocess.Popen[bytes]:
    child.start(now)
    assert child.process is not None
    child.process.wait(30)
    return child.process


def test_a_dead_child_is_started_again_after_its_wait(
    make_supervisor: Callable[..., Supervisor], clock: HandClock, said: list[str]
) -> None:
    child = Child("worker", exit_with(1), 5.0)
    supervisor = make_supervisor(child)
    first = start_and_let_end(child, clock.now)
    supervisor.tend(child)
    supervisor.tend(child)
    assert child.process is first
    clock.now += 1.0
    supervisor.tend(child)
    assert child.process is not first
    assert said == ["the worker ended (exit code 1); starting it again in 1 s"]


def test_a_child_that_a_signal_ended_is_named_by_the_signal(
    make_supervisor: Callable[..., Supervisor], clock: HandClock, said: list[str]
) -> None:
    child = Child("worker", SLEEPER, 5.0)
    supervisor = make_supervisor(child)
    child.start(clock.now)
    child.process.kill()
    child.process.wait(30)
    supervisor.tend(child)
    assert "SIGKILL" in said[0]


def test_a_child_that_dies_too_often_ends_the_supervision(
    make_supervisor: Callable[..., Supervisor], clock: HandClock
) -> None:
    child = Child("worker", exit_with(1), 5.0)
    supervisor = make_supervisor(child)
    for _ in range(POLICY.max_restarts):
        start_and_let_end(child, clock.now)
        supervisor.tend(child)
    start_and_let_end(child, clock.now)
    with pytest.raises(CommandError, match="died 3 times in a row") as caught:
        supervisor.tend(child)
    assert caught.value.exit_code is ExitCode.FAILED


def test_a_long_life_is_forgiven_earlier_deaths(make_supervisor: Callable[..., Supervisor], clock: HandClock) -> None:
    child = Child("worker", exit_with(1), 5.0)
    supervisor = make_supervisor(child)
    child.n_deaths = POLICY.max_restarts
    start_and_let_end(child, clock.now)
    clock.now += POLICY.forget_seconds
    supervisor.tend(child)
    assert child.n_deaths == 1


def test_a_child_that_refuses_is_not_started_again(
    make_supervisor: Callable[..., Supervisor], clock: HandClock
) -> None:
    child = Child("service", exit_with(ExitCode.BAD_INPUT), 5.0)
    supervisor = make_supervisor(child)
    start_and_let_end(child, clock.now)
    with pytest.raises(CommandError, match="the service refused to start") as caught:
        supervisor.tend(child)
    assert caught.value.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("n_deaths", "expected"), [(1, 1.0), (2, 2.0), (3, None)], ids=["first", "doubled", "given up"]
)
def test_waits_double_and_end(n_deaths: int, expected: float | None) -> None:
    assert POLICY.wait_seconds(n_deaths) == expected


def test_a_wait_has_a_longest() -> None:
    assert RestartPolicy(max_restarts=50).wait_seconds(40) == 30.0


class RecordedChild(Child):
    """Writes down that it was ended."""

    ended: list[str] = []

    def end(self) -> None:
        """Note the name."""
        self.ended.append(self.name)


def test_children_end_in_reverse_order(make_supervisor: Callable[..., Supervisor]) -> None:
    RecordedChild.ended.clear()
    make_supervisor(RecordedChild("service", SLEEPER, 1.0), RecordedChild("worker", SLEEPER, 1.0)).end()
    assert RecordedChild.ended == ["worker", "service"]


def test_a_child_ends_at_sigterm(clock: HandClock) -> None:
    child = Child("worker", SLEEPER, 30.0)
    child.start(clock.now)
    child.end()
    assert child.exit_code() == -signal.SIGTERM


@pytest.fixture
def deaf_children() -> Iterator[None]:
    """What a process ignores, its children ignore too."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("deaf_children")
def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(clock: HandClock) -> None:
    child = Child("worker", SLEEPER, 0.2)
    child.start(clock.now)
    child.end()
    assert child.exit_code() == -signal.SIGKILL


def test_a_child_sees_its_input_close_when_the_supervisor_dies() -> None:
    program = (
        "import os, sys, time; from gradsweep.cli.supervisor import Child;"
        "child = Child('worker', [sys.executable, '-c', 'import sys; sys.stdin.read(); print(\"left\")'], 1.0);"
        "child.start(0.0); os.kill(os.getpid(), 9)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=dict(os.environ)) as parent:
        output, _ = parent.communicate(timeout=60)
    assert output == b"left\n"


def test_a_child_that_waits_for_its_supervisor_ends_cleanly_before_it() -> None:
    program = "from gradsweep.cli import processes; processes.end_with_stdin()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.wait(60) == 0
        assert child.stderr.read() == b""
