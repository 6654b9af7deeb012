"""The synthetic benchmark: rendered hands in the datasets' official layouts."""

from s2hand.synthetic.generate import make_synthetic
from s2hand.synthetic.sizes import (
    IN_THE_WILD_SIZES,
    SIZES,
    NamespaceSize,
    SizeName,
    SyntheticSize,
)

__all__ = [
    "IN_THE_WILD_SIZES",
    "SIZES",
    "NamespaceSize",
    "SizeName",
    "SyntheticSize",
    "make_synthetic",
]
