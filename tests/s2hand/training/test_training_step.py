"""The gradient of a global batch: the same however the batch is shared out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from s2hand.config import PAPER_STAGES, LossConfig, OptimiserConfig
from s2hand.data.dataset import FrameDataset
from s2hand.errors import ConfigurationError
from s2hand.loss_table import TERMS, LossWeights
from s2hand.losses.formula import RestHand
from s2hand.losses.loss_sum import divide
from s2hand.losses.objective import Objective, weighted_total
from s2hand.model import S2Hand
from s2hand.training.step import (
    TrainingStep,
    build_optimiser,
    move_batch,
    set_learning_rate,
    split_batch,
)
from s2hand.training.workers import Workers

LOSSES = LossConfig(
    weights=LossWeights(
        **dict.fromkeys(("posture_prior", "mesh_laplacian", "mean_colour", "texture_shape"), 0.01),
        **dict.fromkeys(("quaternion", "temporal", "smooth"), 0.05),
    ),
    keypoint_2d="released",
    photometric="released",
    heatmap_keypoint="released",
    smooth_threshold_rad=0.0,
)
"""Every term, in the forms whose counts depend on the detections."""

ALL_WEIGHTS = {name: getattr(LOSSES.weights, name) for name in TERMS}


def frozen_model(config):
    """Batch statistics frozen, so that a frame's prediction does not depend on its batch."""
    torch.manual_seed(0)
    return S2Hand(replace(config, losses=LOSSES)).eval()


def rest_hand_of(model):
    layer = model.hand_layer
    return RestHand(joints=layer.rest_joints, vertices=layer.rest_vertices, faces=layer.faces)


