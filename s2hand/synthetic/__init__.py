"""The synthetic benchmark: rendered hands in the official layouts of FreiHAND and HO-3D."""

from s2hand.synthetic.generate import make_synthetic
from s2hand.synthetic.sizes import SIZES, NamespaceSize, SizeName, SyntheticSize

__all__ = ["SIZES", "NamespaceSize", "SizeName", "SyntheticSize", "make_synthetic"]
