"""A training step gives a GPU its work without waiting for it.

Seen on torch's ``meta`` device, which computes nothing, by the names of what is called.
"""

import contextlib
import traceback
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from s2hand.config import PRESETS, LossConfig, StageConfig
from s2hand.data.augmentation import Augmentation
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import Batch
from s2hand.loss_table import TERMS, LossWeights
from s2hand.losses.formula import RestHand
from s2hand.losses.objective import Objective, weighted_total
from s2hand.model import S2Hand

ALL_WEIGHTS = LossWeights(**dict.fromkeys(TERMS, 0.1))
CLIPS = StageConfig(
    name="all",
    epochs=1,
    learning_rate=1e-3,
    decay_every_epochs=1,
    decay_factor=1.0,
    samples="clips",
)
TWO_LAYERS = LossConfig(weights=ALL_WEIGHTS, photometric="two_layers")
RELEASED = LossConfig(
    weights=ALL_WEIGHTS,
    keypoint_2d="released",
    photometric="released",
    heatmap_keypoint="released",
    joint_angle_prior="axis_angle",
    bone_length_prior="absolute",
    photometric_min_confidence=0.1,
    shape_prior="squared",
)


WAITING = {
    *("tensor", "as_tensor", "new_tensor"),  # copy numbers of the host
    *("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__", "equal", "allclose"),
    *("nonzero", "masked_select", "unique", "argwhere"),  # have sizes that the device knows
}


class HostWaits(TorchFunctionMode):
    """Collects what is called on tensors of the meta device that would make the host wait."""

    def __init__(self):
        super().__init__()
        self.num_calls = 0
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        is_index = name in ("__getitem__", "__setitem__") and has_list(args[1])
        devices = {t.device.type for t in tree_leaves((args, kwargs)) if is_tensor(t)}
        if kwargs.get("device") is not None:
            devices.add(torch.device(kwargs["device"]).type)
        self.num_calls += 1
        if "meta" in devices and (name in WAITING or len(devices) > 1 or is_index):
            stack = [line for line in traceback.extract_stack() if line.filename != __file__]
            lines = [line for line in stack if "/s2hand/" in line.filename]
            self.found.append((name, *(f"{line.filename}:{line.lineno}" for line in lines[-1:])))
        return function(*args, **kwargs)


def is_tensor(value):
    return isinstance(value, torch.Tensor)


def has_list(index):
    """Tell whether an index holds places, which are copied, or a mask, whose sum is waited for."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(
        isinstance(part, (list, tuple, np.ndarray))
        or (is_tensor(part) and part.dtype == torch.bool)
        for part in parts
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x[:, [0, 1]],
        lambda x: x[:, (0, 1), (0, 1)],
        lambda x: x[x > 0],
        lambda x: x.new_tensor([1.0]),
        lambda x: torch.tensor([1.0], device=x.device),
        lambda x: x.new_zeros(3).__setitem__([0, 1], 1.0),
        lambda x: x * torch.zeros(()),
        lambda x: x.cpu(),
    ],
)
def test_what_waits_is_seen(call):
    with HostWaits() as waits, contextlib.suppress(NotImplementedError):  # no numbers to copy
        call(torch.empty(4, 3, 3, device="meta"))
    assert waits.found


@pytest.mark.parametrize("holds_pixels", [False, True])
def test_nothing_waits_for_a_batch_to_be_made(table, holds_pixels):
    jitter = Augmentation(colour_jitter=0.3)
    dataset = FrameDataset(table, 32, augmentation=jitter).to(
        torch.device("meta"), holds_pixels=holds_pixels
    )
    with HostWaits() as waits:
        batch = dataset.batch(range(8), clip_length=2, generator=torch.Generator())
    assert batch.images.device.type == "meta"
    assert waits.num_calls > 50
    assert not waits.found


def draw(points, depth_m, colours, background, topology, *, height, width, **_):
    """Stand for a renderer: tensors of its shapes that depend on all that it is given."""
    share = depth_m.sum() + points.sum() + colours.sum() + background.sum() + topology.faces.sum()
    one = points.new_zeros(len(points), height, width) + share
    return one[:, None].expand(-1, 3, -1, -1), one, one, one.to(torch.int32)


@pytest.mark.parametrize("losses", [LossConfig(weights=ALL_WEIGHTS), TWO_LAYERS, RELEASED])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_nothing_is_copied_in_forward_and_losses(preset, losses, monkeypatch):
    # Neither knows the meta device.
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: autocast("cpu", enabled=False))
    monkeypatch.setattr(import_module("s2hand.rendering.render"), "_choose", lambda *_: draw)
    config = PRESETS[preset]
    config = replace(
        config,
        model=replace(config.model, pretrained="none"),
        data=replace(config.data, dataset="ho3d", supervision="3d"),
        losses=losses,
        stages=(CLIPS,),
    )
    model = S2Hand(config)
    layer = model.hand_layer
    objective = Objective(
        losses,
        dict.fromkeys(TERMS, 0.1),
        RestHand(joints=layer.rest_joints, vertices=layer.rest_vertices, faces=layer.faces),
    )
    for _, owner in objective._terms.values():
        for name, value in vars(owner).items():
            if isinstance(value, torch.Tensor):
                setattr(owner, name, value.to("meta"))
    model.to("meta").train()
    size = config.model.image_size_px
    batch = Batch(
        images=torch.empty(4, 3, size, size, device="meta"),
        intrinsics_px=torch.empty(4, 3, 3, device="meta"),
        camera_rotation=torch.empty(4, 3, 3, device="meta"),
        detected_keypoints_px=torch.empty(4, 21, 2, device="meta"),
        detection_confidence=torch.empty(4, 21, device="meta"),
        sample_index=torch.arange(4),
        clip_length=2,
        joints=torch.empty(4, 21, 3, device="meta"),
    )
    model._topology_on(torch.device("meta"))  # once in a training
    with HostWaits() as waits:
        prediction = model(
            batch.images, batch.intrinsics_px, batch.camera_rotation, outputs=objective.outputs
        )
        totals = objective.totals(prediction, batch)
        total = weighted_total(totals, objective.counts(batch), objective.weights)
    assert total.device.type == "meta"
    assert set(totals) == set(TERMS)
    assert waits.num_calls > 1000
    assert not waits.found
