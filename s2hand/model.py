"""S2Hand: from an image and its camera to a textured hand in camera space, and its picture."""

from collections.abc import Collection
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.config import S2HandConfig
from s2hand.geometry.cameras import project
from s2hand.hand.layer import HandLayer
from s2hand.hand.loader import load_hand_model
from s2hand.hand.model_data import HandModelData
from s2hand.networks.encoder import ConvNetEncoder, EfficientNetEncoder, build_encoder
from s2hand.networks.geometry_head import GeometryHead
from s2hand.networks.keypoint_estimator import KeypointEstimator
from s2hand.networks.texture_light_head import TextureLightHead
from s2hand.parts import HAND_ALONE, PARTS, Output
from s2hand.prediction import Appearance, HandPrediction, Prediction
from s2hand.rendering import Lighting, MeshTopology, Rendering, render
from s2hand.schedule import parts_of_model
from s2hand.starting_weights import find_starting_weights

UPRIGHT_ORIENT = (1.2092, 1.2092, 1.2092)
"""Fingers up, palm to the camera: a third of a turn about (1, 1, 1), from MANO's rest frame."""

REFERENCE_FOCAL = 2.14
"""Focal length over image side of the reference camera, in which the head's depth is the hand's.

A choice of ours: 480 px at 224. FreiHAND's cameras differ; a sample of it has 388.9 px, so that its
depth is the head's times 0.81."""


