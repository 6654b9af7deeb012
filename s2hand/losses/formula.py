"""How a term is evaluated: its sum over a batch, and what that sum is divided by."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from s2hand.data.sample import Batch
from s2hand.losses.loss_sum import count_like
from s2hand.prediction import Appearance, HandPrediction, Prediction
from s2hand.rendering import Rendering

Settings = SimpleNamespace
"""The fields of ``LossConfig`` that the table names for a term, and no others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RestHand:
    """The hand without shape and pose, on the device where losses are computed."""

    joints: Float[Tensor, "21 3"]
    vertices: Float[Tensor, "778 3"]
    faces: Int[Tensor, "1538 3"]


@dataclass(frozen=True, slots=True)
class Given:
    """A batch, and what the model made of it: of the outputs that a term needs, all are there."""

    batch: Batch
    prediction: Prediction

    @property
    def hand(self) -> HandPrediction:
        """The hands."""
        assert self.prediction.hand is not None
        return self.prediction.hand

    @property
    def appearance(self) -> Appearance:
        """Their texture and light."""
        assert self.prediction.appearance is not None
        return self.prediction.appearance

    @property
    def rendering(self) -> Rendering:
        """Their picture."""
        assert self.prediction.rendering is not None
        return self.prediction.rendering

    @property
    def true_joints(self) -> Float[Tensor, "batch 21 3"]:
        """The true joints of supervised baselines."""
        assert self.batch.joints is not None
        return self.batch.joints

    @property
    def heatmap_keypoints_px(self) -> Float[Tensor, "stacks batch 21 2"]:
        """Keypoints of the 2D branch."""
        assert self.prediction.heatmap_keypoints_px is not None
        return self.prediction.heatmap_keypoints_px

    def clips(self, values: Float[Tensor, "batch *rest"]) -> Float[Tensor, "clips frames *rest"]:
        """Split the batch into clips and their frames."""
        return values.unflatten(0, (-1, self.batch.clip_length))


def _settings_alone(settings: Settings, _: RestHand) -> Settings:
    return settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Formula:
    """A term of :mod:`s2hand.loss_table`."""

    total: Callable[[Given, Any], Float[Tensor, ""]]
    """Sum over the batch; carries the gradient."""
    count: Callable[[Batch, Any], Float[Tensor, ""]]
    """What the sum is divided by, added up over all shares of a global batch; it depends on no
    prediction, so that it is known before the first forward pass."""
    prepare: Callable[[Settings, RestHand], Any] = _settings_alone
    """Makes, once, what the two get as their second argument: the settings, or what a term
    computes of them and of the hand at rest."""


def per_frame(batch: Batch, number: int) -> Float[Tensor, ""]:
    """Count so many values in each frame."""
    confidence = batch.detection_confidence
    return count_like(confidence, number * len(confidence))


def per_clip(batch: Batch, number: int) -> Float[Tensor, ""]:
    """Count so many values in each clip."""
    confidence = batch.detection_confidence
    return count_like(confidence, number * (len(confidence) // batch.clip_length))
