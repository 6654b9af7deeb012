"""The configuration: one tree of frozen dataclasses, and the presets of paper and released code.

Every place where the paper and the released code differ is one field here, named in
``docs/method.md``. Values are checked in ``__post_init__``; nothing changes them afterwards.
"""

from s2hand.config.data import EVALUATION_FIELDS, DataConfig
from s2hand.config.losses import LossConfig
from s2hand.config.model import EncoderName, HandFrame, ModelConfig, Projection
from s2hand.config.presets import PRESETS, PresetName
from s2hand.config.running import OptimiserConfig, RuntimeConfig
from s2hand.config.stages import PAPER_STAGES, ClipConfig, QuaternionPhase, StageConfig
from s2hand.config.whole import OPERATIONAL_FIELDS, S2HandConfig
from s2hand.loss_table import LossWeights

__all__ = [
    "EVALUATION_FIELDS",
    "OPERATIONAL_FIELDS",
    "PAPER_STAGES",
    "PRESETS",
    "ClipConfig",
    "DataConfig",
    "EncoderName",
    "HandFrame",
    "LossConfig",
    "LossWeights",
    "ModelConfig",
    "OptimiserConfig",
    "PresetName",
    "Projection",
    "QuaternionPhase",
    "RuntimeConfig",
    "S2HandConfig",
    "StageConfig",
]
