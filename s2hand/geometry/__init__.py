"""Rotations, cameras and meshes: differentiable functions without state."""
