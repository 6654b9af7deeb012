"""Builds the embedded hand, ``s2hand/hand/assets/embedded_hand.npz``: `python -m tools.embedded_hand`."""
