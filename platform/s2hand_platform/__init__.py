"""Plan, run, record and judge experiments."""
