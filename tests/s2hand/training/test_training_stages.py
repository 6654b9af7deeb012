"""What makes two stages the same, and the lock that lets only one training work on one."""

import copy
import json
from dataclasses import asdict, fields, replace

import pytest

from s2hand.config import (
    ClipConfig,
    DataConfig,
    LossConfig,
    LossWeights,
    ModelConfig,
    OptimiserConfig,
    QuaternionPhase,
    S2HandConfig,
    StageConfig,
)
from s2hand.errors import ConfigurationError
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.loss_table import TERMS
from s2hand.parts import PARTS
from s2hand.schedule import losses_of
from s2hand.training import stages
from s2hand.training.stages import (
    stage_id,
    stage_identity,
    stage_parts,
    stream_of,
    trained_stages,
    used_parts,
)
from s2hand.training.workers import Workers

ALONE = Workers(rank=0, world_size=1)


NO_PART_S = {"hand_model", "weights_dir", "pretrained"}
"""Fields of the model whose content enters the identity in another way."""


def identify(config, index=0, **changes):
    settings = {
        "seed": 0, "device_type": "cpu", "fingerprints": {"data": "d", "code": "c"}, "previous": {},
        "initial": {},
    }  # fmt: skip
    return stage_id(stage_identity(config, index, **(settings | changes)))


def with_weights(config, **weights):
    return replace(config, losses=replace(config.losses, weights=LossWeights(**weights)))


def test_what_does_not_act_in_a_stage_of_frames_does_not_enter_it(config):
    same = [
        with_weights(config, temporal=0.3),
        replace(config, clips=replace(config.clips, frame_interval=1)),
        replace(config, losses=replace(config.losses, smooth_threshold_rad=0.2)),
        replace(config, data=replace(config.data, rotation_deg=10.0, root="/elsewhere")),
        replace(config, runtime=replace(config.runtime, report_every_epochs=2)),
        replace(config, model=replace(config.model, hand_model="/another/place.pkl")),
        replace(config, stages=(replace(config.stages[0], name="renamed"), *config.stages[1:])),
        replace(config, model=replace(config.model, keypoint_channels=16)),
        with_weights(config, heatmap_keypoint=0.0, keypoint_consistency=0.0),
        replace(
            config,
            quaternion_schedule=(
                QuaternionPhase(from_epoch=1, frame_interval=1, num_frames=2, weight=0.1),
            ),
        ),
    ]
    assert {identify(each) for each in same} == {identify(config)}


def test_what_acts_in_a_stage_enters_it(config):
    motion = identify(config, index=2)
    assert identify(with_weights(config, quaternion=0.1), index=2) != motion
    others = [
        replace(config, clips=replace(config.clips, frame_interval=1)),
        replace(config, optimiser=replace(config.optimiser, micro_batch_size=4)),
        replace(config, data=replace(config.data, crop_jitter=False)),
        replace(config, losses=LossConfig(weights=LossWeights(), keypoint_knee_px=3.0)),
        replace(config, losses=LossConfig(weights=LossWeights(), photometric="released")),
        replace(config, model=replace(config.model, keypoint_channels=16)),
        replace(config, model=replace(config.model, albedo="face")),
        replace(config, optimiser=replace(config.optimiser, memory_format="contiguous")),
        replace(config, quaternion_schedule=(
            QuaternionPhase(from_epoch=1, frame_interval=1, num_frames=2, weight=0.05),)),
    ]  # fmt: skip
    assert motion not in {identify(each, index=2) for each in others}
    for change in (
        {"seed": 1}, {"device_type": "cuda"}, {"fingerprints": {"data": "e", "code": "c"}},
        {"fingerprints": {"data": "d", "code": "d"}}, {"previous": {"encoder": {"depth": 0}}},
    ):  # fmt: skip
        assert identify(config, index=2, **change) != motion


