"""The three screens and the pictures on them: what they show of a picture, and when they keep quiet."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from gradsweep.cli.following import Picture
from gradsweep.cli.pictures import draw, draw_all, shares_bar, sparkline
from gradsweep.cli.progress import state_words
from gradsweep.cli.screens import JsonScreen, LineScreen, LiveScreen, ScreenPerSweep, make_screen
from service.wire.health import WorkerView
from service.wire.sweeps import SweepView
from service.wire.trials import TrialView


def plain_console() -> Console:
    return Console(file=io.StringIO(), width=120, highlight=False)


@pytest.fixture
def picture(
    make_sweep: Callable[..., SweepView], make_trial: Callable[..., TrialView], worker_view: WorkerView
) -> Picture:
    return Picture(make_sweep(), make_trial(), (worker_view,))


def test_the_picture_holds_all_one_wants_to_know(picture: Picture) -> None:
    console = plain_console()
    console.print(draw_all([picture], 120, 40))
    shown = console.file.getvalue()
    for words in (
        "first  running",
        "4/8",
        "20/40",
        "completed 3",
        "pruned 1",
        "gradients: stable 3, exploding 1",
        "360 trials/h, 0.5 epochs/s, about 40 s left",
        "best val_accuracy 0.9512 (trial 3: learning_rate 0.01, optimizer adam)",
        "worker box · 2 CPU cores · training · 1/4 slots",
    ):
        assert words in shown


def test_names_are_text_and_never_markup(make_sweep: Callable[..., SweepView]) -> None:
    console = plain_console()
    console.print(draw(Picture(make_sweep(name="[red]odd[/red]"), None, ()), 120))
    assert "[red]odd[/red]" in console.file.getvalue()


def test_a_picture_without_totals_rates_or_best(make_sweep: Callable[..., SweepView]) -> None:
    progress = {
        "trials_done": 0,
        "trials_total": None,
        "epochs_done": 0,
        "epochs_total": None,
        "epochs_per_second": None,
        "eta_seconds": None,
    }
    console = plain_console()
    console.print(draw(Picture(make_sweep(progress=progress, best=None), None, ()), 120))
    assert console.file.getvalue().count("0/?") == 2
    assert "best" not in console.file.getvalue()


@pytest.fixture
def hear(make_sweep: Callable[..., SweepView], make_trial: Callable[..., TrialView]) -> Callable[..., list[str]]:
    """Shows a sweep at given seconds, changed as asked, and returns the lines that were said."""

    def hear_all(*moments: tuple[float, dict[str, Any]]) -> list[str]:
        lines: list[str] = []
        now = [0.0]
        screen = LineScreen(lines.append, lambda: now[0])
        for seconds, changes in moments:
            now[0] = seconds
            done = {**make_sweep().progress.model_dump(), "trials_done": changes.pop("trials_done", 4)}
            best = changes.pop("best_trial", None)
            screen.show(Picture(make_sweep(progress=done, **changes), best, ()))
        return lines

    return hear_all


def test_lines_tell_progress_when_there_is_some_and_not_too_often(hear: Callable[..., list[str]]) -> None:
    moments = [(0.0, 4), (10.0, 4), (11.0, 5), (12.0, 6), (13.0, 6), (17.0, 7)]
    lines = hear(*((seconds, {"trials_done": done}) for seconds, done in moments))
    assert lines[0] == "first: running"
    assert [line.split(" ")[1] for line in lines[1:]] == ["4/8", "5/8", "7/8"]
    assert lines[1] == "first: 4/8 trials · 3 completed, 1 pruned · 360 trials/h, 0.5 epochs/s, about 40 s left"


def test_lines_tell_the_end_at_once(hear: Callable[..., list[str]]) -> None:
    ended = {"state": "completed", "state_reason": "run_cap", "trials_done": 8}
    assert hear((0.0, {}), (0.1, ended))[2:3] == ["first: completed (run cap)"]


def test_lines_tell_the_best_when_it_has_changed(
    hear: Callable[..., list[str]], make_trial: Callable[..., TrialView]
) -> None:
    first, second = make_trial(), make_trial(number=5, objective=0.97)
    lines = hear(*((0.0, {"best_trial": trial}) for trial in (None, first, first, second)))
    assert [line for line in lines if "best" in line] == [
        "first: best val_accuracy 0.9512 (trial 3: learning_rate 0.01, optimizer adam)",
        "first: best val_accuracy 0.97 (trial 5: learning_rate 0.01, optimizer adam)",
    ]


@pytest.mark.parametrize(
    ("waiting_for", "words"),
    [
        (
            "no_worker",
            "first: running, waiting for a worker: that of gradsweep up takes seconds to load; else gradsweep wo…",
        ),
        ("dataset", "first: running, no worker has datasets/digits.npz in its data folder"),
        ("sampler", "first: running"),
    ],
)
def test_lines_tell_what_somebody_could_do_something_about(
    hear: Callable[..., list[str]], waiting_for: str, words: str
) -> None:
    assert hear((0.0, {"waiting_for": waiting_for}))[0] == words


def test_lines_are_short(hear: Callable[..., list[str]]) -> None:
    assert [len(line) for line in hear((0.0, {"name": "n" * 120}))] == [100, 100]


def test_lines_tell_once_that_the_service_is_away(picture: Picture) -> None:
    lines: list[str] = []
    screen = LineScreen(lines.append, lambda: 0.0)
    screen.lost(1.0)
    screen.lost(2.0)
    assert len(lines) == 1
    assert "The sweep is safe" in lines[0]


def test_json_lines_are_sweeps_and_come_when_something_changed(
    picture: Picture, make_sweep: Callable[..., SweepView], capsys: pytest.CaptureFixture[str]
) -> None:
    screen = JsonScreen()
    for shown in (picture, picture, Picture(make_sweep(state="completed"), None, ())):
        screen.show(shown)
    screen.lost(3.0)
    captured = capsys.readouterr()
    assert [json.loads(line)["state"] for line in captured.out.splitlines()] == ["running", "completed"]
    assert "does not answer" in captured.err


@pytest.mark.parametrize(
    ("terminal", "as_json", "kind"),
    [(True, False, LiveScreen), (False, False, LineScreen), (True, True, JsonScreen), (False, True, JsonScreen)],
)
def test_the_screen_suits_the_output(terminal: bool, as_json: bool, kind: type) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal)
    assert isinstance(make_screen(console, as_json=as_json), kind)


def test_the_live_screen_leaves_the_last_picture(picture: Picture) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with LiveScreen(console) as screen:
        screen.lost(3.0)
        screen.show(picture)
    assert "best val_accuracy 0.9512" in console.file.getvalue()


def test_several_sweeps_share_one_picture_and_name_the_workers_once(
    picture: Picture, make_sweep: Callable[..., SweepView]
) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with LiveScreen(console) as screen:
        screen.show(picture)
        screen.show(Picture(make_sweep(id="swp_2", name="second"), None, picture.workers))
        screen.lost(3.0)
    last = console.file.getvalue().rpartition("first  running")[2]
    assert ("second  running" in last, last.count("worker box"), "The sweep is safe" in last) == (True, 1, True)


@pytest.mark.parametrize("width", [36, 50, 80, 120])
def test_a_picture_fits_its_terminal(picture: Picture, width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(draw_all([Picture(picture.sweep, picture.best, picture.workers, ((0, 0.5), (3, 0.9)))], width, 40))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.split()[:1] == ["best"] and line.split()[-1] == "0.9" for line in lines)


@pytest.mark.parametrize(
    ("history", "n_trials", "blocks"),
    [
        ((), 4, ""),
        (((0, 0.5),), 4, "████"),
        (((1, 0.1), (3, 0.9)), 4, " ▁▁█"),
        (((0, 0.9), (2, 0.5), (3, 0.1)), 4, "██▄▁"),
    ],
    ids=["none", "one", "rising", "falling"],
)
def test_the_best_value_over_the_trials(history: Any, n_trials: int, blocks: str) -> None:
    assert sparkline(history, n_trials, 4) == blocks


def test_the_shares_of_the_verdicts_fill_the_bar(make_sweep: Callable[..., SweepView]) -> None:
    assert shares_bar(make_sweep(), 8).plain == "██████^^"


def test_a_worker_that_loads_is_no_reason_to_start_another(
    make_sweep: Callable[..., SweepView], worker_view: WorkerView
) -> None:
    loading = worker_view.model_copy(update={"phase": "loading"})
    assert state_words(make_sweep(waiting_for="no_worker"), [loading]) == "running, its worker is starting"


def test_each_of_several_sweeps_keeps_its_own_lines(picture: Picture, make_sweep: Callable[..., SweepView]) -> None:
    lines: list[str] = []
    screen = ScreenPerSweep(lambda: LineScreen(lines.append, lambda: 0.0))
    other = Picture(make_sweep(id="swp_2", name="second"), None, ())
    for shown in (picture, other, picture, other):
        screen.show(shown)
    screen.lost(1.0)
    assert [line for line in lines if line.endswith(": running")] == ["first: running", "second: running"]
    assert len([line for line in lines if "does not answer" in line]) == 1


def many_pictures(picture: Picture, make_sweep: Callable[..., SweepView], n: int) -> list[Picture]:
    return [Picture(make_sweep(id=f"swp_{i}", name=f"sweep-{i}"), picture.best, picture.workers) for i in range(n)]


@pytest.mark.parametrize(("n_sweeps", "height"), [(2, 24), (12, 24), (20, 24), (3, 6), (20, 3)])
@pytest.mark.parametrize("width", [50, 120])
def test_many_sweeps_fit_the_terminal(
    picture: Picture, make_sweep: Callable[..., SweepView], n_sweeps: int, height: int, width: int
) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(draw_all(many_pictures(picture, make_sweep, n_sweeps), width, height))
    lines = console.file.getvalue().splitlines()
    assert (len(lines) <= max(height, 4), max(map(len, lines)) <= width) == (True, True)
    assert "sweep-0" in lines[0]


def test_sweeps_for_which_there_is_no_line_are_counted(picture: Picture, make_sweep: Callable[..., SweepView]) -> None:
    pictures = many_pictures(picture, make_sweep, 20)
    pictures[0] = Picture(make_sweep(id="swp_0", name="sweep-0", state="completed"), None, picture.workers)
    console = plain_console()
    console.print(draw_all(pictures, 120, 12))
    shown = console.file.getvalue()
    assert ("and 12 more" in shown, "sweep-0 " in shown, shown.count("4/8")) == (True, False, 8)


def test_a_sweep_that_was_deleted_leaves_the_screen(picture: Picture, make_sweep: Callable[..., SweepView]) -> None:
    console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True, color_system=None)
    with LiveScreen(console) as screen:
        screen.show(picture)
        screen.forget(picture.sweep.id)
        screen.show(Picture(make_sweep(id="swp_2", name="second"), None, picture.workers))
    last = console.file.getvalue().rpartition("second  running")[0].rpartition("\x1b[2K")[2]
    assert "first  running" not in last
