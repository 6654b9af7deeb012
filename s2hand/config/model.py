"""Settings of the network and the hand layer."""

from dataclasses import dataclass
from typing import Literal

from s2hand.config.checks import require
from s2hand.parts import WEIGHTS

EncoderName = Literal["efficientnet-b0", "efficientnet-b3", "efficientnet-lite0", "convnet"]
HandFrame = Literal["turned_camera", "dataset_camera"]
Projection = Literal["perspective", "orthographic"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The network and the hand layer."""

    encoder: EncoderName = "efficientnet-b0"
    """Image encoder; ``efficientnet-lite0`` is b0 made cheaper, ``convnet`` a plain convolutional
    network for CPUs and small images."""
    pretrained: Literal["imagenet", "hands", "s2hand", "none"] = "imagenet"
    """Initial weights. ``imagenet``: the published ones of an EfficientNet. ``hands`` and
    ``s2hand``: the project's own for ``convnet``, of the encoder and the geometry head's trunk, or
    of a whole model. Other parts begin at random, all of them with ``none``. Weights that are not
    to be had, or do not fit the configuration, are an error, never left out."""
    weights_dir: str = ""
    """Folder of the project's own weights; empty: those that come with it. Operational: their
    content enters the identity."""
    image_size_px: int = 224
    """Side of the square input."""
    use_mean_shape: bool = False
    """Replace ``betas`` by zeros, as the released code does by default."""
    rotation_output: Literal["axis_angle", "quaternion"] = "axis_angle"
    """What the head regresses for the global rotation: the paper's R, or a quaternion, which has
    no seam at half a turn and learns faster."""
    rotation_centre: Literal["wrist", "origin_flipped"] = "wrist"
    """``wrist``: smplx's global rotation. ``origin_flipped``: about the model's origin after
    Rx(pi), as the released code."""
    frame: HandFrame = "turned_camera"
    """In which camera the network sees and measures the hand; predictions are in the dataset's in
    either case. ``turned_camera``: a sequence's crop is the picture of a camera turned to the
    crop's centre, and depths are those of one reference focal length, so that an image shows all
    that the network has to tell. ``dataset_camera``: crops are parts of the dataset camera's
    picture and positions are measured in it, as in the released code; for crops the image alone
    cannot tell them."""
    projection: Projection = "perspective"
    """How the hand gets into the image, in losses, renderings and metrics. ``perspective``: by the
    image's camera, which must be known. ``orthographic``: by scaling alone, as in a picture from
    far away, by what the head's depth means in the reference camera (weak perspective, the models
    marked * in the paper's Table 8); no camera is read, and where the hand is remains unknown."""
    albedo: Literal["vertex", "face"] = "vertex"
    """What the texture head colours: the 778 vertices (paper) or the 1538 faces (released)."""
    keypoint_stacks: int = 2
    """Hourglasses of the 2D keypoint estimator, one after the other."""
    keypoint_channels: int = 256
    """Features of the 2D keypoint estimator."""
    hand_model: str = ""
    """Path of a MANO_RIGHT.pkl, or ``embedded``; empty means the file that ``S2HAND_MANO`` names,
    or else the embedded hand. Operational: its content enters the identity."""

    def __post_init__(self) -> None:
        require(
            self.image_size_px >= 32,
            "model.image_size_px must be at least 32",
            image_size_px=self.image_size_px,
        )
        is_our_encoder = self.encoder == "convnet"
        require(
            not is_our_encoder or self.pretrained != "imagenet",
            "model.pretrained must be one of "
            f"{', '.join(map(repr, WEIGHTS))} or 'none' for the encoder 'convnet': ImageNet's "
            "weights are an EfficientNet's",
            pretrained=self.pretrained,
        )
        require(
            is_our_encoder or self.pretrained not in WEIGHTS,
            f"model.pretrained must be 'imagenet' or 'none' for the encoder '{self.encoder}': the "
            "project's own weights are of the encoder 'convnet'",
            pretrained=self.pretrained,
        )
        require(
            self.projection == "perspective" or self.frame == "turned_camera",
            "model.projection='orthographic' needs model.frame='turned_camera': without a camera "
            "a hand has no position in the dataset's",
            frame=self.frame,
        )
        require(
            self.keypoint_stacks >= 1,
            "model.keypoint_stacks must be at least 1",
            keypoint_stacks=self.keypoint_stacks,
        )
        require(
            self.keypoint_channels >= 8 and self.keypoint_channels % 8 == 0,
            "model.keypoint_channels must be a positive multiple of 8",
            keypoint_channels=self.keypoint_channels,
        )
