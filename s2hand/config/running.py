"""Settings of the optimiser, and of how a training runs."""

import math
from dataclasses import dataclass
from typing import Literal

from s2hand.config.checks import require


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserConfig:
    """Adam or AdamW, and how the global batch is split."""

    batch_size: int = 64
    """Frames in a global batch of stages that sample frames."""
    micro_batch_size: int = 0
    """Frames per backward pass and worker (0: the worker's whole share)."""
    world_size: int = 1
    """Training workers; the global batch is divided among them."""
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    weight_decay: float = 0.0
    """AdamW's decoupled decay of matrices and kernels; 0 is Adam, as the paper's."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the convolutional parts; geometry is always float32."""
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    """Layout of images and convolutions."""
    compile: bool = False
    """Compile the convolutional parts with ``torch.compile``; takes minutes at the start, and
    gives other roundings."""

    def __post_init__(self) -> None:
        require(
            self.world_size >= 1,
            "optimiser.world_size must be at least 1",
            world_size=self.world_size,
        )
        require(
            self.batch_size >= 1 and self.batch_size % self.world_size == 0,
            "optimiser.batch_size must be a multiple of optimiser.world_size",
            batch_size=self.batch_size,
            world_size=self.world_size,
        )
        require(
            self.micro_batch_size >= 0,
            "optimiser.micro_batch_size must not be negative",
            micro_batch_size=self.micro_batch_size,
        )
        for name in ("adam_beta1", "adam_beta2"):
            beta = getattr(self, name)
            require(0 <= beta < 1, f"optimiser.{name} must lie in [0, 1)", **{name: beta})
        require(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "optimiser.weight_decay must be finite and not negative",
            weight_decay=self.weight_decay,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeConfig:
    """Operational settings: they change how fast a training runs, never what comes out."""

    cache_dir: str = ""
    """Where packed crops are kept (empty: in memory only)."""
    evaluation_batch_size: int = 256
    keep_predictions: bool = True
    """Keep the parameters of the hands that are predicted for evaluated frames, about half a
    kilobyte each; metrics of hands can be computed from them again."""
    report_every_epochs: int = 1
    """Epochs between reports and checkpoints; the last epoch of a stage always reports."""
    picture_every_epochs: int = 10
    """Epochs between pictures of reconstructions, in stages that train the texture (0: none); a
    picture comes with a report, and with the last one of a stage."""
