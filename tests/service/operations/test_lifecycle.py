"""One batch from the claim to its end, on either database."""

from collections.abc import Callable
from typing import Any


def test_a_batch_from_claim_to_release(worker: Any, submit: Callable[..., Any], record: Any, speak: Any) -> None:
    sweep = submit()
    fences = worker.claim(4)
    assert len(fences) == 4
    probes = [speak["epoch"](fence, 0) for fence in fences]
    assert worker.directives(*probes) == ["continue"] * 4
    finals = [speak["final"](fence) for fence in fences[:2]]
    assert worker.directives(*finals) == ["continue"] * 2
    assert worker.heartbeat().held == tuple(sorted(trial_id for trial_id, _ in fences[2:]))
    assert worker.release().released == tuple(sorted(trial_id for trial_id, _ in fences[2:]))
    assert record.states(sweep) == ["completed", "completed", "waiting", "waiting"]
    assert record.events(sweep) == [
        "sweep_submitted",
        *["trial_created"] * 4,
        *["trial_started"] * 4,
        "sweep_started",
        "epochs_reported",
        *["trial_completed"] * 2,
        *["trial_waiting"] * 2,
    ]
