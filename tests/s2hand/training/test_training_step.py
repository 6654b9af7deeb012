"""The gradient of a global batch: the same however the batch is shared out."""

from dataclasses import fields, replace

import pytest
import torch
from steps import (
    ALL_WEIGHTS,
    LOSSES,
    build_step,
    frozen_model,
    gradients,
    rest_hand_of,
    with_losses,
)
from torch import nn

from s2hand.config import PAPER_STAGES, OptimiserConfig
from s2hand.errors import ConfigurationError, NonFiniteLossError
from s2hand.loss_table import TERMS
from s2hand.losses.loss_sum import divide
from s2hand.losses.objective import Objective, weighted_total
from s2hand.model import S2Hand
from s2hand.training.step import (
    TrainingStep,
    build_optimiser,
    set_learning_rate,
    split_batch,
)
from s2hand.training.workers import Workers


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
    model = S2Hand(with_losses(config))
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
        terms[device] = step.accumulate(batch.to(torch.device(device))).cpu()
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
    step.run(batch.to(torch.device("cuda")))  # compiles, and moves the topology
    step.require_finite()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step.run(batch.to(torch.device("cuda")))
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
    model = S2Hand(with_losses(config))
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


def test_the_optimiser_takes_its_settings():
    part = nn.Linear(2, 2)
    settings = OptimiserConfig(adam_beta1=0.7, adam_beta2=0.8, weight_decay=0.3)
    optimiser = build_optimiser({"part": part}, stage_of(rate=0.1), settings)
    assert isinstance(optimiser, torch.optim.AdamW)
    assert [group["betas"] for group in optimiser.param_groups] == [(0.7, 0.8)] * 2
    assert all(group["fused"] for group in optimiser.param_groups)


def test_parts_of_a_batch_are_its_frames_in_order(batch):
    for size, lengths in ((0, [8]), (2, [2] * 4), (4, [4, 4]), (6, [6, 2]), (20, [8])):
        parts = list(split_batch(batch, size))
        assert [len(part.images) for part in parts] == lengths
        for field in fields(batch):
            whole = getattr(batch, field.name)
            if isinstance(whole, torch.Tensor):
                joined = torch.cat([getattr(part, field.name) for part in parts])
                assert torch.equal(joined, whole), field.name
        assert {part.clip_length for part in parts} == {2}


def test_a_moved_batch_is_on_the_device_but_for_the_names_of_its_samples(batch):
    moved = batch.to(torch.device("meta"))
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, torch.Tensor):
            device = "cpu" if field.name == "sample_index" else "meta"
            assert getattr(moved, field.name).device.type == device, field.name
            assert getattr(moved, field.name).shape == value.shape


def test_a_step_updates_the_model_by_its_gradient(config, batch):
    model = frozen_model(config)
    step = build_step(model, micro_batch_size=0, workers=Workers(rank=0, world_size=1))
    step.optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    terms = step.run(batch)
    found = gradients(model)
    assert found
    for name, weight in model.named_parameters():
        expected = before[name] - 0.1 * found[name] if name in found else before[name]
        torch.testing.assert_close(weight.detach(), expected)
    assert terms.shape == (len(TERMS),)
    assert not terms.requires_grad


def test_a_broken_term_stops_the_next_step_with_the_names_of_its_samples(config, batch):
    model = frozen_model(config)
    step = build_step(model, micro_batch_size=0, workers=Workers(rank=0, world_size=1))
    accumulated = []

    def broken(_batch):
        accumulated.append(_batch)
        terms = torch.ones(len(TERMS))
        terms[list(TERMS).index("smooth")] = float("inf")
        return terms

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingStep, "accumulate", lambda _, each: broken(each))
        step.run(batch)
        with pytest.raises(NonFiniteLossError, match=r"'smooth' .*inf.* samples \[0, 1, 2") as info:
            step.run(batch)
    assert len(accumulated) == 1
    assert info.value.sample_ids == tuple(str(row) for row in range(8))
    step.require_finite()  # it has been told
