"""How values are put into words: numbers, durations, parameters, the fate of a trial."""

from collections.abc import Mapping
from typing import Any

from service.wire.sweeps import SweepSummary, SweepView
from service.wire.trials import TrialView

SECONDS_PER_MINUTE, SECONDS_PER_HOUR = 60, 3600


def number(value: float | None) -> str:
    """A number with four significant digits; an empty cell for none."""
    return "" if value is None else f"{value:.4g}"


def total(n: int | None) -> str:
    """How many there will be; a question mark when nobody knows. None at all is a number."""
    return "?" if n is None else str(n)


def duration(seconds: float | None) -> str:
    """A duration as one reads a clock: 45 s, 3 min 20 s, 2 h 5 min; a question mark when nobody knows."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < SECONDS_PER_MINUTE:
        return f"{whole} s"
    if whole < SECONDS_PER_HOUR:
        minutes, rest = divmod(whole, SECONDS_PER_MINUTE)
        return f"{minutes} min {rest} s"
    hours, rest = divmod(whole, SECONDS_PER_HOUR)
    return f"{hours} h {rest // SECONDS_PER_MINUTE} min"


def idleness(slot_seconds: Mapping[str, float]) -> str:
    """How long slots stood idle and why, the longest first."""
    longest_first = sorted(slot_seconds.items(), key=lambda each: -each[1])
    return ", ".join(f"{cause.replace('_', ' ')} {duration(seconds)}" for cause, seconds in longest_first)


def parameter(value: Any) -> str:
    """One parameter's value as the sweep file would have it."""
    match value:
        case None:
            return "-"
        case bool():
            return "true" if value else "false"
        case float():
            return number(value)
        case list() | tuple():
            return "-".join(str(inner) for inner in value)
        case _:
            return str(value)


def searched_names(sweep: SweepView) -> list[str]:
    """Names of the parameters that the sweep searches; a searched depth or width shows as hidden_units."""
    parameters = sweep.resolved.get("parameters", {})
    searched = [name for name, spec in parameters.items() if isinstance(spec, dict) and "value" not in spec]
    return list(dict.fromkeys("hidden_units" if name in ("depth", "width") else name for name in searched))


def sweep_state(sweep: SweepSummary) -> str:
    """A sweep's state with its reason, short enough for a column."""
    return sweep.state if sweep.state_reason is None else f"{sweep.state} ({sweep.state_reason.replace('_', ' ')})"


def trial_fate(trial: TrialView) -> str:
    """A trial's state with its reason."""
    if trial.prune_reason is not None:
        return f"{trial.state}: {trial.prune_reason}"
    if trial.failure is not None:
        return f"{trial.state}: {trial.failure.kind}"
    return trial.state
