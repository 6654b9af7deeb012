"""How the project's own starting weights are trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from s2hand.config import PRESETS, DataConfig, S2HandConfig
from s2hand.parts import WeightsName
from s2hand.pretraining.features import FeaturePretraining

_CPU = PRESETS["cpu"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The training of some starting weights."""

    config: S2HandConfig
    """With all paths empty."""
    features: FeaturePretraining | None = None
    """Of features alone; None: the project's own training, by the stages of ``config``."""


_MODEL = replace(_CPU.model, image_size_px=64, rotation_output="quaternion")

_DATA = DataConfig(rotation_deg=30.0, picture_jitter=0.25, colour_jitter=0.2)

_PICTURE = _CPU.stages[0].without

_STAGE = replace(_CPU.stages[0], epochs=1, branch="both", without=(), decay="to_zero")

RECIPES: Mapping[WeightsName, Recipe] = MappingProxyType(
    {
        "hands": Recipe(
            config=replace(_CPU, model=_MODEL, data=_DATA),
            features=FeaturePretraining(steps=20_000),
        ),
        "s2hand": Recipe(
            config=replace(
                _CPU,
                model=replace(_MODEL, pretrained="hands"),
                losses=replace(
                    _CPU.losses,
                    weights=replace(_CPU.losses.weights, posture_prior=0.02),
                    photometric="two_layers",
                ),
                data=replace(_DATA, max_frames=50_000),
                stages=(
                    replace(
                        _STAGE,
                        name="image",
                        epochs=10,
                        learning_rate=2e-3,
                        features_rate=0.05,
                        branch="3d",
                        without=_PICTURE,
                    ),
                    replace(_STAGE, name="keypoints", epochs=4, learning_rate=3e-3, branch="2d"),
                    replace(_STAGE, name="finetune", learning_rate=3e-4, features_rate=0.1),
                ),
            ),
        ),
    }
)
"""``hands``: encoder and trunk, for rows that ablate losses. ``s2hand``: a whole model, begun with
``hands`` and trained by the paper's self-supervised objective, for rows that train their last
stage alone."""
