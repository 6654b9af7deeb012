"""The table of losses: each term once, with its weight, what it needs and where it acts.

A new loss is a field of :class:`LossWeights` and its formula, under the same name in ``FORMULAS``
of the module that the field names. Nothing else knows terms one by one. This file needs Python
alone: whoever plans a training asks it which settings and which code take effect.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

from s2hand.errors import ConfigurationError
from s2hand.parts import (
    BRANCHES,
    HAND_ALONE,
    BranchName,
    Output,
    parts_of_outputs,
)

_APPEARANCE: frozenset[Output] = frozenset({"hand", "appearance"})
_PICTURE: frozenset[Output] = frozenset({"hand", "appearance", "rendering"})
_HEATMAPS: frozenset[Output] = frozenset({"heatmaps"})
_BOTH_BRANCHES: frozenset[Output] = frozenset({"hand", "heatmaps"})

_KEYPOINT = ("s2hand.losses.keypoint",)
_PRIORS = ("s2hand.losses.priors",)
_ANGLES = (*_PRIORS, "s2hand.hand.angle_limits", "s2hand.geometry.rotations")
_LAPLACIAN = ("s2hand.losses.laplacian",)
_JOINT = ("s2hand.losses.joint",)
_MOTION = ("s2hand.losses.motion", "s2hand.geometry.rotations")
_PHOTOMETRIC = ("s2hand.losses.photometric",)
_TEXTURE = ("s2hand.losses.appearance", *_PHOTOMETRIC)

_PHOTOMETRIC_SETTINGS = ("photometric", "photometric_min_confidence")

OBJECTIVE_MODULES = (
    "s2hand.losses.objective",
    "s2hand.losses.formula",
    "s2hand.losses.loss_sum",
    "s2hand.losses.norm",
)
"""Source that acts wherever a loss does; what single terms add is in :class:`LossTerm`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LossTerm:
    """What there is to know of a term beside its weight and its formula."""

    modules: tuple[str, ...]
    """Source that computes it from the model's outputs, beside :data:`OBJECTIVE_MODULES`. The
    first holds its formula, see :class:`s2hand.losses.formula.Formula`."""
    outputs: frozenset[Output] = HAND_ALONE
    """What it needs of the model; it acts in stages that train a branch with all of that."""
    over_clips: bool = False
    """Whether it compares the frames of a clip; it then acts only in stages that sample clips."""
    supervised: bool = False
    """Whether it compares with true joints, which batches hold with ``data.supervision = "3d"``."""
    settings: tuple[str, ...] = ()
    """Fields of ``LossConfig`` that take effect; its formula sees no others."""


def _term(weight: float, modules: tuple[str, ...], **rest: Any) -> Any:
    return field(default=weight, metadata={"term": LossTerm(modules=modules, **rest)})


