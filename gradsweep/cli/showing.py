"""What `show` prints of a sweep, and of a trial with its epochs and gradients."""

from collections.abc import Sequence

from gradsweep.cli.output import console, table
from gradsweep.cli.progress import counts_line, rate_line
from gradsweep.cli.wording import duration, number, parameter, total, trial_fate
from service.wire.recordings import RecordingView
from service.wire.sweeps import SweepView
from service.wire.trials import EpochView, LayerView, TrialView

SHOWN_EPOCHS = 20
WANTED_STABILITY = 0.5


def print_sweep(sweep: SweepView) -> None:
    """Print what a sweep is, how far it is, and what it searches; defaulted values are marked."""
    progress = sweep.progress
    rows = [
        ("id", sweep.id),
        ("state", sweep.summary),
        (
            "trials",
            f"{progress.trials_done} of {total(progress.trials_total)} ({counts_line(sweep) or 'none yet'})",
        ),
        ("rate", rate_line(sweep) or "not known"),
        ("best", "none yet" if sweep.best is None else f"{number(sweep.best.objective)} (trial {sweep.best.number})"),
        ("metric", f"{sweep.metric.direction} {sweep.metric.name} of the {sweep.metric.at} epoch"),
        *(("and", f"{metric.direction} {metric.name}") for metric in sweep.metrics[1:]),
        *(("bound", bound) for bound in sweep.constraints),
        ("method", f"{sweep.method}, seed {sweep.seed}, at most {sweep.max_parallel} trials at once"),
        ("data set", sweep.dataset),
        *(("warning", warning) for warning in sweep.warnings),
    ]
    screen = console()
    screen.print(table(sweep.name, ("", ""), rows))
    parameters = sweep.resolved.get("parameters", {})
    defaulted = set(sweep.defaulted)
    listed = [
        (name, _spec(spec), "default" if f"/parameters/{name}" in defaulted else "")
        for name, spec in parameters.items()
    ]
    screen.print(table("parameters", ("", "", ""), listed))


def _spec(spec: object) -> str:
    if not isinstance(spec, dict):
        return parameter(spec)
    if set(spec) == {"value"}:
        return parameter(spec["value"])
    if {"min", "max"} <= set(spec):
        rest = {key: value for key, value in spec.items() if key not in ("distribution", "min", "max")}
        detail = ", ".join([str(spec["distribution"]), *(f"{key} {parameter(value)}" for key, value in rest.items())])
        return f"{parameter(spec['min'])} … {parameter(spec['max'])} ({detail})"
    if set(spec) == {"values"}:
        return " | ".join(parameter(value) for value in spec["values"])
    return ", ".join(f"{key} {parameter(value)}" for key, value in spec.items())


def print_trial(trial: TrialView, epochs: Sequence[EpochView], layers: Sequence[LayerView]) -> None:
    """Print a trial's fate, parameters, learning curve and the gradients of its last epoch."""
    screen = console()
    rows = [
        ("id", trial.id),
        ("state", trial_fate(trial) + (f" ({trial.prune_detail})" if trial.prune_detail else "")),
        ("objective", number(trial.objective)),
        ("test accuracy", number(trial.test_accuracy)),
        ("gradients", gradients_words(trial)),
        ("attempt", f"{trial.attempt}, lives lost {trial.lost}"),
        ("time", duration(trial.wall_seconds)),
    ]
    rows += [("rescue", one.summary) for one in (trial.rescue_of, *trial.rescues) if one is not None]
    if trial.recording is not None:
        rows.append(("first steps", recording_words(trial.recording)))
    if trial.failure is not None:
        rows.append(("failure", f"{trial.failure.type or trial.failure.kind}: {trial.failure.message or ''}"))
    screen.print(table(f"trial {trial.number}", ("", ""), rows))
    listed = [(name, parameter(value)) for name, value in trial.parameters]
    screen.print(table("parameters", ("", ""), listed))
    curve = [
        (
            str(epoch.epoch),
            *(number(value) for value in (epoch.train_loss, epoch.train_accuracy, epoch.val_loss, epoch.val_accuracy)),
            number(epoch.global_norm_mean),
        )
        for epoch in epochs[-SHOWN_EPOCHS:]
    ]
    columns = ("epoch", "train loss", "train acc.", "val loss", "val acc.", "gradient norm")
    screen.print(table("epochs (0 is the probe before the first update)", columns, curve, numeric=len(columns)))
    if trial.failure is not None and trial.failure.traceback:
        screen.print(trial.failure.traceback)
    print_gradients(layers)


def recording_words(recording: RecordingView) -> str:
    """How far the recording of a trial's first steps is."""
    which = f"{recording.steps}" + (f", every {recording.every}" if recording.every > 1 else "")
    if recording.state == "done":
        differs = "" if recording.matches else f", differ from what is stored from epoch {recording.differs_from_epoch}"
        return f"{which}: recorded in {recording.artifact}{differs}"
    return f"{which}: {recording.state}{'' if recording.reason is None else f' ({recording.reason})'}"


def gradients_words(trial: TrialView) -> str:
    """Verdict and stability, with what limits it."""
    if trial.verdict is None:
        return "not judged yet"
    limit = "" if trial.stability_limited_by is None else f", limited by {trial.stability_limited_by}"
    if trial.verdict == "stable" and trial.stability is not None and trial.stability < WANTED_STABILITY:
        limit += ": look at gradsweep diagnose"
    return f"{trial.verdict}, stability {number(trial.stability) or 'unknown'}{limit}"


def print_gradients(layers: Sequence[LayerView]) -> None:
    """Print the gradients of the last epoch, the layer nearest to the input first."""
    if not layers:
        return
    last = max(layer.epoch for layer in layers)
    rows = [
        (
            str(layer.layer),
            *(number(value) for value in (layer.grad_rms_median, layer.grad_norm_mean, layer.update_ratio_median)),
            number(layer.weight_norm),
            str(layer.nonfinite_entries or ""),
        )
        for layer in layers
        if layer.epoch == last
    ]
    columns = ("layer", "gradient rms", "gradient norm", "update ratio", "weight norm", "not finite")
    title = f"gradients of epoch {last} (layer 1 is the nearest to the input)"
    console().print(table(title, columns, rows, numeric=len(columns)))
