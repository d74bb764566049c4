"""What gradsweep costs, measured: `python -m benchmarks [NAME …]`. Figures, not tests: nothing here passes or fails."""
