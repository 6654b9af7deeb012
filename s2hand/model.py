"""S2Hand: from an image and its camera to a hand in camera space."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.config import S2HandConfig
from s2hand.geometry.cameras import project
from s2hand.hand.layer import HandLayer
from s2hand.hand.loader import load_hand_model
from s2hand.networks.encoder import build_encoder
from s2hand.networks.geometry_head import GeometryHead

UPRIGHT_ORIENT = (1.2092, 1.2092, 1.2092)
"""Fingers up, palm to the camera: a third of a turn about (1, 1, 1), from MANO's rest frame."""

REFERENCE_FOCAL = 2.14
"""Focal length over image side for which the head's depth is the hand's depth (FreiHAND's)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HandPrediction:
    """The hands of a batch; metres, radians, OpenCV camera frame, OpenPose joint order."""

    betas: Float[Tensor, "batch 10"]
    hand_pose_pca: Float[Tensor, "batch 30"]
    hand_pose: Float[Tensor, "batch 15 3"]
    """Axis-angle of each articulated joint, the mean pose included."""
    global_orient: Float[Tensor, "batch 3"]
    transl: Float[Tensor, "batch 3"]
    scale: Float[Tensor, "batch 1"]
    joints: Float[Tensor, "batch 21 3"]
    vertices: Float[Tensor, "batch 778 3"]
    projected_keypoints_px: Float[Tensor, "batch 21 2"]


class S2Hand(nn.Module):
    """The model of the paper's §3.2, geometry only.

    Args:
        config: what to build.
        use_pretrained: False leaves ImageNet weights out, for a model that is about to be loaded.

    References:
        Paper §3.2.1 and §3.2.2; ``docs/method.md`` lists where the released code differs.
    """

    def __init__(self, config: S2HandConfig, *, use_pretrained: bool = True) -> None:
        super().__init__()
        self.config = config.model
        self.precision = config.optimiser.precision
        is_flipped = config.model.rotation_centre == "origin_flipped"
        self.encoder = build_encoder(config.model, use_pretrained=use_pretrained)
        self.head = GeometryHead(
            self.encoder.num_features,
            initial_orient=(0.0, 0.0, 0.0) if is_flipped else UPRIGHT_ORIENT,
            rotation_output=config.model.rotation_output,
        )
        hand = load_hand_model(config.model.hand_model or None)
        self.hand_fingerprint = hand.fingerprint
        self.hand_layer = HandLayer(
            hand,
            num_pose_components=30,
            use_mean_pose=True,
            rotation_centre=config.model.rotation_centre,
        )

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        intrinsics_px: Float[Tensor, "batch 3 3"],
    ) -> HandPrediction:
        """Reconstruct one hand per image.

        Args:
            images: RGB, 0 to 1, ``model.image_size_px`` square.
            intrinsics_px: camera matrix of the image as it is given, after crop and resize.
        """
        features = self._encode(images)
        parameters = self.head(features)
        betas = parameters.betas
        if self.config.use_mean_shape:
            betas = torch.zeros_like(betas)
        transl = parameters.transl
        if self.config.translation_frame == "crop":
            transl = crop_to_camera(transl, intrinsics_px, self.config.image_size_px)
        hand = self.hand_layer(
            betas=betas,
            hand_pose_pca=parameters.hand_pose_pca,
            global_orient=parameters.global_orient,
            transl=transl,
            scale=parameters.scale,
        )
        return HandPrediction(
            betas=betas,
            hand_pose_pca=parameters.hand_pose_pca,
            hand_pose=hand.hand_pose,
            global_orient=parameters.global_orient,
            transl=transl,
            scale=parameters.scale,
            joints=hand.joints,
            vertices=hand.vertices,
            projected_keypoints_px=project(hand.joints, intrinsics_px),
        )

    def _encode(self, images: Tensor) -> Float[Tensor, "batch features"]:
        """Run the convolutions in the configured precision; geometry stays in float32."""
        with torch.autocast(
            images.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        ):
            features: Tensor = self.encoder(images)
        return features.float()


def crop_to_camera(
    transl: Float[Tensor, "batch 3"],
    intrinsics_px: Float[Tensor, "batch 3 3"],
    image_size_px: int,
) -> Float[Tensor, "batch 3"]:
    """Move a translation from the crop's own frame into the camera's.

    A crop shows neither where it was cut nor how much it was enlarged, so that the image alone
    cannot tell the position in the camera's frame. In the crop's frame the optical axis passes
    through the crop's centre and the focal length is ``REFERENCE_FOCAL`` image sides: what the
    crop shows then depends on the network's output alone.

    Convention:
        For an image of that focal length with the principal point at its centre, as FreiHAND's,
        both frames are the same.
    """
    centre_px = (image_size_px - 1) / 2
    focal_px = intrinsics_px[:, (0, 1), (0, 1)]
    principal_px = intrinsics_px[:, :2, 2]
    depth = transl[:, 2:] * focal_px.mean(dim=1, keepdim=True) / (image_size_px * REFERENCE_FOCAL)
    sideways = transl[:, :2] + depth * (centre_px - principal_px) / focal_px
    return torch.cat([sideways, depth], dim=1)