def another(value):
    """A value of the same kind, valid or not unless it is looked up: identities are plain data."""
    if isinstance(value, LossWeights):
        return replace(value, bone_direction=value.bone_direction + 1)
    if isinstance(value, TrackSettings):
        return replace(value, min_frames=value.min_frames + 1)
    if isinstance(value, str):
        return {"both": "3d", "ho3d": "freihand"}.get(value, f"{value}?")
    if isinstance(value, tuple):
        return (*value, "ho3d")
    return not value if isinstance(value, bool) else value + 1


WITHOUT_EFFECT = {
    "stages": {"name", "without"},  # what acts counts, not how it came about
    "model": NO_PART_S,  # their content enters by fingerprints and initial weights
    # Those of FreiHAND and of detected hands alone, and those of the evaluation.
    "data": {"root", "extra_roots", "rotation_deg", "picture_jitter", "backgrounds", "tracks",
             "assumed_focal", "evaluation_dataset", "evaluation_root", "validation_root"},
    "clips": set(), "losses": {"smooth_threshold_rad"}, "optimiser": {"batch_size"},
}  # fmt: skip
"""Fields that change nothing in the stage of clips, which trains all parts on HO-3D."""


def section_field_pairs():
    sections = {field.name: field for field in fields(S2HandConfig)}
    assert sections.keys() - WITHOUT_EFFECT.keys() == {"quaternion_schedule", "runtime"}
    kinds = {
        "stages": StageConfig, "model": ModelConfig, "data": DataConfig, "clips": ClipConfig,
        "losses": LossConfig, "optimiser": OptimiserConfig,
    }  # fmt: skip
    return [(name, field.name) for name, kind in kinds.items() for field in fields(kind)]


@pytest.mark.parametrize(("section", "name"), section_field_pairs())
def test_every_field_that_acts_enters_the_identity(config, section, name):
    whole = copy.deepcopy(config)
    place = whole.stages[2] if section == "stages" else getattr(whole, section)
    object.__setattr__(place, name, another(getattr(place, name)))
    is_same = identify(whole, index=2) == identify(config, index=2)
    assert is_same == (name in WITHOUT_EFFECT[section])


@pytest.mark.parametrize(
    ("name", "places"),
    [
        *((name, {0, 1, 2}) for name in ("image_size_px", "frame")),
        *((name, {0, 2}) for name in ("encoder", "albedo", "rotation_centre", "projection")),
        *((name, {1, 2}) for name in ("keypoint_stacks", "keypoint_channels")),
    ],
)
def test_a_setting_of_the_model_acts_where_a_part_that_has_it_is_trained(config, name, places):
    other = copy.deepcopy(config)
    object.__setattr__(other.model, name, another(getattr(other.model, name)))
    assert {i for i in range(3) if identify(other, index=i) != identify(config, index=i)} == places


def test_settings_of_every_set_that_is_trained_on_take_effect(config):
    frames = replace(with_weights(config), stages=config.stages[:1])
    alone, mixed = (
        [
            identify(replace(frames, data=replace(config.data, extra_datasets=extra, **turned)))
            for turned in ({}, {"rotation_deg": 10.0})
        ]
        for extra in ((), ("freihand",))
    )
    assert alone[0] == alone[1]
    assert len({*alone, *mixed}) == 3


@pytest.mark.parametrize("field", [each.name for each in fields(TrackSettings)])
def test_thresholds_of_tracks_act_where_hands_are_followed(config, field):
    frames = replace(with_weights(config), stages=config.stages[:1])
    values = {"min_confidence": 0.4, "max_step": 0.2, "max_gap": 1, "min_frames": 9}
    require_acts_on_found_hands(frames, tracks=TrackSettings(**{field: values[field]}))


def test_an_assumed_camera_acts_where_none_may_be_known(config):
    frames = replace(with_weights(config), stages=config.stages[:1])
    require_acts_on_found_hands(frames, assumed_focal=1.2)


def require_acts_on_found_hands(config, **change):
    """A setting changes trainings on hands that were found in pictures, beside other sets too."""
    for datasets, acts in (
        (("youtube3d",), True), (("folder",), True), (("freihand",), False),
        (("freihand", "youtube3d"), True), (("freihand", "ho3d"), False),
    ):  # fmt: skip
        usual = replace(config.data, dataset=datasets[0], extra_datasets=datasets[1:])
        one, other = (
            identify(replace(config, data=data)) for data in (usual, replace(usual, **change))
        )
        assert (one != other) == acts


