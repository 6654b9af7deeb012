"""Names for the tensor shapes that recur; units and frames are those of ``docs/conventions.md``."""

from jaxtyping import Float
from torch import Tensor

Joints = Float[Tensor, "*batch 21 3"]
"""Joints in OpenPose order, metres, OpenCV camera frame."""

KeypointsPx = Float[Tensor, "*batch 21 2"]
"""2D points in OpenPose order, pixels; (0, 0) is the centre of the top-left pixel."""

Confidence = Float[Tensor, "*batch 21"]
"""Detection confidence per keypoint, 0 to 1."""