class S2Hand(nn.Module):
    """The model of the paper's §3.2.

    Encoder and geometry head are always there, the other parts where a loss needs them.

    Args:
        config: what to build.
        hand: the hand model; None loads the one that the configuration names.
        use_pretrained: False leaves starting weights out, for a model that is about to be loaded.

    Raises:
        ConfigurationError: if starting weights cannot be had, or are of another model.
        CheckpointError: if their file is damaged.

    References:
        Paper §3.2.1 to §3.2.3; ``docs/method.md`` lists where the released code differs.
    """

    encoder: EfficientNetEncoder | ConvNetEncoder
    head: GeometryHead
    texture_light_head: TextureLightHead
    keypoint_estimator: KeypointEstimator

    def __init__(
        self,
        config: S2HandConfig,
        *,
        hand: HandModelData | None = None,
        use_pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.config = config.model
        self.precision = config.optimiser.precision
        self.memory_format = memory_format(config.optimiser.memory_format)
        hand = hand or load_hand_model(config.model.hand_model or None)
        self.hand_fingerprint = hand.fingerprint
        self.hand_layer = HandLayer(
            hand,
            num_pose_components=30,
            use_mean_pose=True,
            rotation_centre=config.model.rotation_centre,
        )
        self.topology = MeshTopology.from_faces(self.hand_layer.faces, len(hand.v_template))
        for name in parts_of_model(config):
            # Each part has its own random numbers: its initial weights are the same whichever
            # other parts there are, so that trainings with and without them can share a stage.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((torch.initial_seed() + list(PARTS).index(name)) % 2**63)
                self.add_module(name, self._build_part(name, use_pretrained=use_pretrained))
        self.initial_weights: dict[str, dict[str, str]] = {"encoder": self.encoder.initial_weights}
        """Where the weights that a part began with came from; those of other parts are random."""
        started = find_starting_weights(config, hand.fingerprint) if use_pretrained else None
        if started is not None:
            started.load_into(self)
            self.initial_weights = {
                part: started.origin for part in self.parts if part in started.parts
            }

    def _build_part(self, name: str, *, use_pretrained: bool) -> nn.Module:
        config = self.config
        if name == "encoder":
            return build_encoder(config, use_pretrained=use_pretrained)
        if name == "head":
            is_flipped = config.rotation_centre == "origin_flipped"
            return GeometryHead(
                self.encoder.num_features,
                initial_orient=(0.0, 0.0, 0.0) if is_flipped else UPRIGHT_ORIENT,
                rotation_output=config.rotation_output,
            )
        if name == "texture_light_head":
            return TextureLightHead(
                self.encoder.num_low_level_channels,
                num_points=len(self.hand_layer.faces)
                if config.albedo == "face"
                else self.topology.num_vertices,
            )
        return KeypointEstimator(
            config.image_size_px,
            num_stacks=config.keypoint_stacks,
            num_channels=config.keypoint_channels,
        )

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Return the trained parts that this model has, by name."""
        return {name: getattr(self, name) for name in PARTS if hasattr(self, name)}

    @property
    def outputs(self) -> frozenset[Output]:
        """Return everything that this model's parts can compute."""
        found = {PARTS[name] for name in self.parts}
        return frozenset({*found, "rendering"} if "appearance" in found else found)

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        intrinsics_px: Float[Tensor, "batch 3 3"] | None,
        camera_rotation: Float[Tensor, "batch 3 3"],
        *,
        outputs: Collection[Output] = HAND_ALONE,
    ) -> Prediction:
        """Reconstruct one hand per image; only what is asked for is computed.

        Args:
            images: RGB, 0 to 1, ``model.image_size_px`` square.
            intrinsics_px: camera matrix of the image as it is given, after crop and resize; an
                orthographic model reads none.
            camera_rotation: x_dataset = camera_rotation · x_input, from that camera's frame to the
                one that predictions are given in; see :class:`~s2hand.geometry.cameras.CameraView`.
            outputs: what to compute; at inference the hand alone.
        """
        images = images.contiguous(memory_format=self.memory_format)
        hand = appearance = rendering = heatmap_keypoints_px = None
        if "heatmaps" in outputs:
            with self._convolutions(images):
                heatmap_keypoints_px = self.keypoint_estimator(images)
        if set(outputs) & {"hand", "appearance", "rendering"}:
            with self._convolutions(images):
                features = self.encoder(images)
            hand = self._decode(features.pooled.float(), intrinsics_px, camera_rotation)
        if hand is not None and set(outputs) & {"appearance", "rendering"}:
            with self._convolutions(images):
                painted = self.texture_light_head(features.low_level)
            appearance = Appearance(
                texture=painted.texture.float(),
                lighting=Lighting.from_vector(painted.lighting_vector.float()),
            )
        if hand is not None and appearance is not None and "rendering" in outputs:
            rendering = self.render(hand.vertices, appearance, hand.camera_px, camera_rotation)
        return Prediction(
            hand=hand,
            appearance=appearance,
            rendering=rendering,
            heatmap_keypoints_px=heatmap_keypoints_px,
        )

    def render(
        self,
        vertices: Float[Tensor, "batch 778 3"],
        appearance: Appearance,
        camera_px: Float[Tensor, "batch 3 3"],
        camera_rotation: Float[Tensor, "batch 3 3"],
    ) -> Rendering:
        """Draw hands on black, as the model projects them, at the input's size.

        Convention:
            Vertices are in the dataset camera's frame, the light's direction is in the input
            camera's: the network sees the light there. ``camera_px`` is that of the hands'
            prediction.
        """
        return render(
            vertices @ camera_rotation,
            self._topology_on(vertices.device),
            appearance.albedo,
            appearance.lighting,
            camera_px,
            height=self.config.image_size_px,
            width=self.config.image_size_px,
            camera=self.config.projection,
            check_finite=vertices.device.type == "cpu",
        )

    def _topology_on(self, device: torch.device) -> MeshTopology:
        if self.topology.faces.device != device:
            # What is made in inference mode could not be used in training.
            with torch.inference_mode(mode=False):
                self.topology = self.topology.to(device)
        return self.topology

    def _decode(
        self,
        features: Float[Tensor, "batch features"],
        intrinsics_px: Float[Tensor, "batch 3 3"] | None,
        camera_rotation: Float[Tensor, "batch 3 3"],
    ) -> HandPrediction:
        """Turn features into a posed hand in the dataset camera's frame."""
        parameters = self.head(features)
        betas = parameters.betas
        if self.config.use_mean_shape:
            betas = torch.zeros_like(betas)
        transl, size_px = parameters.transl, self.config.image_size_px
        if self.config.projection == "orthographic":
            camera_px = orthographic_camera(transl[:, 2], size_px)
        else:
            assert intrinsics_px is not None
            camera_px = intrinsics_px
            if self.config.frame == "turned_camera":
                transl = reference_to_camera(transl, intrinsics_px, size_px)
        global_orient, transl = self.hand_layer.turned(
            camera_rotation,
            betas=betas,
            global_orient=parameters.global_orient,
            transl=transl,
            scale=parameters.scale,
        )
        hand = self.hand_layer(
            betas=betas,
            hand_pose_pca=parameters.hand_pose_pca,
            global_orient=global_orient,
            transl=transl,
            scale=parameters.scale,
        )
        return HandPrediction(
            betas=betas,
            hand_pose_pca=parameters.hand_pose_pca,
            hand_pose=hand.hand_pose,
            global_orient=global_orient,
            transl=transl,
            scale=parameters.scale,
            joints=hand.joints,
            vertices=hand.vertices,
            projected_keypoints_px=project(
                hand.joints @ camera_rotation, camera_px, self.config.projection
            ),
            camera_px=camera_px,
        )

    def _convolutions(self, images: Tensor) -> torch.autocast:
        """Run convolutions in the configured precision; geometry stays in float32."""
        return torch.autocast(
            images.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        )


