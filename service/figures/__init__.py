"""Figures as Plotly JSON: pure functions from what was measured to plain dictionaries.

`plotly.io.from_json` opens each of them, by test; Plotly itself is not imported here, so a service that is asked for a
figure neither loads it nor waits for it. Every figure is bounded in size, and its title says what was left out.
Colors never stand alone: each verdict and state has a symbol or a pattern too.
"""
