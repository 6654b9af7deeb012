"""The hand layer: shape, posture and global motion in, mesh and joints out."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.errors import HandModelError
from s2hand.geometry.rotations import (
    axis_angle_to_matrix,
    axis_angle_to_quaternion,
    matrix_to_quaternion,
    quaternion_multiply,
    quaternion_to_axis_angle,
)
from s2hand.hand.fingertips import S2HAND_FINGERTIPS, Fingertips
from s2hand.hand.joints import PARENTS, joint_permutation
from s2hand.hand.model_data import HandModelData
from s2hand.hand.skinning import forward_kinematics, skin

RotationCentre = Literal["wrist", "origin_flipped"]
"""``wrist``: about the wrist joint, as smplx. ``origin_flipped``: the model is first turned by
Rx(pi) about its wrist, then about the model's origin, as the released code does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HandOutput:
    """A posed hand, metres, in the frame of ``transl`` (OpenCV camera frame in this project)."""

    vertices: Float[Tensor, "*batch 778 3"]
    joints: Float[Tensor, "*batch 21 3"]
    """OpenPose order; the tips are vertices of the layer's fingertip set."""
    hand_pose: Float[Tensor, "*batch 15 3"]
    """Axis-angle of the articulated joints in MANO's order, the mean pose included."""


