"""The service: REST in front, Optuna beside it, the database below."""
