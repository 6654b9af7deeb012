"""Self-supervised 3D hand reconstruction: S2HAND and S2HAND(V) as a PyTorch library."""

__version__ = "0.1.0"
