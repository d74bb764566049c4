"""`pareto` and `importances`: how metrics trade against one another, and which parameters decide one."""

from typing import TYPE_CHECKING, Annotated

import typer

from gradsweep.cli.options import DEFAULT_URL, Json, SweepReference, TokenFile, Url

if TYPE_CHECKING:
    from service.wire.search import ImportancesView, ParetoView
    from service.wire.sweeps import SweepView

_BAR = 30


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("pareto")(pareto)
    app.command("importances")(importances)


def pareto(
    sweep: SweepReference = "latest",
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="Names separated by commas, such as val_accuracy,stability.")
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Show the trials that no other beats in every metric."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        found = find_sweep(client, sweep)
        traded = client.pareto(found.id, metrics=metrics)
    if as_json:
        print_json(traded)
    elif traded.front:
        _print_front(found, traded)
    else:
        typer.echo(f"{found.name} has no Pareto front: {traded.reason}.", err=True)


def importances(
    sweep: SweepReference = "latest",
    target: Annotated[
        str | None, typer.Option("--target", help="A metric, such as stability; the sweep's own if left out.")
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Show which parameters decide whether a trial is among the best."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        found = find_sweep(client, sweep)
        weighed = client.importances(found.id, target=target)
    if as_json:
        print_json(weighed)
    elif weighed.importances:
        _print_importances(weighed)
    else:
        typer.echo(f"{found.name} cannot tell what decides {weighed.target}: {weighed.reason}.", err=True)


def _print_front(sweep: "SweepView", traded: "ParetoView") -> None:
    from gradsweep.cli.output import console, table
    from gradsweep.cli.wording import number, parameter, searched_names

    names = [metric.name for metric in traded.metrics]
    searched = searched_names(sweep)
    rows = [
        (
            str(each.trial.number),
            *(number(each.values[name]) for name in names),
            *(parameter(getattr(each.trial.parameters, name)) for name in searched),
        )
        for each in traded.front
    ]
    columns = ("#", *names, *searched)
    title = f"{traded.n_front} of {traded.n_compared} trials that no other beats in every metric"
    console().print(title)
    console().print(table(None, columns, rows, numeric=1 + len(names)))
    left_out = traded.n_completed - traded.n_compared
    if traded.constraints and left_out:
        typer.echo(f"{left_out} completed trials break {' or '.join(traded.constraints)}, or lack a metric.", err=True)


def _print_importances(weighed: "ImportancesView") -> None:
    from gradsweep.cli.output import console, table

    largest = max(each.importance for each in weighed.importances) or 1.0
    rows = [
        (f"{each.importance:.3f}", each.parameter, "█" * round(_BAR * each.importance / largest))
        for each in weighed.importances
    ]
    of_all = "" if weighed.n_used == weighed.n_trials else f", a sample of {weighed.n_trials}"
    title = f"what decides {weighed.target}: the best {weighed.n_good} of {weighed.n_used} trials{of_all} (PED-ANOVA)"
    console().print(title)
    console().print(table(None, ("share", "parameter", ""), rows, numeric=1))
