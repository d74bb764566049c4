"""Colors, symbols and patterns, the same in every figure; readable on white and on black, and in gray."""

from typing import Any

from service.domain.states import TrialState, Verdict

ACCENT = "#5a76e2"
MUTED = "#9aa0aa"
BEST = "#c8553d"

VERDICT_COLORS: dict[Verdict | None, str] = {
    Verdict.STABLE: "#2f9e77",
    Verdict.UNSTEADY: "#d99a1c",
    Verdict.STALLED: "#b0637a",
    Verdict.VANISHING: "#3f86d6",
    Verdict.EXPLODING: "#d4513f",
    Verdict.DEAD: "#7d828c",
    Verdict.NONFINITE: "#8b5bb5",
    None: "#b4b8c0",
}
VERDICT_SYMBOLS: dict[Verdict | None, str] = {
    Verdict.STABLE: "circle",
    Verdict.UNSTEADY: "diamond",
    Verdict.STALLED: "cross",
    Verdict.VANISHING: "triangle-down",
    Verdict.EXPLODING: "triangle-up",
    Verdict.DEAD: "square",
    Verdict.NONFINITE: "x",
    None: "circle-open",
}
VERDICT_PATTERNS: dict[Verdict | None, str] = {
    Verdict.STABLE: "",
    Verdict.UNSTEADY: ".",
    Verdict.STALLED: "|",
    Verdict.VANISHING: "\\",
    Verdict.EXPLODING: "/",
    Verdict.DEAD: "-",
    Verdict.NONFINITE: "x",
    None: "+",
}
STATE_COLORS: dict[TrialState, str] = {
    TrialState.COMPLETED: ACCENT,
    TrialState.PRUNED: "#c98a2b",
    TrialState.FAILED: "#d4513f",
    TrialState.RUNNING: "#2f9e77",
    TrialState.CANCELLED: MUTED,
    TrialState.WAITING: MUTED,
}
STATE_SYMBOLS: dict[TrialState, str] = {
    TrialState.COMPLETED: "circle",
    TrialState.PRUNED: "x",
    TrialState.FAILED: "square",
    TrialState.RUNNING: "circle-open",
    TrialState.CANCELLED: "diamond-open",
    TrialState.WAITING: "diamond-open",
}
STATE_PATTERNS: dict[TrialState, str] = {
    TrialState.COMPLETED: "",
    TrialState.PRUNED: "x",
    TrialState.FAILED: "/",
    TrialState.RUNNING: ".",
    TrialState.CANCELLED: "-",
    TrialState.WAITING: "+",
}

GROUP_COLORS = (ACCENT, BEST, "#2f9e77", "#8b5bb5", "#d99a1c", "#7d828c")
GROUP_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "solid")
GROUP_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "circle-open")

DIVERGING = [[0.0, "#2f6fbf"], [0.25, "#8fb8e3"], [0.5, "#ece8e1"], [0.75, "#e89c86"], [1.0, "#b93a2b"]]
"""Blue is below the middle, red above; the page swaps the middle for one that suits its theme."""

SEQUENTIAL: list[list[Any]] = [[0.0, "#d0a03c"], [0.5, "#a08a9c"], [1.0, "#5a76e2"]]
"""From early to late, about equally strong on white and on black."""


def sequential(share: float) -> str:
    """The color of SEQUENTIAL at a share between 0 and 1, for lines, which no scale of Plotly's can color."""
    below = max((stop for stop in SEQUENTIAL if stop[0] <= share), key=lambda stop: stop[0])
    above = min((stop for stop in SEQUENTIAL if stop[0] >= share), key=lambda stop: stop[0])
    width = above[0] - below[0]
    weight = (share - below[0]) / width if width else 0.0
    parts = zip(_channels(below[1]), _channels(above[1]), strict=True)
    return "#" + "".join(f"{round(low + weight * (high - low)):02x}" for low, high in parts)


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def verdict_word(verdict: Verdict | None) -> str:
    """A verdict as a legend names it."""
    return "not judged" if verdict is None else verdict.value.replace("nonfinite", "not finite")
