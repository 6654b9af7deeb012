"""Training in plain PyTorch: steps, stages, checkpoints."""