def test_an_identity_of_freihand_is_what_a_checkpoint_gives_back(config):
    """Its draws of copies are a setting of several values."""
    frames = replace(with_weights(config), stages=config.stages[:1])
    known = set()
    for backgrounds in (("gs",), ("gs", "hom")):
        data = replace(config.data, dataset="freihand", backgrounds=backgrounds)
        identity = stage_identity(
            replace(frames, data=data), 0, seed=0, device_type="cpu", fingerprints={}, initial={},
            previous={},
        )  # fmt: skip
        assert json.loads(json.dumps(identity)) == identity
        assert identity["data"]["backgrounds"] == list(backgrounds)
        known.add(stage_id(identity))
    assert len(known) == 2


def test_the_stage_of_the_2d_branch_knows_nothing_of_the_hand(config):
    same = [
        replace(config, model=replace(config.model, encoder="efficientnet-b0", albedo="face")),
        with_weights(config, bone_direction=0.0, pixel=0.0),
    ]
    assert {identify(each, index=1) for each in same} == {identify(config, index=1)}
    other = replace(config, losses=replace(config.losses, heatmap_keypoint="released"))
    assert identify(other, index=1) != identify(config, index=1)


def test_a_stage_of_texture_and_light_follows_from_the_hand_that_it_leaves_as_it_is(config):
    """Encoder and head are computed with: what they are, and where they come from, enters."""
    texture = replace(config.stages[0], branch="appearance")
    alone = replace(config, losses=LossConfig(), stages=(texture,))
    assert stage_parts(alone, 0) == ("texture_light_head",)
    assert used_parts(alone, 0) == ("encoder", "head", "texture_light_head")
    before = [{part: {"depth": depth} for part in ("encoder", "head")} for depth in (0, 1)]
    others = [
        identify(alone),
        *(identify(alone, previous=each) for each in before),
        identify(replace(alone, model=replace(config.model, encoder="efficientnet-b0"))),
        identify(alone, initial={"encoder": {"name": "hands", "sha256": "a"}}),
        identify(with_weights(alone, pixel=0.1)),
    ]
    assert len(set(others)) == len(others)
    assert identify(with_weights(alone, keypoint_2d=0.5)) == identify(alone)


def test_starting_weights_enter_where_a_part_begins_with_them(config):
    hands, others = ({"name": "hands", "sha256": digit} for digit in "ab")
    started = {"encoder": hands, "head": hands}
    assert identify(config, initial=started) != identify(config)
    assert identify(config, initial={**started, "head": others}) != identify(
        config, initial=started
    )
    # The 2D branch has none of them; and what a stage before has trained began there.
    assert identify(config, index=1, initial=started) == identify(config, index=1)
    before = {part: {"depth": 0} for part in ("encoder", "head")}
    after = identify(config, index=2, previous=before)
    assert identify(config, index=2, previous=before, initial=started) == after


def test_a_stage_without_a_loss_is_left_out(config):
    geometric = with_weights(config, heatmap_keypoint=0.0, keypoint_consistency=0.0)
    assert trained_stages(config) == [0, 1, 2]
    assert trained_stages(geometric) == [0, 2]
    assert stage_parts(config, 1) == ("keypoint_estimator",)
    assert stage_parts(geometric, 2) == ("encoder", "head", "texture_light_head")
    nothing = with_weights(config, **dict.fromkeys(TERMS, 0.0))
    with pytest.raises(ConfigurationError, match="nothing to train"):
        trained_stages(nothing)


def test_no_setting_is_forgotten_in_the_identity(config):
    """A field that belongs to no part would let different stages share a checkpoint."""
    of_parts = {name for names in stages._FIELDS_OF_PARTS.values() for name in names}
    assert of_parts == {field.name for field in fields(ModelConfig)} - NO_PART_S
    assert set(stages._FIELDS_OF_PARTS) == set(PARTS)


