"""Every kind of figure by its name in the address."""

from collections.abc import Callable, Mapping

from service.figures.effect_figures import effects
from service.figures.frame import Figure
from service.figures.parallel import parallel_coordinate
from service.figures.search_figures import contour, edf, importances, pareto, rank
from service.figures.several import SeveralFacts, depth_profiles, gradient_flows, learning_curves_of, update_ratios
from service.figures.step_figures import steps
from service.figures.sweep_figures import (
    SweepFacts,
    history,
    learning_curves,
    slices,
    stability_map,
    verdicts,
)
from service.figures.timeline import timeline
from service.figures.trial_figures import TrialFacts, depth_profile, gradient_flow, learning_curve, update_ratio

STEPS = "steps"
"""The kind that is drawn from a recording, not from epochs."""

SWEEP_FIGURES: Mapping[str, Callable[[SweepFacts], Figure]] = {
    "history": history,
    "slice": slices,
    "parallel_coordinate": parallel_coordinate,
    "learning_curves": learning_curves,
    "verdicts": verdicts,
    "stability_map": stability_map,
    "effects": effects,
    "importances": importances,
    "pareto": pareto,
    "contour": contour,
    "rank": rank,
    "edf": edf,
    "timeline": timeline,
}
TRIAL_FIGURES: Mapping[str, Callable[[TrialFacts], Figure]] = {
    "gradient_flow": gradient_flow,
    "update_ratio": update_ratio,
    "depth_profile": depth_profile,
    "learning_curve": learning_curve,
    STEPS: steps,
}
SEVERAL_FIGURES: Mapping[str, Callable[[SeveralFacts], Figure]] = {
    "gradient_flow": gradient_flows,
    "update_ratio": update_ratios,
    "depth_profile": depth_profiles,
    "learning_curve": learning_curves_of,
}
