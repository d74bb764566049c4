"""Idle slot-seconds: added up by cause, over real changes of the loop, and sent with every heartbeat."""

from worker.idle import IdleSlots


def test_idle_slots_are_counted_by_cause(time):
    idle = IdleSlots(4, time.clock)
    time.pass_by(2)
    idle.note("compiling", 0)
    time.pass_by(3)
    idle.note("no_work", 3)
    time.pass_by(5)
    assert idle.seconds() == {"starting": 8, "compiling": 12, "no_work": 5}
    idle.note("no_work", 4)
    time.pass_by(100)
    assert idle.seconds() == {"starting": 8, "compiling": 12, "no_work": 5}


def test_more_trials_than_slots_leave_none_idle(time):
    idle = IdleSlots(1, time.clock)
    idle.note("no_work", 2)
    time.pass_by(9)
    assert idle.seconds() == {}


def test_a_worker_tells_why_its_slots_are_idle(bench, service, time):
    service.add_trials(3, epochs=3)  # in four slots: the first epoch compiles, then one slot has no work
    time.at(2.5, bench.worker.heartbeat.beat)
    bench.run_until_idle()
    [beat] = service.heartbeats
    assert beat.idle_slot_seconds == {"compiling": 4, "no_work": 1.5}


def test_a_bank_that_is_emptied_for_another_signature_says_so(make_bench, service, time):
    bench = make_bench(slots=2, fairness_epochs=1)
    service.add_trials(1, epochs=4)
    time.at(0.5, lambda: service.add_trials(1, epochs=4, signature="b"))
    idle = bench.worker.pulse.idle
    told = []
    time.at(3.5, lambda: told.append(idle.seconds()))
    bench.run_until_idle()
    assert told == [{"compiling": 2, "yielding": 2.5}]