def test_a_stage_can_leave_losses_out(config):
    first = replace(config.stages[0], without=("pixel", "ssim", "texture_prior"))
    later = replace(config, stages=(first, *config.stages[1:]))
    assert stage_parts(later, 0) == ("encoder", "head")
    assert losses_of(config, config.stages[0]) - losses_of(later, first) == set(first.without)
    # It is what acts that counts, not how it came about.
    weightless = with_weights(config, pixel=0.0, ssim=0.0, texture_prior=0.0)
    assert identify(later, index=0) == identify(weightless, index=0) != identify(config, index=0)
    with pytest.raises(ConfigurationError, match=r"stages\.image\.without must name losses"):
        replace(first, without=("pixels",))


def test_the_batch_size_matters_where_frames_are_sampled(config):
    other = replace(config, optimiser=replace(config.optimiser, batch_size=16))
    assert identify(other, index=0) != identify(config, index=0)
    assert identify(other, index=2) == identify(config, index=2)


def test_an_identity_is_plain_data_of_all_that_takes_effect(config):
    phase = QuaternionPhase(from_epoch=1, frame_interval=1, num_frames=2, weight=0.1)
    before, weights = {"depth": 4, "seed": 3}, {"name": "hands", "sha256": "a"}
    identity = stage_identity(
        replace(config, quaternion_schedule=(phase,)),
        2,
        seed=3,
        device_type="cuda",
        fingerprints={"data": "d", "code": "c"},
        initial={"encoder": weights, "head": weights},
        previous={"encoder": before, "keypoint_estimator": {"depth": 1}},
    )
    assert json.loads(json.dumps(identity)) == identity
    losses, model = identity.pop("losses"), identity.pop("model")
    assert losses["weights"] == {name: getattr(config.losses.weights, name) for name in (
        losses_of(config, config.stages[2])
    )}  # fmt: skip
    assert model == {
        field.name: getattr(config.model, field.name)
        for field in fields(ModelConfig) if field.name not in NO_PART_S
    }  # fmt: skip
    stage, optimiser, data = (
        asdict(each) for each in (config.stages[2], config.optimiser, config.data)
    )
    assert identity == {
        "stage": {key: stage[key] for key in stage if key not in ("name", "without")},
        "data": {key: data[key] for key in data if key not in WITHOUT_EFFECT["data"]}
        | {"extra_datasets": []},
        "clips": asdict(config.clips),
        "quaternion_schedule": [asdict(phase)],
        "optimiser": {key: optimiser[key] for key in optimiser if key != "batch_size"},
        "seed": 3,
        "device": "cuda",
        "fingerprints": {"data": "d", "code": "c"},
        "initial": {"head": weights},
        "previous": {
            "encoder": stage_id(before), "keypoint_estimator": stage_id({"depth": 1}),
        },
        "depth": 5,
    }  # fmt: skip
    assert stream_of(identity) == "both:clips:5"


def test_a_first_stage_of_frames_knows_no_clips(config):
    identity = stage_identity(
        config, 0, seed=0, device_type="cpu", fingerprints={}, initial={}, previous={}
    )
    assert (identity["clips"], identity["quaternion_schedule"], identity["depth"]) == ({}, [], 0)
    assert identity["optimiser"] == asdict(config.optimiser)
    assert stream_of(identity) == "3d:frames:0"


def test_an_id_does_not_depend_on_the_order_of_the_fields():
    assert stage_id({"a": 1, "b": {"c": 2, "d": 3}}) == stage_id({"b": {"d": 3, "c": 2}, "a": 1})
    assert len(stage_id({})) == 64


def test_only_a_model_that_starts_whole_needs_no_training(config):
    nothing = with_weights(config, **dict.fromkeys(TERMS, 0.0))
    whole = replace(nothing, model=replace(nothing.model, pretrained="s2hand"))
    assert trained_stages(whole) == []
    with pytest.raises(ConfigurationError, match="nothing to train"):
        trained_stages(nothing)
