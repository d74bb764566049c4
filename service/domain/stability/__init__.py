"""Everything derived from the measured rows of a trial: pure functions, recomputable at any time.

rows       what was measured, as values; which epochs count as learning
derived    depth slope, depth range, flow ratio, gradient-norm spread, oscillation
score      the stability S in [0, 1] with its parts
verdict    nonfinite, exploding, dead, vanishing, unsteady or stable, with evidence
rules      which verdicts end or flag a trial early
theory     the slope that mean-field theory expects at initialization
diagnosis  cause and remedies in words; the remedied parameters

Formulas, units and sources for users: docs/gradients.md.
"""
