"""Whether a rescue worked: the trial that failed beside the one that was to do better, in one sentence."""

from dataclasses import dataclass

from service.domain.goals import Metric
from service.domain.states import TrialState, Verdict


@dataclass(frozen=True, slots=True)
class RescueSide:
    """One of the two trials of a rescue, as far as it has come."""

    trial_id: str
    number: int
    state: TrialState
    verdict: Verdict | None
    stability: float | None
    objective: float | None


@dataclass(frozen=True, slots=True)
class Rescue:
    """A trial (`before`) and the remedied configuration of it (`after`) that was enqueued to do better."""

    metric: Metric
    before: RescueSide
    after: RescueSide

    @property
    def has_worked(self) -> bool | None:
        """Whether the remedied trial was called stable and does better; None as long as it cannot be told."""
        if self.after.state not in (TrialState.COMPLETED, TrialState.PRUNED) or self.after.verdict is None:
            return None
        return self.after.verdict is Verdict.STABLE and self._is_better

    @property
    def _is_better(self) -> bool:
        if self.after.objective is None:
            return False
        return self.before.objective is None or self.metric.is_better(self.after.objective, self.before.objective)

    def sentence(self) -> str:
        """Verdict and metric before and after, and what that means."""
        after = self.after
        if self.has_worked is None:
            what = {
                TrialState.WAITING: "waits for a worker",
                TrialState.RUNNING: "is running",
                TrialState.FAILED: "failed before it could tell",
            }.get(after.state, f"was {after.state} before it could tell")
            return f"Trial {after.number} is to rescue trial {self.before.number}: it {what}."
        if self.has_worked:
            head = "The rescue worked"
        elif after.verdict is Verdict.STABLE:
            head = "The gradients are stable now, but the result is no better"
        else:
            head = "The rescue did not work"
        change = f"{self.metric.name} {_number(self.before.objective)} → {_number(after.objective)}"
        if after.state is not TrialState.COMPLETED:
            change += f" ({after.state} at that)"
        return (
            f"{head}: trial {self.before.number} → {after.number}, {_word(self.before.verdict)} → "
            f"{_word(after.verdict)}, {change}."
        )


def _word(verdict: Verdict | None) -> str:
    return "not judged" if verdict is None else str(verdict)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
