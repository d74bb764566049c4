"""`submit`, `list`, `show`, `best`, `trials`: sweeps in, sweeps out."""

import sys
import uuid
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import DEFAULT_URL, Json, SweepReference, TokenFile, Url

if TYPE_CHECKING:
    from service.wire.sweeps import PlanView

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")]
Filter = Annotated[
    str | None, typer.Option("--filter", help="For example: state = completed AND params.learning_rate < 0.01")
]
OrderBy = Annotated[str | None, typer.Option("--order-by", help="For example: -val_accuracy,number")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("submit")(submit)
    app.command("list")(list_sweeps)
    app.command("show")(show)
    app.command("best")(best)
    app.command("trials")(trials)


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file, YAML or JSON; - reads standard input.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show progress until the sweep ends.")] = False,
    validate: Annotated[bool, typer.Option("--validate", help="Only say what would happen.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Submit a sweep file."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.output import print_json
    from gradsweep.cli.watching import watch_to_end

    text = read_sweep_file(file)
    try:
        with connect(url, token_file) as client:
            if validate:
                plan = client.validate(text)
                print_json(plan) if as_json else _print_plan(file, plan)
                return
            sweep = client.submit(text, idempotency_key=uuid.uuid4().hex)
            if as_json:
                print_json(sweep, lines=watch)
            else:
                for warning in sweep.warnings:
                    typer.echo(f"warning: {warning}", err=True)
                typer.echo(f"Submitted {sweep.name} ({sweep.id}).")
            if watch:
                raise typer.Exit(watch_to_end(client, sweep, as_json=as_json))
    except CommandError as error:
        if error.exit_code is ExitCode.BAD_INPUT:
            raise CommandError(f"{file}: {error}") from error
        raise
    if not as_json:
        typer.echo(f"Next: gradsweep watch {quote(sweep.name)}", err=True)


def read_sweep_file(file: Path) -> str:
    """The text of a sweep file; `-` is standard input."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be read ({error.strerror}): gradsweep init writes one") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not text in UTF-8: a sweep file is YAML or JSON") from error


def _print_plan(file: Path, plan: "PlanView") -> None:
    from gradsweep.cli.output import console, table
    from gradsweep.cli.wording import parameter

    for warning in plan.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{file} can run. The plan:")
    rows = [(name.replace("_", " "), parameter(value)) for name, value in plan.plan.items()]
    console().print(table(None, ("", ""), rows))


def list_sweeps(
    filter: Filter = None,
    order_by: OrderBy = None,
    limit: Limit = 20,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """List sweeps, the newest first."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.output import print_json, print_sweeps

    with connect(url, token_file) as client:
        found = list(islice(client.all_sweeps(filter=filter, order_by=order_by), limit))
    if as_json:
        print_json(found)
    elif found:
        print_sweeps(found)
    else:
        typer.echo("No sweep yet. Next: gradsweep init, then gradsweep submit sweep.yaml --watch", err=True)


def show(
    reference: Annotated[str, typer.Argument(metavar="SWEEP|TRIAL", help="A sweep, or a trial as SWEEP/NUMBER.")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Show one sweep, or one trial with its epochs and gradients."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep, find_trial, is_trial
    from gradsweep.cli.output import print_json
    from gradsweep.cli.showing import print_sweep, print_trial

    with connect(url, token_file) as client:
        if not is_trial(reference):
            sweep = find_sweep(client, reference)
            if as_json:
                print_json(sweep)
            else:
                print_sweep(sweep)
            return
        trial = find_trial(client, reference)
        epochs, gradients = client.epochs(trial.id), client.gradients(trial.id)
    if as_json:
        print_json({"trial": trial, "epochs": epochs.epochs, "layers": gradients.layers})
    else:
        print_trial(trial, epochs.epochs, gradients.layers)


def best(
    sweep: SweepReference = "latest",
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 5,
    filter: Filter = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Show the best configurations of a sweep."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep
    from gradsweep.cli.output import print_json, print_trials
    from gradsweep.cli.wording import number

    with connect(url, token_file) as client:
        found = find_sweep(client, sweep)
        ranked = client.best(found.id, k=k, filter=filter)
    if as_json:
        print_json(ranked)
        return
    if ranked.trials:
        print_trials(ranked.trials, found)
    lost = ranked.best_infeasible
    if lost is not None:
        would = ", though it would be the best" if lost.would_be_best and ranked.trials else ""
        objective = number(lost.trial.objective)
        typer.echo(
            f"Trial {lost.trial.number} with {ranked.metric.name} {objective} does not count{would}: "
            f"{'; '.join(lost.reasons)}.",
            err=True,
        )
    if ranked.note:
        typer.echo(f"Ranked by {ranked.metric.name} alone; gradsweep pareto {quote(found.name)} shows all.", err=True)
    if ranked.trials:
        first = ranked.trials[0].number
        typer.echo(f"Next: gradsweep train {quote(f'{found.name}/{first}')} -o model.keras", err=True)
    elif ranked.constraints:
        typer.echo(f"{found.name} has no completed trial with {' and '.join(ranked.constraints)} yet.", err=True)
    else:
        typer.echo(f"{found.name} has no completed trial yet ({found.summary}).", err=True)


def trials(
    sweep: SweepReference = "latest",
    filter: Filter = None,
    order_by: OrderBy = None,
    limit: Limit = 50,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """List a sweep's trials."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_sweep
    from gradsweep.cli.output import print_json, print_trials

    with connect(url, token_file) as client:
        found = find_sweep(client, sweep)
        listed = list(islice(client.all_trials(found.id, filter=filter, order_by=order_by), limit))
    if as_json:
        print_json(listed)
    else:
        print_trials(listed, found)
        if found.counts.total > len(listed):
            typer.echo(f"{len(listed)} of {found.counts.total} trials; --limit and --filter choose others.", err=True)