@dataclass(frozen=True, kw_only=True, slots=True)
class LossWeights:
    """Weights as products of the paper's factors (paper §4.3); zero switches a term off."""

    keypoint_2d: float = _term(1e-3, _KEYPOINT, settings=("keypoint_2d", "keypoint_knee_px"))
    """E_loc (Eq. 3)."""
    bone_direction: float = _term(0.1, _KEYPOINT)
    """E_ori (Eq. 4)."""
    pixel: float = _term(5e-3, _PHOTOMETRIC, outputs=_PICTURE, settings=_PHOTOMETRIC_SETTINGS)
    """E_pixel (Eq. 6)."""
    ssim: float = _term(1e-3, _PHOTOMETRIC, outputs=_PICTURE)
    """E_SSIM (Eq. 7)."""
    mean_colour: float = _term(
        0.0, _PHOTOMETRIC, outputs=_PICTURE, settings=("photometric_min_confidence",)
    )
    """Difference of the mean colours; the released code's, for FreiHAND, 1e-3 there."""
    shape_prior: float = _term(1e-2, _PRIORS, settings=("shape_prior",))
    """E_beta (Eq. 9)."""
    texture_prior: float = _term(
        5e-3, _TEXTURE, outputs=_APPEARANCE, settings=_PHOTOMETRIC_SETTINGS
    )
    """E_C (Eq. 9)."""
    bone_length_prior: float = _term(100.0, _PRIORS, settings=("bone_length_prior",))
    """E_s (Eq. 9)."""
    joint_angle_prior: float = _term(0.1, _ANGLES, settings=("joint_angle_prior",))
    """E_J (Eq. 9)."""
    mesh_laplacian: float = _term(0.0, _LAPLACIAN)
    """Roughness of the mesh; the released code's, for FreiHAND, 0.1 there."""
    posture_prior: float = _term(0.0, _PRIORS)
    """Gaussian prior on the posture's PCA coefficients; ours, for trainings too short to learn
    posture from keypoints alone."""
    heatmap_keypoint: float = _term(
        1e-3, _KEYPOINT, outputs=_HEATMAPS, settings=("heatmap_keypoint", "keypoint_knee_px")
    )
    """E_2d (Eq. 10)."""
    keypoint_consistency: float = _term(
        2e-4, _KEYPOINT, outputs=_BOTH_BRANCHES, settings=("keypoint_knee_px",)
    )
    """E_con (Eq. 11)."""
    quaternion: float = _term(0.0, _MOTION, over_clips=True)
    """E_quat (Eq. 17); the paper's S2HAND(V) uses 0.05."""
    temporal: float = _term(0.0, _MOTION, over_clips=True)
    """Squared rotation between neighbouring frames; formula and weight in ``docs/method.md``."""
    smooth: float = _term(0.0, _MOTION, over_clips=True, settings=("smooth_threshold_rad",))
    """Rotation between neighbouring frames beyond a threshold; see ``docs/method.md``."""
    texture_shape: float = _term(0.0, _TEXTURE, outputs=_APPEARANCE, over_clips=True)
    """E_T&S (Eq. 21), texture and shape alike over a clip; the paper's S2HAND(V) uses 0.01."""
    joint_3d: float = _term(0.0, _JOINT, supervised=True)
    """Root-relative distance to true joints; of the supervised baseline MANO-CNN (Figure 5)."""

    def __post_init__(self) -> None:
        for name in TERMS:
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigurationError(
                    f"losses.weights.{name} must be finite and not negative, got {weight!r}"
                )


TERMS: dict[str, LossTerm] = {each.name: each.metadata["term"] for each in fields(LossWeights)}
"""Every term by name, in the order in which terms are added up."""


def active_weights(
    weights: LossWeights, *, branch: BranchName, over_clips: bool, without: Collection[str] = ()
) -> dict[str, float]:
    """Name the terms that act in a stage, with their weights.

    Args:
        weights: a term without a weight acts nowhere.
        branch: what the stage trains; a term acts where the stage computes all that it needs, and
            trains a part of that.
        over_clips: whether the stage samples clips.
        without: terms that the stage leaves out.
    """
    trained = BRANCHES[branch]
    return {
        name: getattr(weights, name)
        for name, term in TERMS.items()
        if getattr(weights, name) > 0
        and term.outputs <= trained.outputs
        and not set(trained.parts).isdisjoint(parts_of_outputs(term.outputs))
        and (over_clips or not term.over_clips)
        and name not in without
    }


def outputs_of_losses(names: Collection[str]) -> frozenset[Output]:
    """Return what the model has to compute for some terms."""
    return frozenset(output for name in names for output in TERMS[name].outputs)


def parts_of_losses(names: Collection[str]) -> tuple[str, ...]:
    """Return the parts of the model that compute what some terms need."""
    return parts_of_outputs(outputs_of_losses(names))


def settings_of_losses(names: Collection[str]) -> frozenset[str]:
    """Name the fields of ``LossConfig`` that take effect, beside the weights, in some terms."""
    return frozenset(setting for name in names for setting in TERMS[name].settings)


def modules_of_losses(names: Collection[str]) -> frozenset[str]:
    """Name the modules that compute some terms; none where there are no terms."""
    modules = {module for name in names for module in TERMS[name].modules}
    return frozenset(modules.union(OBJECTIVE_MODULES) if modules else ())
