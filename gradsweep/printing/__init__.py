"""Plotly figures on paper: the JSON that the service draws, as a matplotlib figure for pdf, svg and png.

The service alone decides what a figure shows; this package only knows how Plotly's traces, axes and legends look on
white paper, in a column of a few inches, and in gray. What it cannot print it refuses, and leaves nothing out.
"""