def memory_format(name: str) -> torch.memory_format:
    """Return torch's memory format of the name that configurations use."""
    return torch.channels_last if name == "channels_last" else torch.contiguous_format


def reference_to_camera(
    transl: Float[Tensor, "batch 3"],
    intrinsics_px: Float[Tensor, "batch 3 3"],
    image_size_px: int,
) -> Float[Tensor, "batch 3"]:
    """Move a translation from the reference camera's frame into the input camera's.

    An image does not show how much it was enlarged, so that it alone cannot tell the depth. The
    reference camera has a focal length of ``REFERENCE_FOCAL`` image sides and its principal point
    at the image's centre; the translation lands on the same pixel in both cameras, and the hand
    appears at the same size: depth is multiplied by f / (``REFERENCE_FOCAL`` · side).

    Convention:
        Cameras of equal focal length with a central principal point, as all turned cameras of
        equal boxes have, show the same picture of the same network output.
    """
    centre_px = (image_size_px - 1) / 2
    focal_px = intrinsics_px.diagonal(dim1=1, dim2=2)[:, :2]
    principal_px = intrinsics_px[:, :2, 2]
    depth = transl[:, 2:] * focal_px.mean(dim=1, keepdim=True) / (image_size_px * REFERENCE_FOCAL)
    sideways = transl[:, :2] + depth * (centre_px - principal_px) / focal_px
    return torch.cat([sideways, depth], dim=1)


def placed_by_camera(
    hand: HandPrediction,
    intrinsics_px: Float[Tensor, "batch 3 3"],
    camera_rotation: Float[Tensor, "batch 3 3"],
    image_size_px: int,
) -> HandPrediction:
    """Move an orthographic model's hands to where a camera would see them.

    As :func:`reference_to_camera`: there the camera sees the hand's origin on the pixel where the
    model does, and what lies at its depth at the same size; the rest in perspective. Projected
    keypoints stay the model's own.

    Args:
        hand: of an orthographic model.
        intrinsics_px: camera of the input, known or assumed.
        camera_rotation: as in :meth:`S2Hand.forward`, where the hands come from.
        image_size_px: side of the input.
    """
    depth = image_size_px * REFERENCE_FOCAL / hand.camera_px[:, :1, 0]
    ahead = torch.cat([torch.zeros_like(depth), torch.zeros_like(depth), depth], dim=1)
    shift = reference_to_camera(ahead, intrinsics_px, image_size_px) - ahead
    shift = (camera_rotation @ shift[..., None]).mT
    return replace(
        hand,
        transl=hand.transl + shift[:, 0],
        joints=hand.joints + shift,
        vertices=hand.vertices + shift,
    )


def orthographic_camera(
    depth_m: Float[Tensor, "batch"], image_size_px: int
) -> Float[Tensor, "batch 3 3"]:
    """Return the scaled orthographic camera that shows hands as from a depth (weak perspective).

    A pixel is k · x + c in each direction, k = ``REFERENCE_FOCAL`` · side / depth pixels a metre
    and c the image's centre: what the reference camera's picture tends to as hands get flat, or as
    depth and focal length grow alike. So the head's numbers mean the same under both projections.

    Args:
        depth_m: the head's, metres; zero has no image.
        image_size_px: side of the square image.
    """
    scale = image_size_px * REFERENCE_FOCAL / depth_m
    zero, one = torch.zeros_like(scale), torch.ones_like(scale)
    centre_px = one * ((image_size_px - 1) / 2)
    entries = (scale, zero, centre_px, zero, scale, centre_px, zero, zero, one)
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))
