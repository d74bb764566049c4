"""Choosing the next trials: history in, parameters out. Optuna lives here and sees neither session nor row."""
