"""What the table divides a term's sum by, and the mean that follows."""

from functools import cache

import torch

from s2hand.config import LossConfig
from s2hand.data.sample import Batch
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.layer import HandLayer
from s2hand.losses.formula import RestHand
from s2hand.losses.loss_sum import divide
from s2hand.losses.objective import Objective


@cache
def rest_hand():
    layer = HandLayer(embedded_hand(), num_pose_components=30, use_mean_pose=True)
    return RestHand(joints=layer.rest_joints, vertices=layer.rest_vertices, faces=layer.faces)


def count_of(name, confidence, *, clip_length=1, **settings):
    """Return a term's count for frames with some detection confidences."""
    frames = len(confidence)
    batch = Batch(
        images=torch.zeros(frames, 3, 1, 1),
        intrinsics_px=torch.zeros(frames, 3, 3),
        detected_keypoints_px=torch.zeros(frames, 21, 2),
        detection_confidence=confidence,
        camera_rotation=torch.eye(3).expand(frames, 3, 3),
        sample_index=torch.arange(frames),
        clip_length=clip_length,
    )
    return Objective(LossConfig(**settings), {name: 1.0}, rest_hand()).counts(batch)[name]


def count_of_frames(name, num_frames, **options):
    """Return a term's count for frames whose detections do not matter."""
    return count_of(name, torch.ones(num_frames, 21, dtype=torch.float64), **options)


def mean_of(name, total, confidence, **options):
    """Divide a term's sum by its count."""
    return divide(total, count_of(name, confidence, **options))


def mean_of_frames(name, total, num_frames, **options):
    """Divide a term's sum by its count where detections do not matter."""
    return divide(total, count_of_frames(name, num_frames, **options))
