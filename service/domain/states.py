"""The closed lists of states and reasons. The database's CHECK constraints are made from them.

sweep   queued → running ⇄ paused → stopping → completed | cancelled
trial   waiting → running → completed | pruned | failed | cancelled
lease   active → released | expired
recording   queued ⇄ running → done | failed
"""

from enum import StrEnum


class SweepState(StrEnum):
    """Where a sweep is. `queued` until its first trial is leased; `stopping` while leased trials finish."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class SweepReason(StrEnum):
    """Why a sweep is where it is."""

    TARGET_REACHED = "target_reached"
    RUN_CAP = "run_cap"
    SPACE_EXHAUSTED = "space_exhausted"
    TIME_BUDGET = "time_budget"
    FAILURE_LIMIT = "failure_limit"
    BY_USER = "by_user"


class WaitingFor(StrEnum):
    """What a sweep that could go on is waiting for."""

    NO_WORKER = "no_worker"
    DATASET = "dataset"
    SAMPLER = "sampler"
    COMPILING = "compiling"
    PAUSED = "paused"


class TrialState(StrEnum):
    """Where a trial is. `running` if and only if a lease holds it."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether only a user's retry can move the trial again."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)


class PruneReason(StrEnum):
    """Which rule ended a trial early."""

    UNPROMISING = "unpromising"
    NONFINITE = "nonfinite"
    BLOWUP = "blowup"
    COLLAPSED = "collapsed"
    VANISHING = "vanishing"
    DEAD = "dead"
    OVERSTEP = "overstep"

    @property
    def is_stability(self) -> bool:
        """Whether the gradients ended the trial, not its objective."""
        return self is not PruneReason.UNPROMISING


class FailureKind(StrEnum):
    """Whose fault a failure is: never the trial's gradients (those prune)."""

    WORKER_LOST = "worker_lost"
    OUT_OF_MEMORY = "out_of_memory"
    ERROR = "error"


class LeaseState(StrEnum):
    """Whether a worker's right to its trials holds."""

    ACTIVE = "active"
    RELEASED = "released"
    EXPIRED = "expired"


class AttemptOutcome(StrEnum):
    """How one go of a worker at a trial ended."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"
    LOST = "lost"


class RecordingState(StrEnum):
    """Where the recording of a trial's first steps is. `running` while a lease holds it."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        """Whether a worker has it, or will."""
        return self in (RecordingState.QUEUED, RecordingState.RUNNING)


class ArtifactKind(StrEnum):
    """What a file that was made of a trial holds. `steps`: a row per step and layer, as csv."""

    STEPS = "steps"


class Directive(StrEnum):
    """What the service tells a worker about one reported trial."""

    CONTINUE = "continue"
    PRUNE = "prune"
    STOP = "stop"
    GONE = "gone"
    CONFLICT = "conflict"


class Method(StrEnum):
    """How the trials of a sweep are chosen. `bayes` in a sweep file is `tpe`."""

    RANDOM = "random"
    GRID = "grid"
    TPE = "tpe"
    QMC = "qmc"
    ABLATION = "ablation"
    NSGA2 = "nsga2"


class Direction(StrEnum):
    """Which way an objective is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


class MetricAt(StrEnum):
    """Which epoch's value counts: the last one, or the best so far."""

    LAST = "last"
    BEST = "best"


class StabilityLimit(StrEnum):
    """Which part costs a trial's stability most; `nonfinite` makes it zero."""

    NONFINITE = "nonfinite"
    DEPTH = "depth"
    UPDATE = "update"
    LEVEL = "level"
    STEADY = "steady"
    UNITS = "units"
    LOSS = "loss"


class Verdict(StrEnum):
    """What a trial's gradients did; the first that holds, in this order (docs/gradients.md)."""

    NONFINITE = "nonfinite"
    EXPLODING = "exploding"
    DEAD = "dead"
    VANISHING = "vanishing"
    UNSTEADY = "unsteady"
    STALLED = "stalled"
    STABLE = "stable"
