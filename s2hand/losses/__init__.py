"""Losses: each takes tensors and returns a sum and a count."""
