"""What happens beside requests: the reaper's rounds, and the signal that wakes event streams."""
