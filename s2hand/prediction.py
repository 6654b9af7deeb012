"""What the model makes of a batch of images."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from s2hand.rendering import Lighting, Rendering


@dataclass(frozen=True, kw_only=True, slots=True)
class HandPrediction:
    """The hands of a batch; metres, radians, the dataset camera's frame, OpenPose joint order."""

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
    """Pixels of the network's input."""
    camera_px: Float[Tensor, "batch 3 3"]
    """Matrix of the camera in which the hand is projected and drawn, pixels of the input: the
    input's own, or of a model without one the matrix of its scaled orthographic camera."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Appearance:
    """Texture and light of the hands of a batch."""

    texture: Float[Tensor, "batch points 3"]
    """C per vertex (778) or face (1538), before the tanh; what the losses regularise."""
    lighting: Lighting

    @property
    def albedo(self) -> Float[Tensor, "batch points 3"]:
        """The colours that are lit: tanh(C), as the released code."""
        return self.texture.tanh()


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a forward pass was asked for; None is what it was not."""

    hand: HandPrediction | None = None
    appearance: Appearance | None = None
    rendering: Rendering | None = None
    """The hand on black."""
    heatmap_keypoints_px: Float[Tensor, "stacks batch 21 2"] | None = None
    """Keypoints of the 2D branch, after every hourglass."""
