"""The optimiser, and its step: forward, losses over the global batch, backward, update."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.config import OptimiserConfig, StageConfig
from s2hand.data.sample import Batch
from s2hand.errors import ConfigurationError, NonFiniteLossError
from s2hand.losses.loss_sum import divide
from s2hand.losses.objective import Objective, weighted_total
from s2hand.model import S2Hand
from s2hand.training.workers import Workers

_FEATURES = ("encoder.", "head.trunk.")
"""Where the weights of the image's features are, in a model."""


def build_optimiser(
    parts: Mapping[str, nn.Module], stage: StageConfig, settings: OptimiserConfig
) -> torch.optim.Optimizer:
    """Build AdamW, which without decay is the paper's Adam; biases and normalisation never decay.

    Every group has its own share of the stage's rate, see :func:`set_learning_rate`.

    Args:
        parts: what the stage trains, under the names that the model has for it.
        stage: its rates.
        settings: everything else.

    References:
        Paper §4.3 (Adam); Loshchilov & Hutter, "Decoupled weight decay regularization", 2019.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, part in parts.items():
        for key, weight in part.named_parameters(prefix=name):
            place = (weight.ndim > 1, key.startswith(_FEATURES))
            groups.setdefault(place, []).append(weight)
    optimiser = torch.optim.AdamW(
        [
            {
                "params": weights,
                "weight_decay": settings.weight_decay if is_decayed else 0.0,
                "share_of_rate": stage.features_rate if is_feature else 1.0,
            }
            for (is_decayed, is_feature), weights in groups.items()
        ],
        betas=(settings.adam_beta1, settings.adam_beta2),
        fused=True,
    )
    set_learning_rate(optimiser, stage.learning_rate)
    return optimiser


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of an optimiser of :func:`build_optimiser` its share of a rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share_of_rate"]


@dataclass(kw_only=True, slots=True)
class TrainingStep:
    """Turns a batch into an update of the model.

    The counts that the losses are divided by are added up over workers and micro-batches before
    the first backward pass; every share of the batch then adds its exact part of the gradient.
    """

    model: S2Hand
    objective: Objective
    optimiser: torch.optim.Optimizer
    workers: Workers
    micro_batch_size: int
    """Frames per backward pass; 0 for all of this worker's frames."""
    name_samples: Callable[[Tensor], Sequence[str]]
    """Names the samples of ``Batch.sample_index``, for error messages."""
    _unchecked: tuple[Tensor, Batch] | None = field(default=None, init=False)

    def run(self, batch: Batch) -> Float[Tensor, "terms"]:
        """Do one step on this worker's share of a batch.

        Returns:
            Every term of the objective, unweighted, over the global batch.

        Raises:
            NonFiniteLossError: if a term of the step before was NaN or infinite; looking at it
                only now leaves the accelerator at work while the next batch is prepared.
        """
        self.require_finite()
        terms = self.accumulate(batch)
        self.optimiser.step()
        self._unchecked = (terms, batch)
        return terms

    def require_finite(self) -> None:
        """Stop if a term of the latest step is NaN or infinite; call it after the last step.

        All workers see the same sums, so all of them stop.

        Raises:
            NonFiniteLossError: naming the term and the samples of the global batch.
        """
        if self._unchecked is None:
            return
        (terms, batch), self._unchecked = self._unchecked, None
        for name, value in zip(self.objective.weights, terms.tolist(), strict=True):
            if not math.isfinite(value):
                samples = self.workers.gather(self.name_samples(batch.sample_index))
                raise NonFiniteLossError(name, value, samples)

    def accumulate(self, batch: Batch) -> Float[Tensor, "terms"]:
        """Compute the gradient of the global batch and leave it on the parameters."""
        names = tuple(self.objective.weights)
        counts = self.objective.counts(batch)
        self.workers.add_up([counts[name] for name in names])
        totals = torch.zeros(len(names), device=batch.images.device)
        # The whole model's: also what an earlier stage has left on parts that rest now.
        self.model.zero_grad(set_to_none=True)
        for part in split_batch(batch, self.micro_batch_size):
            prediction = self.model(
                part.images,
                part.intrinsics_px,
                part.camera_rotation,
                outputs=self.objective.outputs,
            )
            share = self.objective.totals(prediction, part)
            weighted_total(share, counts, self.objective.weights).backward()
            totals += torch.stack([share[name].detach() for name in names])
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        self.workers.add_up([totals, *gradients])
        return torch.stack(
            [divide(total, counts[name]) for name, total in zip(names, totals, strict=True)]
        )


def split_batch(batch: Batch, micro_batch_size: int) -> Iterator[Batch]:
    """Cut a batch into parts of at most ``micro_batch_size`` frames, whole clips each.

    Raises:
        ConfigurationError: if a clip does not fit into a part.
    """
    num_frames = batch.images.shape[0]
    size = micro_batch_size or num_frames
    if size % batch.clip_length:
        raise ConfigurationError(
            f"optimiser.micro_batch_size must be a multiple of clips.num_frames="
            f"{batch.clip_length}, got {size}"
        )
    for start in range(0, num_frames, size):
        stop = start + size
        yield replace(
            batch,
            images=batch.images[start:stop],
            intrinsics_px=batch.intrinsics_px[start:stop],
            camera_rotation=batch.camera_rotation[start:stop],
            detected_keypoints_px=batch.detected_keypoints_px[start:stop],
            detection_confidence=batch.detection_confidence[start:stop],
            sample_index=batch.sample_index[start:stop],
            joints=None if batch.joints is None else batch.joints[start:stop],
        )