def build_step(model, *, micro_batch_size, workers):
    return TrainingStep(
        model=model,
        objective=Objective(LOSSES, ALL_WEIGHTS, rest_hand_of(model)),
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
    prediction = model(
        batch.images, batch.intrinsics_px, batch.camera_rotation, outputs=step.objective.outputs
    )
    totals = step.objective.totals(prediction, batch)
    counts = step.objective.counts(batch)
    assert list(counts) == list(totals) == list(TERMS)
    weighted_total(totals, counts, step.objective.weights).backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(ours[name], gradient)
    expected = torch.stack([divide(totals[name], counts[name]) for name in TERMS])
    torch.testing.assert_close(terms, expected.detach())


def test_sums_and_counts_of_shares_add_up(config, batch):
    model = frozen_model(config)
    objective = Objective(LOSSES, ALL_WEIGHTS, rest_hand_of(model))

    def evaluate(part):
        with torch.no_grad():
            prediction = model(
                part.images, part.intrinsics_px, part.camera_rotation, outputs=objective.outputs
            )
        return objective.totals(prediction, part), objective.counts(part)

    whole = evaluate(batch)
    shares = [evaluate(part) for part in split_batch(batch, 6)]
    for place in (0, 1):  # sums, counts
        for name, value in whole[place].items():
            torch.testing.assert_close(sum(share[place][name] for share in shares), value)


@pytest.mark.parametrize("micro_batch_size", [2, 6])
def test_accumulation_gives_the_same_gradient(config, batch, micro_batch_size):
    results = []
    for size in (0, micro_batch_size):
        model = frozen_model(config)
        step = build_step(model, micro_batch_size=size, workers=Workers(rank=0, world_size=1))
        results.append((step.accumulate(batch), gradients(model)))
    (whole_terms, whole), (terms, parts) = results
    torch.testing.assert_close(terms, whole_terms)
    # Of the whole gradient: single elements are sums that cancel, whose rounding differs.
    assert parts.keys() == whole.keys()
    flat, flat_whole = (
        torch.cat([gradient.ravel() for gradient in each.values()]) for each in (parts, whole)
    )
    assert (flat - flat_whole).norm() < 1e-5 * flat_whole.norm()


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


def train_alone_and_report(rank, folder, config, batch, world_size):
    """A few steps with batch statistics and drop-outs as they are in training."""
    torch.set_num_threads(1)
    if world_size > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size
        )
    model = frozen_model(config).train()
    workers = Workers(rank=rank, world_size=world_size)
    step = build_step(model, micro_batch_size=0, workers=workers)
    share = list(split_batch(batch, 8 // world_size))[rank]
    terms = torch.stack([step.run(share) for _ in range(6)])
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.save((terms, weights), Path(folder) / f"{world_size}-{rank}.pt")
    if world_size > 1:
        dist.destroy_process_group()


def test_two_workers_train_alike_without_freezing(config, batch, tmp_path):
    """Each worker normalises with its own half of the batch: alike, not equal."""
    train_alone_and_report(0, tmp_path, config, batch, 1)
    mp.spawn(train_alone_and_report, args=(str(tmp_path), config, batch, 2), nprocs=2)
    alone, weights = torch.load(tmp_path / "1-0.pt")
    first, first_weights = torch.load(tmp_path / "2-0.pt")
    second, second_weights = torch.load(tmp_path / "2-1.pt")
    assert torch.equal(first, second)
    assert torch.equal(first_weights, second_weights)
    keypoints = list(TERMS).index("keypoint_2d")
    torch.testing.assert_close(first[:, keypoints], alone[:, keypoints], rtol=0.2, atol=0)
    assert not torch.equal(weights, first_weights)


def test_workers_add_up_no_gradients_of_an_earlier_stage(config, batch, monkeypatch):
    counted = []
    monkeypatch.setattr(
        Workers, "add_up", lambda _, tensors: counted.append(sum(t.numel() for t in tensors))
    )
    model = frozen_model(config)
    workers = Workers(rank=0, world_size=1)
    added = {}
    for term, part in (("shape_prior", "encoder"), ("heatmap_keypoint", "keypoint_estimator")):
        step = build_step(model, micro_batch_size=0, workers=workers)
        step.optimiser = build_optimiser(
            {part: model.parts[part]}, stage_of(rate=1e-3), OptimiserConfig()
        )
        step.objective = Objective(LOSSES, {term: 1.0}, rest_hand_of(model))
        step.run(batch)
        added[term] = counted[-1]  # the first are the counts
    estimator = model.parts["keypoint_estimator"]
    assert added["heatmap_keypoint"] == 1 + sum(p.numel() for p in estimator.parameters())
    assert added["shape_prior"] > 1


def test_what_a_prediction_moves_can_be_trained_with(config):
    model = S2Hand(replace(config, losses=LOSSES))
    elsewhere = torch.device("meta")
    with torch.inference_mode():
        topology = model._topology_on(elsewhere)
    assert topology.faces.device == elsewhere
    assert not topology.faces.is_inference()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_gpu_a_step_is_that_of_the_cpu(config, batch):
    terms, results = {}, {}
    for device in ("cpu", "cuda"):
        model = frozen_model(config).to(device)
        step = build_step(model, micro_batch_size=0, workers=Workers(rank=0, world_size=1))
        terms[device] = step.accumulate(move_batch(batch, device)).cpu()
        results[device] = gradients(model)
    torch.testing.assert_close(terms["cuda"], terms["cpu"], rtol=1e-3, atol=1e-5)
    for name, gradient in results["cpu"].items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(
            results["cuda"][name].cpu(), gradient, rtol=0.02, atol=0.01 * scale + 1e-7
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_gpu_the_host_gives_out_a_step_without_waiting(config, batch):
    model = frozen_model(config).to("cuda")
    step = build_step(model, micro_batch_size=0, workers=Workers(rank=0, world_size=1))
    step.run(move_batch(batch, "cuda"))  # compiles, and moves the topology
    step.require_finite()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step.run(move_batch(batch, "cuda"))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    step.require_finite()


def test_a_micro_batch_that_cuts_a_clip_is_refused(batch):
    with pytest.raises(ConfigurationError, match=r"multiple of clips\.num_frames=2, got 3"):
        list(split_batch(batch, 3))


def stage_of(*, rate, **changes):
    return replace(PAPER_STAGES[0], learning_rate=rate, **changes)


def test_features_learn_at_their_share_of_the_rate_and_nothing_else_does(config):
    """Adam's first step is the rate itself, whatever the gradient."""
    model = S2Hand(replace(config, losses=LOSSES))
    stage = stage_of(rate=1e-3, features_rate=0.25)
    optimiser = build_optimiser(model.parts, stage, OptimiserConfig())
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for later_rate, factor in ((1e-3, 1.0), (5e-4, 0.5)):
        set_learning_rate(optimiser, later_rate)
        for name, weight in model.named_parameters():
            before[name] = weight.detach().clone()
            weight.grad = torch.ones_like(weight)
        optimiser.step()
        steps = {
            name: float((before[name] - weight.detach()).abs().max())
            for name, weight in model.named_parameters()
        }
        features = {name for name in steps if name.startswith(("encoder.", "head.trunk."))}
        assert features
        assert features != set(steps)
        for name, step in steps.items():
            share = 0.25 if name in features else 1.0
            assert step == pytest.approx(1e-3 * factor * share, rel=1e-2), name


def test_weight_decay_shrinks_kernels_and_spares_biases_and_normalisation():
    torch.manual_seed(0)
    part = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    before = {name: weight.detach().clone() for name, weight in part.named_parameters()}
    optimiser = build_optimiser(
        {"part": part}, stage_of(rate=0.1), OptimiserConfig(weight_decay=0.5)
    )
    for weight in part.parameters():
        weight.grad = torch.zeros_like(weight)
    optimiser.step()
    for name, weight in part.named_parameters():
        factor = 1 - 0.1 * 0.5 if weight.ndim > 1 else 1.0
        torch.testing.assert_close(weight, factor * before[name])


def test_without_decay_the_optimiser_is_adam():
    torch.manual_seed(0)
    ours, peer = nn.Linear(3, 2), nn.Linear(3, 2)
    peer.load_state_dict(ours.state_dict())
    optimisers = [
        build_optimiser({"ours": ours}, stage_of(rate=0.01), OptimiserConfig()),
        torch.optim.Adam(peer.parameters(), lr=0.01),
    ]
    inputs = torch.randn(5, 3)
    for _ in range(4):
        for layer, optimiser in zip((ours, peer), optimisers, strict=True):
            optimiser.zero_grad()
            layer(inputs).square().sum().backward()
            optimiser.step()
    torch.testing.assert_close(ours.weight, peer.weight)
    torch.testing.assert_close(ours.bias, peer.bias)
