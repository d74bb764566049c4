"""What the demo has found: the best configurations with their gradients, and why the others ended early."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.text import Text

from gradsweep.cli.output import console, table
from gradsweep.cli.wording import number, parameter, searched_names, trial_fate
from gradsweep.client import Client
from service.wire.sweeps import SweepView
from service.wire.trials import LayerView, TrialView

SHOWN_NUMBERS = 8


def print_report(client: Client, sweep: SweepView, *, n_best: int, data_dir: Path) -> None:
    """Print the best configurations, why the others ended, and what to type next."""
    ranked = client.best(sweep.id, k=n_best).trials
    trials = list(client.all_trials(sweep.id))
    screen = console()
    if ranked:
        screen.print()
        screen.print(best_table(client, sweep, ranked, searched_names(sweep)))
    ended_early = [trial for trial in trials if trial.state not in ("completed", "waiting", "running")]
    if ended_early:
        screen.print()
        screen.print(early_table(ended_early))
    if ranked:
        screen.print()
        for line in next_lines(sweep, ranked[0], data_dir):
            screen.print(line)


def best_table(client: Client, sweep: SweepView, ranked: Sequence[TrialView], names: Sequence[str]) -> object:
    """The best trials: accuracy, gradients of their last epoch, and the parameters that were searched."""
    rows: list[Sequence[str | Text]] = []
    for trial in ranked:
        layers = client.gradients(trial.id, from_epoch=trial.epoch).layers
        values = [parameter(getattr(trial.parameters, name)) for name in names]
        judged = (number(trial.objective), number(trial.test_accuracy), number(trial.stability))
        rows.append((str(trial.number), *judged, *gradient_cells(layers), *values))
    columns = ("#", sweep.metric.name, "test acc.", "stability", "update ratio", "grad rms first", "last", *names)
    return table("Best configurations (gradients of their last epoch)", columns, rows, numeric=7)


def gradient_cells(layers: Sequence[LayerView]) -> tuple[str, str, str]:
    """Median update ratio over the layers, and gradient rms of the first and of the last layer."""
    if not layers:
        return "", "", ""
    ordered = sorted(layers, key=lambda layer: layer.layer)
    ratios = [layer.update_ratio_median for layer in ordered if layer.update_ratio_median is not None]
    ratio = number(median(ratios)) if ratios else ""
    return ratio, number(ordered[0].grad_rms_median), number(ordered[-1].grad_rms_median)


def early_table(trials: Sequence[TrialView]) -> object:
    """Why trials ended before their last epoch: each fate with its trials and an example."""
    by_fate: dict[str, list[TrialView]] = defaultdict(list)
    for trial in trials:
        by_fate[trial_fate(trial)].append(trial)
    rows = []
    for fate, group in sorted(by_fate.items(), key=lambda item: -len(item[1])):
        numbers = ", ".join(str(trial.number) for trial in group[:SHOWN_NUMBERS])
        more = ", …" if len(group) > SHOWN_NUMBERS else ""
        example = group[-1].prune_detail or (group[-1].failure.message if group[-1].failure else None) or ""
        rows.append((str(len(group)), fate, numbers + more, example))
    return table("Why the others ended early", ("", "fate", "trials", "for example"), rows, numeric=1)


def next_lines(sweep: SweepView, best: TrialView, data_dir: Path) -> list[str]:
    """What to type next, to go on with the record of the demo."""
    return [
        "What next? The record is kept; start the service on it again with",
        f"    gradsweep up --data-dir {data_dir}",
        "and in another terminal",
        f"    gradsweep show {sweep.name}/{best.number}                      its epochs and gradients, layer by layer",
        f"    gradsweep train {sweep.name}/{best.number} -o model.keras      the best model as a file for Keras",
        "    gradsweep init                              a sweep file of your own",
    ]
