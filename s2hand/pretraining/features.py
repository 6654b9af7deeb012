"""Trains an encoder and the geometry head's trunk to find the detected keypoints in pictures.

What such features are for is what ImageNet's are for in the paper. Truth is never looked at: the
targets are the detections that every training has.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.config import S2HandConfig
from s2hand.data.build import load_train, load_validation
from s2hand.data.clips import FrameSampler
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import Batch
from s2hand.files import whole_file
from s2hand.metrics.keypoints_2d import keypoint_errors_px
from s2hand.model import S2Hand, memory_format
from s2hand.networks.geometry_head import TRUNK_FEATURES
from s2hand.training.determinism import derive_seed, seed_epoch, use_deterministic_algorithms
from s2hand.training.step import build_optimiser, move_batch

KEYPOINT_ERROR = "validation/keypoint_px"
"""Metric: mean distance to the true joints' projections, in 224-equivalent pixels."""

_CHECKPOINT = "latest.pt"


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureSettings:
    """How long and at which rate features are trained."""

    epochs: int
    learning_rate: float
    """Of the first step; it falls along half a cosine to zero at the last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedWeights:
    """What came out of a training."""

    state: Mapping[str, Tensor]
    """Weights under the names of the model's ``state_dict``."""
    steps: int
    pictures: int
    seconds: float
    """Time that the epochs took, in all attempts."""
    scores: Mapping[str, float]
    """Validation metrics at the end."""


class _Network(nn.Module):
    """Encoder, trunk, and a linear layer that reads keypoints off them."""

    def __init__(self, config: S2HandConfig) -> None:
        super().__init__()
        model = S2Hand(config, use_pretrained=False)
        self.size_px = config.model.image_size_px
        self.encoder, self.trunk = model.encoder, model.head.trunk
        self.read = nn.Linear(TRUNK_FEATURES, 2 * 21)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 21 2"]:
        """Find keypoints in pixels."""
        places = self.read(self.trunk(self.encoder(images).pooled)).unflatten(1, (21, 2))
        return (0.5 + places) * self.size_px

    def named_state(self) -> dict[str, Tensor]:
        """Return the weights that are kept, as a whole model names them."""
        parts = {"encoder": self.encoder, "head.trunk": self.trunk}
        return {
            f"{name}.{key}": value.detach().clone()
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }


def train_features(
    config: S2HandConfig,
    settings: FeatureSettings,
    *,
    seed: int,
    folder: Path,
    device: str,
    report: Callable[[int, Mapping[str, float]], None],
) -> TrainedWeights:
    """Train features, going on from what lies in ``folder``.

    Args:
        config: Model, data and augmentation, batches and decay of weights.
        settings: How long, and at which rate.
        seed: Of weights, order and augmentation.
        folder: Where checkpoints are kept.
        device: A torch device string.
        report: Told after every epoch (from 0) of the loss and :data:`KEYPOINT_ERROR`.

    Raises:
        DataError: If the sets cannot be read.
    """
    use_deterministic_algorithms()
    torch.manual_seed(derive_seed(seed, "features"))
    network = _Network(config)
    network.to(device, memory_format=memory_format(config.optimiser.memory_format))  # type: ignore[call-overload]
    optimiser = build_optimiser([network], settings.learning_rate, config.optimiser)
    dataset = FrameDataset.from_config(load_train(config), config)
    held_out = load_validation(config)
    assert held_out is not None
    validation = FrameDataset.from_config(held_out, config)
    sampler = FrameSampler(len(dataset), config.optimiser.batch_size, derive_seed(seed, "samples"))
    per_epoch = sampler.batches_per_epoch
    total = settings.epochs * per_epoch
    first, seconds = _resume(folder / _CHECKPOINT, network, optimiser, device)
    for epoch in range(first, settings.epochs):
        started = time.perf_counter()
        generator = seed_epoch(seed, "features", epoch, 0)
        network.train()
        losses = torch.zeros((), device=device)
        for step, rows in enumerate(sampler.epoch(epoch), start=epoch * per_epoch):
            rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / total))
            for group in optimiser.param_groups:
                group["lr"] = rate
            batch = move_batch(dataset.batch(rows, generator=generator), device)
            images = batch.images.contiguous(
                memory_format=memory_format(config.optimiser.memory_format)
            )
            loss = _loss(network(images), batch, network.size_px)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses += loss.detach()
        seconds += time.perf_counter() - started
        _save(folder / _CHECKPOINT, epoch + 1, seconds, network, optimiser)
        scores = {KEYPOINT_ERROR: _error_px(network, validation, device)}
        report(epoch, {"loss/keypoints": float(losses) / per_epoch, **scores})
    return TrainedWeights(
        state=network.named_state(),
        steps=total,
        pictures=total * config.optimiser.batch_size,
        seconds=seconds,
        scores={KEYPOINT_ERROR: _error_px(network, validation, device)},
    )


def _loss(
    keypoints_px: Float[Tensor, "batch 21 2"], batch: Batch, size_px: int
) -> Float[Tensor, ""]:
    """Mean distance to the detections, weighted with their confidences, in sides of the image."""
    distances = torch.linalg.vector_norm(keypoints_px - batch.detected_keypoints_px, dim=2)
    return (distances * batch.detection_confidence).mean() / size_px


@torch.no_grad()
def _error_px(network: _Network, dataset: FrameDataset, device: str) -> float:
    network.eval()
    table, errors = dataset.table, []
    for rows in np.array_split(np.arange(len(dataset)), -(-len(dataset) // 256)):
        batch = dataset.batch(rows)
        found = network(batch.images.to(device)).cpu().numpy()
        assert table.joints is not None
        joints = table.joints[rows] @ batch.camera_rotation.numpy()
        errors.append(
            keypoint_errors_px(found, joints, batch.intrinsics_px.numpy(), network.size_px)
        )
    return float(np.concatenate(errors).mean())


def _resume(
    path: Path, network: _Network, optimiser: torch.optim.Optimizer, device: str
) -> tuple[int, float]:
    if not path.is_file():
        return 0, 0.0
    content = torch.load(path, map_location=device, weights_only=True)
    network.load_state_dict(content["network"])
    optimiser.load_state_dict(content["optimiser"])
    return content["epochs_done"], content["seconds"]


def _save(
    path: Path,
    epochs_done: int,
    seconds: float,
    network: _Network,
    optimiser: torch.optim.Optimizer,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "epochs_done": epochs_done,
        "seconds": seconds,
    }
    with whole_file(path) as file:
        torch.save(content, file)
