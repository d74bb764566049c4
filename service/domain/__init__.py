"""What things are: sweeps, spaces, trials and their transitions, leases, rungs. Plain data; time is an argument."""
