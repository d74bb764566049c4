"""Lease renewal: what is sent, what is learnt, and when the process ends itself."""

import logging
import threading

import pytest

from service.wire.leases import HeartbeatAnswer
from worker.errors import LeaseEnded, NotAllowed, ServiceAway
from worker.heartbeat import EXIT_DRAINED, EXIT_STALLED, Heartbeat, News, Pulse


class Line:
    """The other end: keeps what was sent, answers what it is told to."""

    def __init__(self):
        self.sent = []
        self.held = ()
        self.stop = ()
        self.error = None
        self.meanwhile = lambda: None

    def send(self, lease_id, request):
        self.sent.append((lease_id, request))
        if self.error is not None:
            raise self.error
        self.meanwhile()
        return HeartbeatAnswer(lease_seconds=60, held=self.held, stop=self.stop)


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def pulse():
    return Pulse(phase="training", lease_id="lse_1", held=frozenset({("a", 1), ("b", 1)}))


@pytest.fixture
def ended():
    return []


@pytest.fixture
def over():
    return threading.Event()


@pytest.fixture
def heartbeat(time, line, pulse, ended, over):
    def exit_process(code):
        ended.append(code)
        over.set()

    def give_back():
        ended.append("given back")
        if line.error is not None:
            raise line.error

    return Heartbeat(
        send=line.send,
        pulse=pulse,
        clock=time.clock,
        exit_process=exit_process,
        give_back=give_back,
        stall_timeout_seconds=300,
        log=logging.getLogger("worker"),
    )


def test_it_sends_what_the_loop_does(heartbeat, line, pulse):
    pulse.steps = lambda: 42
    heartbeat.beat()
    [(lease_id, request)] = line.sent
    assert (lease_id, request.steps_done, request.phase, request.slots_filled) == ("lse_1", 42, "training", 2)


def test_without_a_lease_nothing_is_sent(heartbeat, line, pulse):
    pulse.lease_id = None
    heartbeat.beat()
    assert line.sent == []


def test_once_ceased_nothing_is_sent(heartbeat, line):
    heartbeat.cease()
    heartbeat.beat()
    assert line.sent == []


def test_ceasing_waits_for_the_answer_to_what_was_sent(heartbeat, line):
    order = []
    ceasing = threading.Thread(target=lambda: (heartbeat.cease(), order.append("ceased")))

    def answer_late():
        ceasing.start()
        ceasing.join(timeout=0.2)  # all the time it would need if it did not wait
        order.append("answered")

    line.meanwhile = answer_late
    heartbeat.beat()
    ceasing.join()
    assert order == ["answered", "ceased"]


def test_it_learns_what_is_gone_and_what_must_stop(heartbeat, line):
    line.held, line.stop = ("a",), ("a",)
    heartbeat.beat()
    assert heartbeat.take_news() == News(gone=frozenset({("b", 1)}), stop=frozenset({"a"}))
    assert heartbeat.take_news() == News()


def test_news_of_two_beats_add_up(heartbeat, line):
    line.held = ("a",)
    heartbeat.beat()
    line.held = ("b",)
    heartbeat.beat()
    assert heartbeat.take_news().gone == {("a", 1), ("b", 1)}


def test_a_trial_claimed_while_the_heartbeat_was_under_way_is_not_gone(heartbeat, line, pulse):
    line.held = ("a", "b")
    line.meanwhile = lambda: setattr(pulse, "held", pulse.held | {("c", 1)})
    heartbeat.beat()
    assert heartbeat.take_news().gone == frozenset()


def test_a_lease_that_the_service_does_not_know_is_news(heartbeat, line, pulse):
    line.error = LeaseEnded(404, "no such lease")
    heartbeat.beat()
    assert heartbeat.take_news() == News(gone=pulse.held, lost_lease="lse_1")


@pytest.mark.parametrize("error", [ServiceAway("refused"), NotAllowed(401, "no token")])
def test_a_beat_survives_a_service_that_is_away_or_refuses(heartbeat, line, error):
    line.error = error
    heartbeat.beat()
    heartbeat.beat()
    assert len(line.sent) == 2
    assert heartbeat.take_news() == News()


