import pytest

from service.domain.goals import Metric
from service.domain.stability.rescue import Rescue, RescueSide
from service.domain.states import Direction, MetricAt, TrialState, Verdict

ACCURACY = Metric("val_accuracy", Direction.MAXIMIZE, MetricAt.LAST)
LOSS = Metric("val_loss", Direction.MINIMIZE, MetricAt.LAST)


def side(number, verdict, objective, state="completed"):
    given = None if verdict is None else Verdict(verdict)
    return RescueSide(f"trl_{number}", number, TrialState(state), given, 0.5, objective)


@pytest.mark.parametrize(
    ("metric", "before", "after", "has_worked", "head"),
    [
        (ACCURACY, ("vanishing", 0.1), ("stable", 0.9), True, "The rescue worked"),
        (ACCURACY, ("nonfinite", None), ("stable", 0.2), True, "The rescue worked"),
        (LOSS, ("exploding", 2.3), ("stable", 0.2), True, "The rescue worked"),
        (LOSS, ("exploding", 0.2), ("stable", 2.3), False, "The gradients are stable now, but"),
        (ACCURACY, ("dead", 0.3), ("stable", 0.3), False, "The gradients are stable now, but"),
        (ACCURACY, ("dead", 0.3), ("stable", None), False, "The gradients are stable now, but"),
        (ACCURACY, ("vanishing", 0.1), ("vanishing", 0.9), False, "The rescue did not work"),
        (ACCURACY, ("vanishing", 0.1), (None, None, "waiting"), None, "Trial 7 is to rescue trial 3: it waits"),
        (ACCURACY, ("vanishing", 0.1), (None, None, "running"), None, "Trial 7 is to rescue trial 3: it is running"),
        (ACCURACY, ("vanishing", 0.1), (None, None, "failed"), None, "Trial 7 is to rescue trial 3: it failed before"),
        (ACCURACY, ("dead", 0.1), ("stable", 0.5, "failed"), None, "Trial 7 is to rescue trial 3: it failed before"),
        (ACCURACY, ("dead", 0.1), ("stable", 0.5, "cancelled"), None, "Trial 7 is to rescue trial 3: it was cancelled"),
    ],
)
def test_a_rescue_works_if_the_remedied_trial_is_stable_and_better(metric, before, after, has_worked, head):
    rescue = Rescue(metric, side(3, *before), side(7, *after))
    assert rescue.has_worked is has_worked
    assert rescue.sentence().startswith(head)


def test_a_remedied_trial_that_was_pruned_says_so():
    rescue = Rescue(ACCURACY, side(3, "exploding", 0.1), side(7, "stable", 0.14, "pruned"))
    assert rescue.sentence().endswith("val_accuracy 0.1 → 0.14 (pruned at that).")


def test_the_sentence_holds_verdict_and_metric_before_and_after():
    rescue = Rescue(ACCURACY, side(3, "vanishing", 0.098), side(7, "stable", 0.941))
    assert "vanishing → stable, val_accuracy 0.098 → 0.941" in rescue.sentence()
