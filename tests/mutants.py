"""Planted faults: each must turn the tests red that are named beside it. `python tests/mutants.py [NAME …]`

A suite is believable when it catches what it claims to catch. Each fault is one replacement in one file of a copy of
the tree, so that the checkout is never touched. A fault that no test catches, or whose text is no longer in the
file, ends the run with exit code 1. Not part of `make test`: it takes minutes.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("service", "migrations", "worker", "gradsweep", "tests", "pyproject.toml")
OPERATIONS = "tests/service/operations"


@dataclass(frozen=True, slots=True)
class Fault:
    """One replacement, and the tests of which at least one must fail."""

    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


FAULTS = {
    "fence-without-attempt": Fault(
        "service/database/leased_trials.py",
        "holder == lease_id and leased.attempt == attempt",
        "holder == lease_id",
        (f"{OPERATIONS}/test_reporting.py::test_an_older_attempt_writes_nothing",),
    ),
    "fence-without-lease": Fault(
        "service/database/leased_trials.py",
        '        attempts.c.lease_id == bindparam("lease_id"),\n        attempts.c.trial_id.in_',
        "        attempts.c.trial_id.in_",
        (f"{OPERATIONS}/test_reporting.py",),
    ),
    "begin-instead-of-immediate": Fault(
        "service/database/engine.py",
        'begin="BEGIN IMMEDIATE"',
        'begin="BEGIN"',
        (f"{OPERATIONS}/test_races.py",),
    ),
    "no-lock-on-the-sweep": Fault(
        "service/database/sweeps.py",
        "connection.execute(_LOCK, {",
        "connection.execute(_BY_ID, {",
        (f"{OPERATIONS}/test_races.py", f"{OPERATIONS}/test_reporting.py"),
    ),
    "claim-key-not-looked-up": Fault(
        "service/database/claims.py",
        "return None if row is None else StoredClaim(row.request_hash, row.answer)",
        "return None",
        (f"{OPERATIONS}/test_claiming.py::test_the_same_claim_again_gets_the_same_answer",),
    ),
    "claim-key-without-body": Fault(
        "service/operations/claiming.py",
        "if stored.request_hash != _hash(request):",
        "if False:",
        (f"{OPERATIONS}/test_claiming.py",),
    ),
    "racing-claim-told-nothing": Fault(
        "service/operations/claiming.py",
        "_take(database, request, settings) or _answer_of_twin(database, request)",
        "_take(database, request, settings)",
        (f"{OPERATIONS}/test_races.py::test_the_same_claim_twice_at_once",),
    ),
    "epoch-overwritten": Fault(
        "service/operations/reporting.py",
        "is_same = stored.content_hash == fingerprint",
        "is_same = True",
        (f"{OPERATIONS}/test_reporting.py::test_another_body_is_a_conflict_for_that_entry_alone",),
    ),
    "final-overwritten": Fault(
        "service/operations/reporting.py",
        "is_same = ended.final_hash == final_hash(entry.final)",
        "is_same = True",
        (f"{OPERATIONS}/test_reporting.py::test_a_final_stands",),
    ),
    "rung-without-the-rest-of-the-report": Fault(
        "service/operations/reporting.py",
        "rungs.setdefault((trial.sweep_id, epoch), []).append(",
        "rungs.setdefault((trial.sweep_id, epoch), []) or rungs[(trial.sweep_id, epoch)].append(",
        (f"{OPERATIONS}/test_reporting.py",),
    ),
    "rung-of-an-older-attempt": Fault(
        "service/database/epochs.py",
        "(epochs.c.trial_id == trials.c.id) & (epochs.c.attempt == trials.c.attempt)",
        "epochs.c.trial_id == trials.c.id",
        (f"{OPERATIONS}/test_reporting.py::test_rungs_read_the_present_attempt_only",),
    ),
    "divergence-is-a-failure": Fault(
        "service/domain/report.py",
        "if self.diverged_at is not None:",
        "if self.diverged_at is not None and self.final is None:",
        (f"{OPERATIONS}/test_reporting.py",),
    ),
    "reaper-takes-a-renewed-lease": Fault(
        "service/database/leases.py",
        "leases.c.state == LeaseState.ACTIVE, leases.c.expires_at_ms <= now_ms)\n        .values(state",
        "leases.c.state == LeaseState.ACTIVE)\n        .values(state",
        (f"{OPERATIONS}/test_reaping.py::test_a_lease_that_was_renewed_after_it_was_found_overdue_is_spared",),
    ),
    "reaper-does-not-wait": Fault(
        "service/operations/reaping.py",
        "n_extended = extend_all(self._database, self._settings) if is_late else 0",
        "n_extended = 0",
        (f"{OPERATIONS}/test_reaping.py",),
    ),
    "recording-fence-without-attempt": Fault(
        "service/domain/recording.py",
        "(self.lease_id, self.attempt) == (lease_id, attempt)",
        "self.lease_id == lease_id",
        (f"{OPERATIONS}/test_recording.py::test_a_stale_workers_result_is_refused",),
    ),
    "recording-fence-without-lease": Fault(
        "service/domain/recording.py",
        "(self.lease_id, self.attempt) == (lease_id, attempt)",
        "self.attempt == attempt",
        (f"{OPERATIONS}/test_recording.py::test_a_result_under_another_live_lease_is_refused",),
    ),
    "recording-overwritten": Fault(
        "service/operations/recording_leases.py",
        "return _STORED if recording.result_hash == result_hash else _CONFLICT",
        "return _STORED",
        (f"{OPERATIONS}/test_recording.py",),
    ),
    "racing-recording-told-nothing": Fault(
        "service/operations/recording_leases.py",
        "return claimed_with(connection, request.claim_key)",
        "return None",
        (f"{OPERATIONS}/test_recording.py::test_the_same_claim_twice_at_once_gets_the_same_recording",),
    ),
    "recording-of-a-released-lease-kept": Fault(
        "service/operations/leasing.py",
        "hand_back_recordings(connection, lease_id, now_ms)",
        "pass",
        (f"{OPERATIONS}/test_recording.py",),
    ),
    "drain-costs-a-life": Fault(
        "service/operations/leasing.py",
        "fate = Fate(state, trial.lost,",
        "fate = Fate(state, trial.lost + 1,",
        (f"{OPERATIONS}/test_leasing.py",),
    ),
    "every-loss-costs-a-life": Fault(
        "service/domain/lease.py",
        "if batch_size > SMALL_BATCH:",
        "if batch_size > 10**6:",
        ("tests/service/domain/test_lease.py", f"{OPERATIONS}/test_reaping.py"),
    ),
    "batch-limit-ignored": Fault(
        "service/domain/batch.py",
        "if size < allowed:",
        "if True:",
        ("tests/service/domain/test_batch.py",),
    ),
    "results-of-the-last-attempt-kept": Fault(
        "service/database/waiting_trials.py",
        "        **_CLEARED,\n",
        "",
        (f"{OPERATIONS}/test_claiming.py::test_a_new_attempt_forgets_the_last_ones_results",),
    ),
    "a-failure-that-settles-nothing": Fault(
        "service/operations/reporting.py",
        "has_failed=AttemptOutcome.FAILED in outcomes",
        "has_failed=False",
        (f"{OPERATIONS}/test_settling.py",),
    ),
    "a-claim-that-starts-nothing": Fault(
        "service/operations/claiming.py",
        "start_if_queued(connection, sweep, now_ms)",
        "sweep",
        (f"{OPERATIONS}/test_settling.py", f"{OPERATIONS}/test_claiming.py", f"{OPERATIONS}/test_lifecycle.py"),
    ),
    "progress-without-its-revision": Fault(
        "service/database/leased_trials.py",
        '(*columns, "revision")',
        "columns",
        (f"{OPERATIONS}/test_reporting.py::test_a_report_that_ends_nothing_is_a_change_of_its_trial",),
    ),
    "warnings-forgotten-from-report-to-report": Fault(
        "service/database/leased_trials.py",
        '    *("rule_warnings", "would_have_pruned", "would_have_pruned_epoch"),\n',
        "",
        (f"{OPERATIONS}/test_gradient_rules.py",),
    ),
    "layers-in-the-order-of-another-table": Fault(
        "service/operations/reporting.py",
        "_MEASURED_LAYER = itemgetter(*MEASURED_LAYER)",
        "_MEASURED_LAYER = itemgetter(*MEASURED_LAYER[:1], *MEASURED_LAYER[:0:-1])",
        (f"{OPERATIONS}/test_reporting.py", f"{OPERATIONS}/test_gradient_rules.py"),
    ),
    "a-spelled-value-screened-as-missing": Fault(
        "service/domain/stability/enforcement.py",
        "return not report.nonfinite_values and ",
        "return True or not report.nonfinite_values and ",
        ("tests/service/domain/stability/test_enforcement.py",),
    ),
    "event-numbers-with-gaps": Fault(
        "service/database/sweeps.py",
        "first = last - len(new) + 1",
        "first = last - len(new) + 2",
        ("tests/model",),
    ),
    "a-repeated-final-says-continue": Fault(
        "service/domain/report.py",
        "if outcome in (AttemptOutcome.CANCELLED, AttemptOutcome.RELEASED):",
        "if outcome in ():",
        (f"{OPERATIONS}/test_reporting.py", "tests/model"),
    ),
}


def is_caught(fault: Fault) -> bool:
    """Plant a fault in a copy of the tree and run its tests there."""
    with tempfile.TemporaryDirectory(prefix="gradsweep-mutant-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        path = copy / fault.file
        text = path.read_text()
        if text.count(fault.text) != 1:
            raise SystemExit(f"{fault.file} contains {text.count(fault.text)} times: {fault.text}")
        path.write_text(text.replace(fault.text, fault.replacement))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *fault.tests]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"the tests could not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 1


def main(names: list[str]) -> int:
    """Plant all faults, or those named; say which were caught."""
    escaped = []
    for name in names or FAULTS:
        caught = is_caught(FAULTS[name])
        print(f"{'caught ' if caught else 'ESCAPED'}  {name}", flush=True)
        escaped += [] if caught else [name]
    return int(bool(escaped))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
