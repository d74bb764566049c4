"""Following a sweep: every change is shown, a service that restarts is waited for, the end has an exit code."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gradsweep.cli.exits import ExitCode
from gradsweep.cli.following import Follower, Picture, follow_all, outcome
from gradsweep.client import ApiError, Unreachable
from service.wire.health import WorkerView
from service.wire.sweeps import SweepView
from service.wire.trials import TrialView


@dataclass
class ScriptedClient:
    """Answers `sweep` from a script; an exception in it is raised instead."""

    script: Iterator[SweepView | Exception]
    trial_view: TrialView
    worker_views: tuple[WorkerView, ...] = ()
    asked_after: list[int] = field(default_factory=list)
    trials_asked: list[str] = field(default_factory=list)
    n_workers_asked: int = 0

    def sweep(self, sweep: str) -> SweepView:
        return self.trial_or_raise(next(self.script))

    @staticmethod
    def trial_or_raise(answer: SweepView | Exception) -> SweepView:
        match answer:
            case Exception():
                raise answer
        return answer

    def trial(self, trial: str) -> TrialView:
        self.trials_asked.append(trial)
        return self.trial_view

    @staticmethod
    def sweep_figure(sweep: str, kind: str) -> dict[str, Any]:
        return {"data": [{"name": "pruned"}, {"name": "best so far", "x": [0, 3], "y": [0.5, 0.9512]}]}

    def workers(self) -> tuple[WorkerView, ...]:
        self.n_workers_asked += 1
        return self.worker_views

    def events_after(self, sweep: str, after: int, *, wait_seconds: float) -> None:
        self.asked_after.append(after)


@dataclass
class Recorder:
    """A screen that remembers."""

    pictures: list[Picture] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def show(self, picture: Picture) -> None:
        self.pictures.append(picture)

    def lost(self, seconds: float) -> None:
        self.losses.append(seconds)

    def forget(self, sweep_id: str) -> None:
        self.forgotten.append(sweep_id)


@dataclass
class HandClock:
    """Time that passes only while somebody rests."""

    now: float = 0.0

    def rest(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def screen() -> Recorder:
    return Recorder()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def make_follower(
    screen: Recorder, clock: HandClock, make_trial: Callable[..., TrialView], worker_view: WorkerView
) -> Callable[..., Follower]:
    def make(*script: SweepView | Exception, give_up_seconds: float = 60.0) -> Follower:
        client = ScriptedClient(iter(script), make_trial(), (worker_view,))
        return Follower(client, "swp_1", screen, give_up_seconds=give_up_seconds, clock=clock, rest=clock.rest)

    return make


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        ("completed", "run_cap", ExitCode.OK),
        ("cancelled", "by_user", ExitCode.CANCELLED),
        ("paused", "failure_limit", ExitCode.PAUSED_BY_FAILURE),
    ],
)
def test_it_ends_with_the_sweep(
    make_follower: Callable[..., Follower],
    make_sweep: Callable[..., SweepView],
    screen: Recorder,
    state: str,
    reason: str,
    code: ExitCode,
) -> None:
    ended = make_follower(make_sweep(), make_sweep(state=state, state_reason=reason)).follow()
    assert outcome(ended) is code
    assert [picture.sweep.state for picture in screen.pictures] == ["running", state]


@pytest.mark.parametrize(
    ("state", "reason"), [("queued", None), ("running", None), ("stopping", "by_user"), ("paused", "by_user")]
)
def test_a_sweep_that_can_go_on_is_watched_on(
    make_sweep: Callable[..., SweepView], state: str, reason: str | None
) -> None:
    assert outcome(make_sweep(state=state, state_reason=reason)) is None


def test_it_asks_for_news_after_the_last_event_of_the_picture(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView]
) -> None:
    follower = make_follower(make_sweep(last_event=17), make_sweep(last_event=21), make_sweep(state="completed"))
    follower.follow()
    assert follower.client.asked_after == [17, 21]


def test_the_best_trial_is_asked_for_once_until_it_changes(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView], screen: Recorder
) -> None:
    follower = make_follower(make_sweep(best=None), make_sweep(), make_sweep(), make_sweep(state="completed"))
    follower.follow()
    assert follower.client.trials_asked == ["trl_3"]
    assert [picture.best is None for picture in screen.pictures] == [True, False, False, False]


def test_a_restart_of_the_service_is_waited_for(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView], screen: Recorder
) -> None:
    away = Unreachable("no answer")
    unwell = ApiError(503, "unavailable", "starting")
    make_follower(make_sweep(), away, away, unwell, make_sweep(state="completed")).follow()
    assert len(screen.losses) == 3
    assert screen.pictures[-1].sweep.state == "completed"


def test_a_service_that_stays_away_is_given_up(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView]
) -> None:
    away = [Unreachable("no answer")] * 100
    with pytest.raises(Unreachable):
        make_follower(make_sweep(), *away, give_up_seconds=5.0).follow()


def test_a_refusal_is_not_waited_for(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView], screen: Recorder
) -> None:
    with pytest.raises(ApiError):
        make_follower(make_sweep(), ApiError(404, "not_found", "deleted")).follow()
    assert screen.losses == []


def test_several_are_followed_until_the_last_has_ended(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView], screen: Recorder
) -> None:
    done, cancelled = make_sweep(state="completed"), make_sweep(id="swp_2", state="cancelled")
    followers = [
        make_follower(make_sweep(), Unreachable("gone"), done),
        make_follower(make_sweep(id="swp_2"), cancelled),
    ]
    followers[1].sweep_id = "swp_2"
    assert [sweep.state for sweep in follow_all(followers)] == ["completed", "cancelled"]
    assert len(screen.losses) == 1


def test_one_of_several_may_be_deleted(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView], screen: Recorder
) -> None:
    followers = [
        make_follower(ApiError(404, "not_found", "deleted")),
        make_follower(make_sweep(id="swp_2"), make_sweep(id="swp_2", state="completed")),
    ]
    followers[1].sweep_id = "swp_2"
    assert [sweep and sweep.state for sweep in follow_all(followers)] == [None, "completed"]
    assert screen.forgotten == ["swp_1"]


def test_several_ask_for_the_workers_once_a_round(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView]
) -> None:
    followers = [make_follower(make_sweep(state="completed")), make_follower(make_sweep(state="completed"))]
    followers[1].sweep_id = "swp_2"
    follow_all(followers)
    assert [follower.client.n_workers_asked for follower in followers] == [1, 0]


def test_several_are_given_up_when_the_service_stays_away(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView]
) -> None:
    with pytest.raises(Unreachable):
        follow_all([make_follower(make_sweep(), *[Unreachable("gone")] * 9, give_up_seconds=3.0)])


def test_a_picture_holds_the_steps_of_the_best_value(
    make_follower: Callable[..., Follower], make_sweep: Callable[..., SweepView]
) -> None:
    assert make_follower(make_sweep()).take_picture().history == ((0, 0.5), (3, 0.9512))
