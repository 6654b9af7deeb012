"""Choose the weights of the temporal and the smooth loss: gradients as strong as the quaternion's.

    python benchmarks/motion_weights.py --data FOLDER [--epochs 20]

Trains the stage of frames that precedes a motion stage on the given HO-3D layout, then prints
the gradient norms of the three motion losses with respect to ``hand_pose`` over clips, and the
weights at which the other two equal the quaternion loss at its published weight.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from s2hand.config import (
    ClipConfig,
    DataConfig,
    LossConfig,
    LossWeights,
    ModelConfig,
    S2HandConfig,
    StageConfig,
)
from s2hand.data.build import load_train
from s2hand.data.clips import ClipSampler
from s2hand.data.dataset import FrameDataset
from s2hand.geometry.rotations import axis_angle_to_quaternion
from s2hand.losses.motion import quaternion_loss, smooth_loss, temporal_loss
from s2hand.model import S2Hand
from s2hand.trained_model import MODEL_NAME, load_model
from s2hand.training.context import LocalContext
from s2hand.training.loop import train

PUBLISHED_WEIGHT = 0.05
"""Of the quaternion loss (paper §4.3)."""

GEOMETRIC = LossWeights(
    pixel=0, ssim=0, texture_prior=0, heatmap_keypoint=0, keypoint_consistency=0
)
"""What the norms are measured with respect to does not depend on picture or 2D branch."""

THRESHOLDS_RAD = (0.02, 0.05, 0.1, 0.2)


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder in HO-3D's layout")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=30)
    arguments = parser.parse_args()
    config = S2HandConfig(
        model=ModelConfig(
            encoder="convnet", pretrained="none", image_size_px=arguments.image_size
        ),
        losses=LossConfig(weights=GEOMETRIC, shape_prior="squared"),
        data=DataConfig(dataset="ho3d", root=str(arguments.data)),
        stages=(
            StageConfig(
                name="image", epochs=arguments.epochs, learning_rate=1e-3,
                decay_every_epochs=max(1, arguments.epochs // 3), decay_factor=0.5,
            ),
        ),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        context = LocalContext(checkpoint_dir=Path(folder), stage_dir=Path(folder) / "stages")
        train(config, seed=0, context=context)
        model = load_model(Path(folder) / MODEL_NAME).train()
    print_weights(measure(model, config, arguments.batches))


def measure(model: S2Hand, config: S2HandConfig, num_batches: int) -> dict[str, float]:
    """Return the mean gradient norm of each loss over batches of clips."""
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "quaternion": quaternion_loss,
        "temporal": temporal_loss,
        **{
            f"smooth ({threshold} rad)": partial(smooth_loss, threshold_rad=threshold)
            for threshold in THRESHOLDS_RAD
        },
    }
    table = load_train(config)
    dataset = FrameDataset.from_config(table, config)
    clips = ClipConfig()
    sampler = ClipSampler(table.sequences, table.frames, clips, seed=0)
    generator = torch.Generator().manual_seed(0)
    norms: dict[str, list[float]] = {name: [] for name in losses}
    batches = [rows for epoch in range(num_batches) for rows in sampler.epoch(epoch)]
    for rows in batches[:num_batches]:
        batch = dataset.batch(rows, clip_length=clips.num_frames, generator=generator)
        with torch.no_grad():
            hand = model(batch.images, batch.intrinsics_px, batch.camera_rotation).hand
        full_pose = torch.cat([hand.global_orient[:, None], hand.hand_pose], dim=1)
        full_pose.requires_grad_()
        for name, loss in losses.items():
            quaternions = axis_angle_to_quaternion(full_pose).unflatten(0, (-1, clips.num_frames))
            mean = loss(quaternions) / quaternions[:, 0, :, 0].numel()  # over clips and rotations
            (gradient,) = torch.autograd.grad(mean, full_pose)
            norms[name].append(gradient[:, 1:].norm().item())
    return {name: float(np.mean(values)) for name, values in norms.items()}


def print_weights(norms: dict[str, float]) -> None:
    """Print norms, and weights of equal strength."""
    for name, norm in norms.items():
        weight = PUBLISHED_WEIGHT * norms["quaternion"] / norm if norm else float("inf")
        print(f"{name:20} gradient norm {norm:.3e}   weight {weight:.4f}")


if __name__ == "__main__":
    main()