class HandLayer(nn.Module):
    """MANO's hand as a differentiable function, for the embedded hand and for MANO's own file.

    Convention:
        X = abs(scale) · X_model + transl, for joints and vertices. Joints are the 16 of forward
        kinematics and 5 vertices; betas and posture are MANO's coefficients. Parameters at zero
        have finite gradients.

    References:
        Romero et al., "Embodied Hands", 2017; smplx's ``lbs.py``, with which it agrees; the
        S2HAND code's ``hand_3d_model.py`` for ``origin_flipped``.
    """

    faces: Tensor
    """Triangles (1538, 3), int64, counter-clockwise seen from outside."""
    hands_mean: Tensor
    hands_components: Tensor
    _template: Tensor
    _directions: Tensor
    _rest_joints: Tensor
    _joint_directions: Tensor
    _weights: Tensor
    _tips: Tensor
    _order: Tensor
    _flip: Tensor

    def __init__(
        self,
        data: HandModelData,
        *,
        num_pose_components: int = 30,
        use_mean_pose: bool = True,
        fingertips: Fingertips = S2HAND_FINGERTIPS,
        rotation_centre: RotationCentre = "wrist",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Precompute the matrices of one hand model.

        Args:
            data: The hand model.
            num_pose_components: How many coefficients ``hand_pose_pca`` has, 1 to 45.
            use_mean_pose: Whether the model's mean posture is added to the given one.
            fingertips: Vertices that stand for the fingertips.
            rotation_centre: What ``global_orient`` turns about.
            dtype: Precision of the layer; ``.to(...)`` changes it later, rounding included.

        Raises:
            HandModelError: If the model's kinematic tree is not MANO's.
        """
        super().__init__()
        if data.parents != PARENTS:
            raise HandModelError(
                f"{data.source}: kintree_table must be MANO's tree {PARENTS}, got {data.parents}"
            )
        self.rotation_centre = rotation_centre
        mean = data.hands_mean if use_mean_pose else np.zeros(45)
        tensors = {
            "hands_mean": mean.reshape(15, 3),
            "hands_components": data.hands_components[:num_pose_components],
            "_flip": np.diag([1.0, -1.0, -1.0]),
            **_blend_matrices(data),
        }
        for name, array in tensors.items():
            tensor = torch.tensor(np.ascontiguousarray(array), dtype=dtype)
            self.register_buffer(name, tensor, persistent=False)
        indices = {
            "faces": data.faces,
            "_tips": np.array(fingertips),
            "_order": np.array(joint_permutation("mano_tips", "openpose")),
        }
        for name, array in indices.items():
            tensor = torch.tensor(array.astype(np.int64))
            self.register_buffer(name, tensor, persistent=False)

    def forward(
        self,
        *,
        betas: Float[Tensor, "*batch 10"],
        global_orient: Float[Tensor, "*batch 3"],
        hand_pose_pca: Float[Tensor, "*batch components"] | None = None,
        hand_pose: Float[Tensor, "*batch 15 3"] | None = None,
        transl: Float[Tensor, "*batch 3"] | None = None,
        scale: Float[Tensor, "*batch 1"] | None = None,
    ) -> HandOutput:
        """Pose the hand.

        Args:
            betas: Shape coefficients.
            global_orient: Axis-angle of the whole hand.
            hand_pose_pca: Posture as ``num_pose_components`` coefficients.
            hand_pose: Posture as axis-angle vectors in MANO's joint order instead; relative to
                the mean pose where the layer uses it.
            transl: Metres; zero when not given.
            scale: Its absolute value multiplies the hand; one when not given.

        Raises:
            ValueError: If not exactly one of ``hand_pose_pca`` and ``hand_pose`` is given.
        """
        batch = betas.shape[:-1]
        full_hand_pose = self._full_hand_pose(hand_pose_pca, hand_pose)
        rotations = axis_angle_to_matrix(
            torch.cat((global_orient[..., None, :], full_hand_pose), dim=-2)
        ).reshape(-1, 16, 3, 3)
        betas = betas.reshape(-1, 10)
        coefficients = torch.cat((betas, rotations[:, 1:].flatten(1)), dim=1)
        points = torch.addmm(self._template, coefficients, self._directions).view(-1, 3, 778)
        rest_joints = torch.addmm(self._rest_joints, betas, self._joint_directions).view(-1, 16, 3)
        orientations, positions = self._place(rotations, rest_joints, transl, scale)
        offsets = positions - (orientations @ rest_joints[..., None]).squeeze(-1)
        transforms = torch.cat((orientations, offsets[..., None]), dim=-1)
        vertices, tips = skin(transforms, points, self._weights, self._tips)
        joints = torch.cat((positions, tips.transpose(1, 2)), dim=1)
        return HandOutput(
            vertices=vertices.transpose(1, 2).reshape(*batch, 778, 3),
            joints=joints.index_select(1, self._order).reshape(*batch, 21, 3),
            hand_pose=full_hand_pose,
        )

    def turned(
        self,
        rotation: Float[Tensor, "*batch 3 3"],
        *,
        betas: Float[Tensor, "*batch 10"],
        global_orient: Float[Tensor, "*batch 3"],
        transl: Float[Tensor, "*batch 3"],
        scale: Float[Tensor, "*batch 1"],
    ) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch 3"]]:
        """Return ``global_orient`` and ``transl`` that turn the hand about the frame's origin.

        The hand posed with them is rotation · X for every point X of the hand as given:
        R_g becomes R·R_g, and t becomes R·(t + |s|·p) − |s|·p with what R_g turns about, p: the
        wrist of the shaped hand at rest, or the origin for ``origin_flipped``.

        Args:
            rotation: R.
            betas: Shape coefficients, on which the wrist depends.
            global_orient: R_g as axis-angle.
            transl: t, metres.
            scale: s.
        """
        whole = quaternion_multiply(
            matrix_to_quaternion(rotation), axis_angle_to_quaternion(global_orient)
        )
        pivot = torch.zeros_like(transl)
        if self.rotation_centre == "wrist":
            wrist = self._rest_joints[0, :3] + betas @ self._joint_directions[:, :3]
            pivot = scale.abs() * wrist
        moved = (rotation @ (transl + pivot)[..., None]).squeeze(-1) - pivot
        return quaternion_to_axis_angle(whole), moved

    @property
    def rest_vertices(self) -> Float[Tensor, "778 3"]:
        """Vertices of the mean shape at rest (all rotations zero), metres."""
        template = self._template.view(3, 778)
        identity = torch.eye(3, dtype=template.dtype, device=template.device).flatten().repeat(15)
        return (template + (identity @ self._directions[10:]).view(3, 778)).T

    @property
    def rest_joints(self) -> Float[Tensor, "21 3"]:
        """Joints of the mean shape at rest (all rotations zero), OpenPose order, metres."""
        joints = torch.cat((self._rest_joints.view(16, 3), self.rest_vertices[self._tips]))
        return joints[self._order]

    def _full_hand_pose(self, hand_pose_pca: Tensor | None, hand_pose: Tensor | None) -> Tensor:
        if hand_pose is not None and hand_pose_pca is None:
            return hand_pose + self.hands_mean
        if hand_pose_pca is not None and hand_pose is None:
            return (hand_pose_pca @ self.hands_components).unflatten(-1, (15, 3)) + self.hands_mean
        raise ValueError("exactly one of hand_pose_pca and hand_pose must be given")

    def _place(
        self, rotations: Tensor, rest_joints: Tensor, transl: Tensor | None, scale: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Run the kinematic tree, then scale and move; skinning is linear, so it may come after."""
        root = rest_joints[:, 0]
        if self.rotation_centre == "origin_flipped":
            root = (rotations[:, 0] @ root[..., None]).squeeze(-1)
            flipped = rotations[:, :1] @ self._flip
            rotations = torch.cat((flipped, rotations[:, 1:]), dim=1)
        orientations, positions = forward_kinematics(rotations, rest_joints, root)
        if scale is not None:
            size = scale.abs().reshape(-1, 1, 1)
            orientations, positions = orientations * size[..., None], positions * size
        if transl is not None:
            positions = positions + transl.reshape(-1, 1, 3)
        return orientations, positions


def _blend_matrices(data: HandModelData) -> dict[str, np.ndarray]:
    """Lay the model out for two matrix products, coordinates outermost and vertices innermost.

    The pose directions act on R - I; the part of the -I goes into the template once.
    """
    shape = data.shapedirs.astype(np.float64)
    pose = data.posedirs.astype(np.float64)
    template = data.v_template.astype(np.float64)
    identity = np.tile(np.eye(3).ravel(), 15)
    directions = np.concatenate((shape, pose), axis=2)
    return {
        "_template": (template - pose @ identity).T.reshape(1, -1),
        "_directions": directions.transpose(2, 1, 0).reshape(145, -1),
        "_rest_joints": (data.J_regressor @ template).reshape(1, -1),
        "_joint_directions": np.einsum("jv,vcb->bjc", data.J_regressor, shape).reshape(10, -1),
        "_weights": data.weights.T,
    }
