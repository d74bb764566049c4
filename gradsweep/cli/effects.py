"""`effects`: what each value of a parameter, and each remedy, did to accuracy and gradients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from gradsweep.cli.options import DEFAULT_URL, Json, SweepReference, TokenFile, Url

if TYPE_CHECKING:
    from service.wire.effects import EffectsView, GroupView, PairedView, SummaryView
    from service.wire.sweeps import VerdictCounts


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("effects")(effects)


def effects(
    sweep: SweepReference = "latest", url: Url = DEFAULT_URL, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Show what each value of a parameter, and each remedy, did to accuracy and gradients."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        found = find_sweep(client, sweep)
        view = client.effects(found.id)
    if as_json:
        print_json(view)
    else:
        print_effects(found.name, view)


def print_effects(name: str, view: "EffectsView") -> None:
    """Print remedies first, then the parameters one by one, then how to read them."""
    from gradsweep.cli.output import console, table
    from gradsweep.cli.wording import parameter

    screen = console()
    columns = ("trials", view.metric.name, "stability", "depth slope", "verdicts")
    if view.remedies:
        rows = [
            (
                each.remedy,
                ", ".join(f"{key} {parameter(value)}" for key, value in each.changes.items()),
                *_group(each),
            )
            for each in view.remedies
        ]
        screen.print(table(f"{name}: each remedy", ("remedy", "changes", *columns), rows))
        _print_pairs("matched trials: remedy minus base", [each.paired for each in view.remedies if each.paired], view)
    for factor in view.factors if not view.remedies else ():
        rows = [(level.value, *_group(level)) for level in factor.levels]
        screen.print(table(factor.name, ("value", *columns), rows))
        _print_pairs(f"{factor.name}: matched trials", factor.pairs, view)
    for note in [*view.notes, *_coverage(view)]:
        screen.print(note)


def _print_pairs(title: str, pairs: Sequence["PairedView"], view: "EffectsView") -> None:
    from gradsweep.cli.output import console, table

    if pairs:
        rows = [
            (
                f"{one.value} - {one.against}",
                str(one.n_pairs),
                str(one.n_same_stream),
                *(_summary(each, signed=True) for each in (one.metric, one.stability, one.depth_slope)),
            )
            for one in pairs
        ]
        columns = ("difference", "pairs", "same stream", view.metric.name, "stability", "depth slope")
        console().print(table(title, columns, rows))


def _group(group: "GroupView") -> tuple[str, ...]:
    return (
        str(group.n_trials),
        *(_summary(each) for each in (group.metric, group.stability, group.depth_slope)),
        _verdicts(group.verdicts),
    )


def _summary(summary: "SummaryView | None", *, signed: bool = False) -> str:
    """The median, and the interval in brackets."""
    if summary is None:
        return ""
    numbers = {name: getattr(summary, name) for name in ("median", "low", "high")}
    words = {
        name: summary.nonfinite.get(name, "") if value is None else f"{value:+.3g}" if signed else f"{value:.3g}"
        for name, value in numbers.items()
    }
    return words["median"] + (f" [{words['low']}, {words['high']}]" if words["low"] else "")


def _verdicts(counts: "VerdictCounts") -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in counts if count)


def _coverage(view: "EffectsView") -> list[str]:
    """What the brackets mean here."""
    groups = [*view.remedies, *(level for factor in view.factors for level in factor.levels)]
    covered = [group.metric.coverage for group in groups if group.metric and group.metric.coverage is not None]
    if not covered:
        return []
    least = min(covered)
    level = "95 %" if least >= 0.95 else f"{least:.0%}".replace("%", " %")
    return [f"In brackets: an interval that holds the true median with a probability of {level} or more."]
