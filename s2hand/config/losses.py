"""Settings of the losses."""

import math
from dataclasses import dataclass, field
from typing import Literal

from s2hand.config.checks import require
from s2hand.loss_table import LossWeights


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Which formula each loss uses, and the weights."""

    weights: LossWeights = field(default_factory=LossWeights)
    keypoint_2d: Literal["paper", "released"] = "paper"
    """``paper``: mean of confidence-weighted distances. ``released``: weights (con·w)² with the
    wrist ×2 and tips ×1.5, divided by their sum over the batch."""
    photometric: Literal["paper", "two_layers", "released"] = "paper"
    """How ``pixel`` and ``texture_prior`` are averaged. ``paper``: per picture inside the rendered
    silhouette, times the summed confidence. ``two_layers``, ours: as ``paper``, but that ``pixel``
    is summed over whole pictures, with a background of one colour behind the hand, so that it does
    not pay to leave pixels uncovered. ``released``: over whole pictures, the hand on white
    against the masked input on black, weighted with the squared mean confidence."""
    photometric_min_confidence: float = 0.0
    """Pictures with a keypoint that does not exceed this count nothing in ``released`` averages
    (0: all count; the released code has 0.1 for FreiHAND and no limit for HO-3D)."""
    heatmap_keypoint: Literal["paper", "released"] = "paper"
    """``paper``: as E_loc. ``released``: plain distances, weighted with squared confidences."""
    shape_prior: Literal["norm", "squared"] = "norm"
    """``norm``: the Euclidean length of ``betas``, as the paper prints it. ``squared``: the mean
    of the ten squares, as the released code; weaker near the mean shape, stronger far from it."""
    bone_length_prior: Literal["squared", "absolute"] = "squared"
    joint_angle_prior: Literal["anatomical", "axis_angle"] = "anatomical"
    """``anatomical``: twist, spread and bend in each joint's frame. ``axis_angle``: MANO's raw
    components, as the released code."""
    keypoint_knee_px: float = 5.0
    """Where the smooth-L1 turns from quadratic to linear, in 224-equivalent pixels."""
    smooth_threshold_rad: float = 0.1
    """Rotation between neighbouring frames below which ``smooth`` is zero."""

    def __post_init__(self) -> None:
        require(
            0 < self.keypoint_knee_px < math.inf,
            "losses.keypoint_knee_px must be finite and positive",
            keypoint_knee_px=self.keypoint_knee_px,
        )
        require(
            0 <= self.smooth_threshold_rad < math.inf,
            "losses.smooth_threshold_rad must be finite and not negative",
            smooth_threshold_rad=self.smooth_threshold_rad,
        )
        require(
            0 <= self.photometric_min_confidence < 1,
            "losses.photometric_min_confidence must lie in 0 up to 1",
            photometric_min_confidence=self.photometric_min_confidence,
        )