def test_a_service_that_is_away_is_told_to_who_asks_for_a_renewal(heartbeat, line):
    line.error = ServiceAway("refused")
    with pytest.raises(ServiceAway):
        heartbeat.renew()


def beat_for(heartbeat, time, seconds, each=15):
    for _ in range(seconds // each):
        time.pass_by(each)
        heartbeat.beat()


def test_training_without_a_step_ends_the_process_and_renews_no_more(heartbeat, time, line, ended):
    beat_for(heartbeat, time, 285)
    assert ended == []
    n_sent = len(line.sent)
    beat_for(heartbeat, time, 30)
    assert ended[0] == EXIT_STALLED
    assert len(line.sent) == n_sent + 1


def test_steps_keep_a_slow_epoch_alive(heartbeat, time, pulse, ended):
    pulse.steps = lambda: int(time.now) // 200
    beat_for(heartbeat, time, 3000)
    assert ended == []


@pytest.mark.parametrize("phase", ["starting", "loading", "compiling", "idle", "draining"])
def test_no_step_is_expected_while_not_training(heartbeat, time, pulse, ended, phase):
    pulse.phase = phase
    beat_for(heartbeat, time, 3000)
    assert ended == []


def test_the_time_in_another_phase_does_not_count(heartbeat, time, pulse, ended):
    pulse.phase = "compiling"
    beat_for(heartbeat, time, 600)
    pulse.phase = "training"
    beat_for(heartbeat, time, 285)
    assert ended == []


def test_compiling_has_ended_with_the_first_step(heartbeat, line, pulse):
    pulse.phase, pulse.compiling_from, pulse.steps = "compiling", 40, lambda: 40
    heartbeat.beat()
    pulse.steps = lambda: 41
    heartbeat.beat()
    assert [request.phase for _, request in line.sent] == ["compiling", "training"]


def test_a_hang_after_the_first_step_of_a_new_program_is_seen(heartbeat, time, pulse, ended):
    pulse.phase, pulse.compiling_from, pulse.steps = "compiling", 40, lambda: 41
    beat_for(heartbeat, time, 330)
    assert ended[0] == EXIT_STALLED


def test_a_drain_that_takes_too_long_hands_back_and_ends(heartbeat, time, pulse, ended):
    pulse.drain_until = time.now + 20
    beat_for(heartbeat, time, 15)
    assert ended == []
    beat_for(heartbeat, time, 15)
    assert ended == ["given back", EXIT_DRAINED]


def test_the_thread_beats_when_woken_and_ends_when_closed(heartbeat, line):
    arrived = threading.Event()
    line.meanwhile = arrived.set
    heartbeat.start()
    heartbeat.wake()
    assert arrived.wait(30)
    heartbeat.close()
    assert len(line.sent) >= 1


def test_the_thread_beats_by_itself(heartbeat, line, pulse):
    pulse.interval_seconds = 0.001
    enough = threading.Event()
    beats = iter(range(3))
    line.meanwhile = lambda: next(beats, None) is None and enough.set()
    heartbeat.start()
    assert enough.wait(30)
    heartbeat.close()


def test_the_thread_watches_a_drains_end(heartbeat, time, pulse, ended, over):
    pulse.interval_seconds = 3600
    pulse.drain_until = time.now
    heartbeat.start()
    assert over.wait(30)
    heartbeat.close()
    assert ended[:2] == ["given back", EXIT_DRAINED]


def test_a_drain_ends_even_if_the_service_is_away(heartbeat, time, line, pulse, ended):
    line.error = ServiceAway("refused")
    pulse.drain_until = time.now
    heartbeat.beat()
    assert ended == ["given back", EXIT_DRAINED]


def test_the_thread_survives_a_slip(heartbeat, line, pulse):
    arrived = threading.Event()
    line.meanwhile = arrived.set
    slips = iter([ZeroDivisionError("once")])
    pulse.interval_seconds = 0.001
    pulse.steps = lambda: _raise(next(slips, None))
    heartbeat.start()
    assert arrived.wait(30)
    heartbeat.close()


def _raise(error):
    if error is not None:
        raise error
    return 0
