"""Metrics as the official evaluations define them; ``evaluate`` computes all of a set's."""
