"""`figure`: a figure of a sweep, of a trial or of several trials as a file, for a paper or a colleague."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradsweep.cli.exits import CommandError, ExitCode
from gradsweep.cli.options import DEFAULT_URL, Json, TokenFile, Url

if TYPE_CHECKING:
    from gradsweep.client import Client

PRINTED, TEXTUAL = ("pdf", "svg", "png"), ("html", "json")
COLUMN_INCHES = 3.5
"""A column of most two-column journals; a whole page is about 7."""

References = Annotated[
    list[str] | None,
    typer.Argument(metavar="SWEEP|TRIAL…", help="A sweep (latest, if none is named), a trial, or several trials."),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="Where to: .pdf, .svg, .png, .html or .json.")
]
Width = Annotated[float, typer.Option("--width", min=1.0, max=40.0, metavar="INCHES", help="Of the paper's column.")]
Height = Annotated[
    float | None, typer.Option("--height", min=0.8, max=40.0, metavar="INCHES", help="Else what suits the figure.")
]
FontSize = Annotated[
    float, typer.Option("--font-size", min=4.0, max=40.0, metavar="POINTS", help="Of the labels on paper.")
]
Dpi = Annotated[float, typer.Option("--dpi", min=50.0, max=1200.0, help="Dots per inch of a png.")]
Title = Annotated[bool, typer.Option("--title", help="Print the title too; papers tell it in the caption.")]
Epoch = Annotated[int | None, typer.Option("--epoch", min=0, help="depth_profile: which epoch; else the last.")]
AxisName = Annotated[str | None, typer.Option(metavar="PARAMETER", help="Where the figure has a choice of axes.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="PARAMETER", help="Of several trials: one band for each of its values.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("figure")(figure)


def figure(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="gradient_flow, history …: docs/dashboard.md lists all.")],
    references: References = None,
    output: Output = Path("figure.pdf"),
    width: Width = COLUMN_INCHES,
    height: Height = None,
    font_size: FontSize = 8.0,
    dpi: Dpi = 300.0,
    title: Title = False,
    x: AxisName = None,
    y: AxisName = None,
    by: By = None,
    epoch: Epoch = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Save a figure for a paper: pdf, svg or png; html with all its interaction, or json for Plotly."""
    from gradsweep.cli.connection import connect

    suffix = output.suffix.lower().removeprefix(".")
    if suffix not in PRINTED + TEXTUAL:
        raise CommandError(f"{output}: a figure is saved as {', '.join(f'.{each}' for each in PRINTED + TEXTUAL)}")
    if suffix in PRINTED:
        require_matplotlib()
    query = {"x": x, "y": y, "by": by, "epoch": None if epoch is None else str(epoch)}
    with connect(url, token_file) as client:
        drawn = fetch(client, kind, references or ["latest"], {key: text for key, text in query.items() if text})
    try:
        size = None
        if suffix in PRINTED:
            size = write_printed(
                drawn, output, width=width, height=height, font_size=font_size, dpi=dpi, with_title=title
            )
        else:
            write_text(drawn, output, suffix)
    except OSError as error:
        raise CommandError(f"{output} cannot be written ({error.strerror}): choose another place with -o") from error
    said = (drawn.get("layout") or {}).get("title", {}).get("text", kind)
    if as_json:
        typer.echo(json.dumps({"file": str(output), "title": said, "inches": size}))
    else:
        typer.echo(f"Wrote {output}{'' if size is None else f' ({size[0]:.3g} × {size[1]:.3g} in)'}: {said}")


def fetch(client: "Client", kind: str, references: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """The figure of what was named: one sweep, one trial, or several trials."""
    from gradsweep.cli.naming import find_sweep, find_trial, is_trial

    trials = [reference for reference in references if is_trial(reference)]
    if trials and len(trials) < len(references):
        raise CommandError(
            "a figure is of a sweep or of trials, not of both: name one sweep, or trials as SWEEP/NUMBER"
        )
    if not trials and len(references) > 1:
        raise CommandError("a figure is of one sweep: name one, or trials as SWEEP/NUMBER")
    if not trials:
        return client.sweep_figure(find_sweep(client, references[0]).id, kind, **query)
    ids = [find_trial(client, reference).id for reference in trials]
    if len(ids) == 1 and "by" not in query:
        return client.trial_figure(ids[0], kind, **query)
    return client.trials_figure(ids, kind, **query)


def require_matplotlib() -> None:
    """Say how to get it before anything is asked of the service."""
    try:
        import matplotlib  # noqa: F401 - asks whether it is there
    except ImportError as error:
        message = "pdf, svg and png need matplotlib: pip install 'gradsweep[figures]'; .html and .json do not"
        raise CommandError(message) from error


def write_printed(drawn: Mapping[str, Any], output: Path, **look: Any) -> tuple[float, float]:
    """Save a figure on paper; returns its width and height in inches."""
    from gradsweep.printing.inks import DoesNotFit, Unprintable
    from gradsweep.printing.paper import save

    try:
        return save(drawn, output, **look)
    except DoesNotFit as error:
        raise CommandError(f"this figure holds {error}: give it more with --width or --height") from error
    except Unprintable as error:
        message = f"this figure holds {error}, which is not printed here: save it as .html instead"
        raise CommandError(message, ExitCode.FAILED) from error


def write_text(drawn: Mapping[str, Any], output: Path, suffix: str) -> None:
    """Save a figure as Plotly's JSON, or as a page that holds all it needs, plotly.js among it."""
    if suffix == "json":
        output.write_text(json.dumps(drawn, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    from plotly.io import from_json, to_html

    page = to_html(from_json(json.dumps(drawn)), include_plotlyjs=True, include_mathjax=False, full_html=True)
    output.write_text(page, encoding="utf-8")
