"""Builds the embedded hand's asset: `python -m tools.embedded_hand`."""
