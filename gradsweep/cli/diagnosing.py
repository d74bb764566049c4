"""`diagnose`: why a trial's gradients failed, and what to try."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import typer

from gradsweep.cli.options import DEFAULT_URL, Json, TokenFile, TrialReference, Url

if TYPE_CHECKING:
    from service.wire.diagnosis import DiagnosisView, EvidenceView
    from service.wire.trials import TrialView


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("diagnose")(diagnose)


def diagnose(
    trial: TrialReference, url: Url = DEFAULT_URL, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Say why a trial's gradients failed, and what to try."""
    from gradsweep.cli.connection import connect
    from gradsweep.cli.naming import find_trial
    from gradsweep.cli.output import print_json

    with connect(url, token_file) as client:
        found = find_trial(client, trial)
        diagnosis = client.diagnosis(found.id)
    if as_json:
        print_json(diagnosis)
    else:
        print_diagnosis(found, diagnosis)


def print_diagnosis(trial: "TrialView", diagnosis: "DiagnosisView") -> None:
    """Print verdict, cause, evidence, the score with its parts, and the remedies in order."""
    from gradsweep.cli.output import console, table
    from gradsweep.cli.wording import number, parameter

    parts = [
        f"{name} {'unknown' if value is None else f'{value:.2f}'}" for name, value in diagnosis.stability_parts.items()
    ]
    limit = f", limited by {diagnosis.stability_limited_by}" if diagnosis.stability_limited_by else ""
    expected = (
        "no theory" if diagnosis.expected_slope is None else f"{diagnosis.expected_slope:+.2f} expected at the start"
    )
    rows = [
        ("verdict", diagnosis.verdict or "none yet"),
        ("cause", diagnosis.cause),
        ("stability", number(diagnosis.stability) + limit),
        ("parts", ", ".join(parts)),
        ("depth slope", f"{_slope(diagnosis.measured_slope)} decades a layer ({expected})"),
        *(("evidence", words) for words in _evidence(diagnosis.evidence)),
        *(("warning", f"before the first update: {words}") for words in _evidence(diagnosis.early_warning)),
    ]
    screen = console()
    screen.print(table(f"trial {trial.number}", ("", ""), rows))
    if diagnosis.remedies:
        listed = [
            (
                str(rank),
                ", ".join(f"{name} = {parameter(value)}" for name, value in remedy.changes.items()),
                remedy.reason,
            )
            for rank, remedy in enumerate(diagnosis.remedies, start=1)
        ]
        screen.print(table("what to try", ("", "change", "because"), listed))


def _slope(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2f}"


def _evidence(evidence: Iterable["EvidenceView"]) -> Iterator[str]:
    for one in evidence:
        where = "" if one.layer is None else f" in layer {one.layer}"
        since = "" if one.epoch is None else f" from epoch {one.epoch} on"
        value = next(iter(one.nonfinite.values()), "") if one.value is None else f"{one.value:.3g}"
        yield f"{one.metric} {value}{where}{since} (threshold {one.threshold:g})"
