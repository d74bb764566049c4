import pytest

from service.domain.stability.diagnosis import diagnose, one_digit, rescue
from service.domain.states import Verdict
from service.wire.parameters import Parameters

FLAT = (0.105, 0.11, 0.11, 0.11, 0.11, 0.11, 0.11)


@pytest.mark.parametrize(
    ("fate", "changes", "rescued"),
    [
        (
            "vanishing",
            {"activation": "sigmoid"},
            {"normalization": "batch", "residual": True, "activation": "relu", "initializer": "he_normal"},
        ),
        ("vanishing", {}, {"normalization": "batch", "residual": True, "initializer": "he_normal"}),
        (
            "vanishing",
            {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "learning_rate": 0.1, "residual": True},
            {
                "normalization": "batch",
                "initializer": "he_normal",
                "optimizer": "adam",
                "learning_rate": 1e-3,
                "momentum": None,
                "nesterov": None,
            },
        ),
        (
            "overstepping",
            {"learning_rate": 1.0},
            {"learning_rate": 1e-3, "normalization": "batch", "clip_norm": 1.0, "warmup_epochs": 1.0},
        ),
        (
            "exploding",
            {"activation": "tanh", "initializer": "he_normal"},
            {"initializer": "glorot_uniform", "residual": True, "normalization": "batch", "clip_norm": 1.0},
        ),
        (
            "dead",
            {"learning_rate": 0.3, "dropout": 0.5},
            {
                "learning_rate": 0.1,
                "normalization": "batch",
                "activation": "elu",
                "dropout": 0.2,
            },
        ),
        (
            "swinging",
            {"learning_rate": 0.03},
            {"learning_rate": 0.01, "schedule": "cosine", "normalization": "batch", "clip_norm": 1.0},
        ),
        ("healthy", {}, {}),
        ("converged", {}, {}),
    ],
)
def test_a_rescue_changes_what_the_remedies_name(canonical, parameters, fate, changes, rescued):
    sick = parameters(**changes)

    found = rescue(sick, diagnose(canonical[fate], sick))

    assert found == rescued
    Parameters.model_validate(sick.model_dump() | found)


@pytest.mark.parametrize("fate", ["vanishing", "exploding", "overstepping", "runaway", "dead", "noisy", "swinging"])
def test_each_failure_has_a_cause_and_remedies_with_reasons(canonical, parameters, fate):
    diagnosis = diagnose(canonical[fate], parameters())
    assert diagnosis.cause.endswith(".")
    assert diagnosis.remedies
    assert all(remedy.changes and remedy.reason.endswith(".") for remedy in diagnosis.remedies)


def test_the_theory_stands_beside_the_measurement(rows_of, parameters):
    rows = rows_of(slope=0.63, accuracy=FLAT)
    diagnosis = diagnose(rows, parameters(activation="sigmoid"))
    assert diagnosis.measured_slope == pytest.approx(0.63)
    assert diagnosis.slope_at_initialization == pytest.approx(0.63)
    assert diagnosis.expected_slope == pytest.approx(0.63, abs=0.03)


@pytest.mark.parametrize(
    ("change", "limiting", "parameter"),
    [
        ({"update_ratio": 1.1e-6}, "update", "learning_rate"),
        ({"slope": 0.74, "accuracy": FLAT}, "depth", "residual"),
        ({"slope": -0.74}, "depth", "initializer"),
    ],
)
def test_low_stability_without_a_verdict_gets_advice_on_the_limiting_part(
    rows_of, parameters, change, limiting, parameter
):
    diagnosis = diagnose(rows_of(**change), parameters())
    assert diagnosis.finding.verdict is Verdict.STABLE
    assert limiting in diagnosis.cause
    assert parameter in rescue(parameters(), diagnosis)


def test_steps_that_are_too_short_are_made_longer(rows_of, parameters):
    sick = parameters(learning_rate=1e-6)
    found = rescue(sick, diagnose(rows_of(update_ratio=1.1e-6), sick))
    assert found == {"learning_rate": 1e-4}


def test_before_the_first_epoch_there_is_only_the_warning(rows_of, parameters):
    diagnosis = diagnose(rows_of(slope=0.9)[:1], parameters())
    assert diagnosis.finding is None
    assert diagnosis.remedies == ()
    assert diagnosis.early_warning[0].metric == "depth_range"


@pytest.mark.parametrize(("value", "rounded"), [(0.0333, 0.03), (9.7e-4, 1e-3), (1.0, 1.0)])
def test_advice_has_one_digit(value, rounded):
    assert one_digit(value) == rounded


@pytest.mark.parametrize(
    ("rows", "changes", "said", "rescued"),
    [
        (
            {"update_ratio": 1e-5},
            {"learning_rate": 1e-5, "normalization": "batch"},
            "a step changes the weights by 1.0e-05",
            {"learning_rate": 1e-3, "residual": True, "initializer": "he_normal"},
        ),
        (
            {"update_ratio": 0.1},
            {"learning_rate": 0.5, "normalization": "batch", "residual": True, "initializer": "he_normal"},
            "too much for anything to stay",
            {"learning_rate": 0.005},
        ),
        (
            {},
            {"dropout": 0.5, "normalization": "batch", "residual": True, "initializer": "he_normal"},
            "dropout of 0.5 before each of 5 layers",
            {"dropout": 0.2},
        ),
        (
            {},
            {"initializer": "he_normal"},
            "lost on the way through 5 layers of relu",
            {"normalization": "batch", "residual": True},
        ),
        (
            {"slope": 0.5, "update_ratio": 1e-5},
            {"optimizer": "adam", "initializer": "he_normal"},
            "shrinks by 2.0 decades over 5 layers",
            {"normalization": "batch", "residual": True},
        ),
    ],
    ids=["short steps", "long steps", "dropout", "lost signal", "a slope"],
)
def test_why_nothing_is_learned_and_what_to_try(rows_of, parameters, rows, changes, said, rescued):
    given = parameters(**changes)
    found = diagnose(rows_of(accuracy=FLAT, val_loss=2.303, top_share=0.3, **rows), given, (0.1,) * 10)
    assert found.finding.verdict is Verdict.STALLED
    assert said in found.cause
    assert rescue(given, found) == rescued
