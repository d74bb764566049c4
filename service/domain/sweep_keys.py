"""The closed lists of a sweep file's top level: its keys, W&B's, the planned ones, and the limits of each."""

SWEEP_KEYS: dict[str, str] = {
    "name": "what to call the sweep; a name that is taken gets -2",
    "dataset": "digits, mnist-5k, mnist, fashion-mnist, or the name of one's own",
    "method": "random, grid, tpe (also written bayes), qmc, nsga2 or ablation",
    "metric": "what to rank by: name, goal, target, at",
    "metrics": "several metrics to trade against one another, in place of metric",
    "constraints": "bounds that a trial must keep to be the best",
    "run_cap": "how many trials at most; needed unless the method is grid or ablation, or there is a time budget",
    "early_terminate": "how unpromising trials end: type, min_iter, eta, min_trials",
    "gradient_rules": "which signs of unstable gradients end a trial, or flag it",
    "parameters": "what is fixed and what is searched",
    "remedies": "under method ablation: what to change from the fixed parameters, by name",
    "seeds": "under method ablation: how often everything is repeated, each time under another seed",
    "statistics_every": "every which training step is measured, from the first of an epoch",
    "preset": "fixed values for what is left out: article",
    "seed": "of the search and of the trials; drawn if left out",
    "max_parallel": "how many trials may wait or run at once",
    "failure_limit": "share of failed trials above which the sweep pauses",
    "time_budget_minutes": "minutes of work after which the sweep drains",
}
"""Every key of a sweep file, in words."""

WANDB_KEYS = (
    "command",
    "controller",
    "description",
    "display_name",
    "entity",
    "image_uri",
    "job",
    "prior_runs",
    "program",
    "project",
    "queue",
    "scheduler",
    "settings",
)
"""Keys that only W&B can use: accepted, and nothing is done with them."""

PLANNED_KEYS = (
    "confirm",
    "early_stopping",
    "exclusive",
    "tags",
)
BUILT_IN_DATASETS = ("digits", "mnist-5k", "mnist", "fashion-mnist")

MAX_RUN_CAP = 1_000_000
MAX_STATISTICS_EVERY = 1000
MAX_SEED = 2**31 - 1
MAX_PARALLEL = 4096
DEFAULT_PARALLEL = 1024
POPULATION_BOUNDS = (8, 50)
LEAST_TPE_PARALLEL = 8


def population_size(run_cap: int | None) -> int:
    """Trials of a generation under nsga2: a tenth of the sweep, within bounds."""
    low, high = POPULATION_BOUNDS
    return high if run_cap is None else min(max(low, run_cap // 10), high)
