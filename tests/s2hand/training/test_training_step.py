"""The gradient of a global batch: the same however the batch is shared out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from s2hand.config import LossConfig, LossWeights
from s2hand.data.dataset import FrameDataset
from s2hand.errors import ConfigurationError
from s2hand.losses.objective import Objective, weighted_total
from s2hand.model import S2Hand
from s2hand.training.step import TrainingStep, split_batch
from s2hand.training.workers import Workers

LOSSES = LossConfig(
    weights=LossWeights(posture_prior=0.01, quaternion=0.05, temporal=0.05, smooth=0.05),
    keypoint_2d="released",
    smooth_threshold_rad=0.0,
)
"""Every term, and the keypoint loss whose count depends on the detections."""


def frozen_model(config):
    """Batch statistics frozen, so that a frame's prediction does not depend on its batch."""
    torch.manual_seed(0)
    return S2Hand(config).eval()


def build_step(model, *, micro_batch_size, workers):
    return TrainingStep(
        model=model,
        objective=Objective(
            LOSSES, image_size_px=32, clip_length=2, rest_joints=model.hand_layer.rest_joints
        ),
        optimiser=torch.optim.Adam(model.parameters()),
        workers=workers,
        micro_batch_size=micro_batch_size,
        name_samples=lambda index: [str(row) for row in index.tolist()],
    )


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture
def batch(table):
    """Four clips of two frames, one frame without any confidence."""
    confidence = table.detection_confidence.copy()
    confidence[3] = 0
    dataset = FrameDataset(replace(table, detection_confidence=confidence), 32)
    return dataset.batch(np.arange(8), clip_length=2)


def test_the_gradient_is_that_of_the_plain_loss(config, batch):
    model = frozen_model(config)
    step = build_step(model, micro_batch_size=0, workers=Workers(rank=0, world_size=1))
    terms = step.accumulate(batch)
    ours = gradients(model)
    model.zero_grad()
    sums = step.objective.sums(
        model(batch.images, batch.intrinsics_px),
        batch.detected_keypoints_px,
        batch.detection_confidence,
    )
    counts = {name: each.count for name, each in sums.items()}
    weighted_total(sums, counts, step.objective.weights).backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(ours[name], gradient)
    expected = torch.stack([each.mean() for each in sums.values()])
    torch.testing.assert_close(terms, expected.detach())


def test_counts_are_those_of_the_losses(config, batch):
    model = frozen_model(config)
    step = build_step(model, micro_batch_size=0, workers=Workers(rank=0, world_size=1))
    sums = step.objective.sums(
        model(batch.images, batch.intrinsics_px),
        batch.detected_keypoints_px,
        batch.detection_confidence,
    )
    counts = step.objective.counts(batch.detection_confidence)
    assert counts.keys() == sums.keys() == set(LossWeights.__slots__)
    for name, each in sums.items():
        torch.testing.assert_close(counts[name], each.count)


@pytest.mark.parametrize("micro_batch_size", [2, 6])
def test_accumulation_gives_the_same_gradient(config, batch, micro_batch_size):
    results = []
    for size in (0, micro_batch_size):
        model = frozen_model(config)
        step = build_step(model, micro_batch_size=size, workers=Workers(rank=0, world_size=1))
        results.append((step.accumulate(batch), gradients(model)))
    (whole_terms, whole), (terms, parts) = results
    torch.testing.assert_close(terms, whole_terms)
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-4, atol=1e-7)


def work(rank, folder, config, batch):
    """One of two workers; the shares are unequal on purpose."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = frozen_model(config)
    if rank == 1:
        with torch.no_grad():
            next(model.parameters()).add_(1)  # undone by the first worker's copy
    workers = Workers(rank=rank, world_size=2)
    workers.copy_from_first(model)
    step = build_step(model, micro_batch_size=0, workers=workers)
    shares = list(split_batch(batch, 6))
    terms = step.accumulate(shares[rank])
    names = workers.gather([f"sample of {rank}"])
    torch.save((terms, gradients(model), names), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_workers_give_the_gradient_of_one(config, batch, tmp_path):
    model = frozen_model(config)
    step = build_step(model, micro_batch_size=0, workers=Workers(rank=0, world_size=1))
    terms = step.accumulate(batch)
    mp.spawn(work, args=(str(tmp_path), config, batch), nprocs=2)
    for rank in (0, 1):
        their_terms, theirs, names = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(their_terms, terms)
        assert names == ["sample of 0", "sample of 1"]
        for name, gradient in gradients(model).items():
            torch.testing.assert_close(theirs[name], gradient, rtol=1e-4, atol=1e-7)


def test_a_micro_batch_that_cuts_a_clip_is_refused(batch):
    with pytest.raises(ConfigurationError, match=r"multiple of clips\.num_frames=2, got 3"):
        list(split_batch(batch, 3))
