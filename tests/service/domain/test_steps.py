"""The table of a recording: what a worker writes is what the service reads, by every letter."""

import math

import pytest

from service.domain.recording import MAX_ROWS, fate_of_lost_recording, n_recorded, require_room
from service.domain.states import RecordingState
from service.domain.steps import COLUMNS, check_steps, read_steps
from service.errors import InvalidRequest
from service.wire.recording_claims import MAX_CSV_LETTERS
from worker.training.steps import StepRow, steps_csv


def row(step, layer, value):
    names = [name for name in COLUMNS if name not in ("step", "layer")]
    return StepRow(step=step, layer=layer, **dict.fromkeys(names, value))


@pytest.mark.parametrize("value", [0.0, 1.0, -0.5, 1e-38, 1.17549435e-38, 3.4e38, math.inf, -math.inf, math.nan])
def test_what_a_worker_writes_is_read(value):
    text = steps_csv([row(step, layer, value) for step in (1, 4, 7) for layer in (1, 2)])
    assert check_steps(text, steps=8, every=3, n_layers=2) == 7
    table = read_steps(text)
    assert (list(table.steps), table.n_layers) == ([1, 4, 7], 2)
    assert table.layers["update_ratio"][1] == pytest.approx([value] * 3, rel=1e-8, nan_ok=True)


def test_layers_and_steps_are_told_apart():
    text = steps_csv([row(step, layer, 10 * step + layer) for step in (1, 2) for layer in (1, 2, 3)])
    assert read_steps(text).layers["grad_norm"] == [[11.0, 21.0], [12.0, 22.0], [13.0, 23.0]]


@pytest.mark.parametrize("cell", ["", " 1", "1_0", "0x1", "Infinity", "NaN", "1e", "+1", "１", "=1+1", "1.", ".5"])
def test_what_is_no_number_is_refused(cell):
    text = steps_csv([row(1, 1, 0.5)]).replace("0.5", cell, 1)
    with pytest.raises(InvalidRequest) as refused:
        check_steps(text, steps=1, every=1, n_layers=1)
    assert refused.value.problems[0].message.startswith("line 2: 9 numbers are wanted")


def test_the_largest_table_may_be_sent():
    longest = steps_csv([row(10_000, 1024, -1.23456789e-30)]).splitlines()[1]
    assert MAX_ROWS * (len(longest) + 1) < MAX_CSV_LETTERS


@pytest.mark.parametrize(("steps", "every", "n"), [(1, 1, 1), (500, 1, 500), (500, 10, 50), (501, 10, 51), (3, 10, 1)])
def test_the_first_step_and_each_nth_after_it_are_kept(steps, every, n):
    assert n_recorded(steps, every) == n == len(range(1, steps + 1, every))


def test_a_recording_with_too_many_rows_is_refused():
    require_room(5_000, 1, 10)
    with pytest.raises(InvalidRequest, match="50,010 rows"):
        require_room(5_001, 1, 10)


@pytest.mark.parametrize(
    ("lost", "state", "wait_ms"),
    [(0, RecordingState.QUEUED, 0), (1, RecordingState.QUEUED, 5_000), (2, RecordingState.FAILED, 0)],
)
def test_the_third_lost_worker_fails_it(lost, state, wait_ms):
    fate = fate_of_lost_recording(lost, 3)
    assert (fate.state, fate.lost, fate.wait_ms) == (state, lost + 1, wait_ms)
