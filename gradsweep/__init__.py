"""gradsweep: what users import and run."""
