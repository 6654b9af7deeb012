"""Pretraining of an encoder and the geometry head's trunk on detected keypoints."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.data.clips import FrameSampler
from s2hand.data.dataset import FrameDataset
from s2hand.data.mixture import FrameMixture
from s2hand.data.sample import Batch
from s2hand.errors import CheckpointError, ConfigurationError, NonFiniteLossError
from s2hand.files import whole_file
from s2hand.geometry.cameras import REFERENCE_IMAGE_SIZE_PX, project
from s2hand.networks.encoder import ConvNetEncoder, EfficientNetEncoder
from s2hand.pretraining.coordinate_classes import (
    NUM_BINS,
    coordinate_class_loss,
    expected_keypoints_px,
)
from s2hand.pretraining.muon import Muon
from s2hand.training.checkpoint import holds, read_torch_file, require_same
from s2hand.training.determinism import derive_seed
from s2hand.training.feeding import made_ahead

FORMAT = "s2hand-pretraining-1"

_KINDS = {"format": str, "identity": dict, "steps_done": int, "model": dict, "optimisers": list}

Report = Callable[[int, Mapping[str, float]], None]
"""Takes the number of steps done and what was measured since the last report; it may raise to end
the training there, which goes on from the state that was just written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FeaturePretraining:
    """The recipe of features (``docs/decisions/0024-features-are-pretrained-as-classes.md``)."""

    steps: int
    batch_size: int = 64
    learning_rate: float = 2e-3
    """AdamW's highest, for linear layers, normalisation and the first convolution."""
    kernel_learning_rate: float = 0.02
    """Muon's highest, for all other convolutions."""
    weight_decay: float = 0.02
    warm_up: float = 0.05
    """Share of the steps in which the rates rise; then they fall in a line to zero."""
    report_every_steps: int = 1000
    """Steps between reports; each writes the state first."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "report_every_steps"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.warm_up < 1:
            raise ConfigurationError(f"warm_up must lie in 0 up to 1, got {self.warm_up}")

    def rate(self, step: int) -> float:
        """Return the rates in ``step`` (from 0), as a share of the highest."""
        done = (step + 0.5) / self.steps
        return min(done / self.warm_up if self.warm_up else 1.0, (1 - done) / (1 - self.warm_up))


class KeypointClassifier(nn.Module):
    """Encoder, trunk, and one linear layer that scores the bins of 42 coordinates.

    What remains of it are the encoder and the trunk.

    Args:
        encoder: the image encoder.
        trunk: from its pooled features to the geometry head's shared ones.
        num_features: length of what the trunk returns.
    """

    def __init__(
        self,
        encoder: ConvNetEncoder | EfficientNetEncoder,
        trunk: nn.Module,
        *,
        num_features: int = 512,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.trunk = trunk
        self.scores = nn.Linear(num_features, 21 * 2 * NUM_BINS)

    def forward(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> Float[Tensor, "batch 21 2 bins"]:
        """Score the bins of every coordinate."""
        return self.scores(self.trunk(self.encoder(images).pooled)).view(-1, 21, 2, NUM_BINS)


def pretrain_features(
    classifier: KeypointClassifier,
    dataset: FrameDataset,
    settings: FeaturePretraining,
    *,
    seed: int,
    state_path: Path,
    device: str = "cpu",
    report: Report | None = None,
) -> None:
    """Train a classifier on the detections of augmented pictures, never on truth.

    A state that lies at ``state_path`` is gone on from; the same arguments give the same weights
    bit for bit on one machine with one number of threads, interrupted or not.

    Args:
        classifier: what to train, in place; it is left in evaluation mode.
        dataset: the pictures, with the augmentation that they were built with.
        settings: the recipe.
        seed: determines the order of pictures and the augmentation.
        state_path: file of the state; its folder must exist.
        device: a torch device string.
        report: is told ``loss``, the mean since the last report, and ``learning_rate``.

    Raises:
        CheckpointError: If the state is unreadable or belongs to other settings.
        DataError: If the dataset holds less than a batch.
        NonFiniteLossError: If the loss becomes NaN or infinite.
    """
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimisers = _build_optimisers(classifier, settings)
    identity = {"settings": asdict(settings), "seed": seed, "num_frames": len(dataset)}
    batches = _Batches(FrameMixture([dataset]).to(device), settings.batch_size, seed)
    done = _load(state_path, identity, classifier, optimisers, device)
    classifier.train()
    losses: list[Tensor] = []
    steps = range(done, settings.steps)
    for step, batch in zip(steps, made_ahead(batches.of_step, steps, device), strict=True):
        share = settings.rate(step)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = share * group["highest_lr"]
        loss = _loss(classifier, batch)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        losses.append(loss.detach())
        steps_done = step + 1
        if steps_done % settings.report_every_steps == 0 or steps_done == settings.steps:
            mean = float(torch.stack(losses).mean())
            losses.clear()
            if not math.isfinite(mean):
                ids = [dataset.table.sample_ids[row] for row in batch.sample_index.tolist()]
                raise NonFiniteLossError("coordinate_classes", mean, ids)
            _save(state_path, identity, steps_done, classifier, optimisers)
            if report is not None:
                rate = share * settings.learning_rate
                report(steps_done, {"loss": mean, "learning_rate": rate})
    classifier.eval()


@torch.no_grad()
def keypoint_error_px(
    classifier: KeypointClassifier, dataset: FrameDataset, *, device: str = "cpu"
) -> float:
    """Return the mean distance of predicted to true keypoints, in 224-equivalent pixels.

    Args:
        classifier: in evaluation mode.
        dataset: pictures whose table holds the true joints; not augmented.
        device: where the classifier is.
    """
    truth = dataset.table.joints
    if truth is None:
        raise ConfigurationError("keypoint_error_px needs a dataset with true joints, got none")
    total, size_px = 0.0, dataset.image_size_px
    for rows in np.array_split(np.arange(len(dataset)), -(-len(dataset) // 256)):
        batch = dataset.batch(rows)
        true_px = project(
            torch.from_numpy(truth[rows]) @ batch.camera_rotation, batch.intrinsics_px
        )
        images = batch.images.to(device, memory_format=torch.channels_last)
        found_px = expected_keypoints_px(classifier(images).cpu(), size_px)
        total += float((found_px - true_px).norm(dim=-1).mean(dim=1).sum())
    return total / len(dataset) * REFERENCE_IMAGE_SIZE_PX / size_px


class _Batches:
    """The batch of every step, a function of the seed and the step alone."""

    def __init__(self, dataset: FrameMixture, batch_size: int, seed: int) -> None:
        self._dataset, self._seed = dataset, seed
        self._sampler = FrameSampler(len(dataset), batch_size, derive_seed(seed, "samples"))
        self._epoch, self._rows = -1, self._sampler.epoch(0)

    def of_step(self, step: int) -> Batch:
        """Make the batch of a step."""
        epoch, place = divmod(step, self._sampler.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._rows = epoch, self._sampler.epoch(epoch)
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "augmentation", step))
        return self._dataset.batch(self._rows[place], generator=generator)


def _loss(classifier: KeypointClassifier, batch: Batch) -> Float[Tensor, ""]:
    return coordinate_class_loss(
        classifier(batch.images.contiguous(memory_format=torch.channels_last)),
        batch.detected_keypoints_px,
        batch.detection_confidence,
        batch.images.shape[-1],
    )


def _build_optimisers(
    classifier: nn.Module, settings: FeaturePretraining
) -> tuple[torch.optim.Optimizer, ...]:
    """Build Muon for the kernels of hidden convolutions and AdamW for everything else."""
    kernels = [p for p in classifier.parameters() if p.ndim == 4 and p.shape[1] > 3]
    others = [p for p in classifier.parameters() if not any(p is kernel for kernel in kernels)]
    decayed = {"params": [p for p in others if p.ndim > 1], "weight_decay": settings.weight_decay}
    free = {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0}
    optimisers = (
        Muon(kernels, lr=settings.kernel_learning_rate, weight_decay=settings.weight_decay),
        torch.optim.AdamW(
            [decayed, free], lr=settings.learning_rate, betas=(0.9, 0.99), fused=True
        ),
    )
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["highest_lr"] = group["lr"]
    return optimisers


def _save(
    path: Path,
    identity: Mapping[str, Any],
    steps_done: int,
    classifier: nn.Module,
    optimisers: tuple[torch.optim.Optimizer, ...],
) -> None:
    content = {
        "format": FORMAT,
        "identity": dict(identity),
        "steps_done": steps_done,
        "model": classifier.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
    }
    with whole_file(path) as file:
        torch.save(content, file)


def _load(
    path: Path,
    identity: Mapping[str, Any],
    classifier: nn.Module,
    optimisers: tuple[torch.optim.Optimizer, ...],
    device: str,
) -> int:
    """Give the classifier and the optimisers a saved state, if there is one; return its steps."""
    if not path.is_file():
        return 0
    content = read_torch_file(path, device, what="state of a pretraining")
    if not holds(content, FORMAT, _KINDS):
        raise CheckpointError(
            f"{path}: expected a state of format {FORMAT}, got another file; name another path"
        )
    require_same(content["identity"], identity, path)
    classifier.load_state_dict(content["model"])
    for optimiser, state in zip(optimisers, content["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return int(content["steps_done"])
