"""The project's own starting weights: files, what models make of them, refusals."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch
from tiny_weights import starting_from, tiny_card, tiny_state, write_weights

from s2hand.config import LossConfig, LossWeights, ModelConfig, S2HandConfig
from s2hand.errors import CheckpointError, ConfigurationError
from s2hand.hand.embedded import embedded_hand
from s2hand.model import S2Hand
from s2hand.starting_weights import (
    find_starting_weights,
    initial_weights,
    open_weights,
    read_weights,
    save_weights,
)

HAND = embedded_hand().fingerprint
CONFIG = S2HandConfig(
    model=ModelConfig(
        encoder="convnet", pretrained="none", image_size_px=32, keypoint_stacks=1,
        keypoint_channels=8, hand_model="embedded",
    )
)  # fmt: skip
GEOMETRY = replace(
    CONFIG,
    losses=LossConfig(
        weights=LossWeights(
            pixel=0.0,
            ssim=0.0,
            texture_prior=0.0,
            heatmap_keypoint=0.0,
            keypoint_consistency=0.0,
        )
    ),
)


def build(config, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return S2Hand(config)


def with_model(config, **settings):
    return replace(config, model=replace(config.model, **settings))


def test_matrices_are_halves_and_vectors_stay(tmp_path):
    state = tiny_state(CONFIG, seed=1)
    variance, mean = "encoder.layers.0.1.running_var", "encoder.layers.0.1.running_mean"
    state[variance][0], state[mean][0] = 1e6, 1 / 3  # neither is a half
    path = tmp_path / "s2hand.safetensors"
    save_weights(state, tiny_card("s2hand", CONFIG), path)
    stored, read = safetensors.torch.load_file(path), read_weights(path)
    assert stored.keys() == read.keys() == state.keys()
    for name, value in state.items():
        is_matrix = value.ndim > 1
        assert stored[name].dtype == (torch.float16 if is_matrix else value.dtype)
        expected = value.half().float() if is_matrix else value
        assert torch.equal(read[name], expected), name
        assert read[name].dtype == value.dtype
    assert read[variance][0] == 1e6
    again = tmp_path / "again" / "s2hand.safetensors"
    save_weights(read, tiny_card("s2hand", CONFIG), again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("value", [7e4, float("nan")])
def test_what_half_precision_cannot_hold_is_not_written(tmp_path, value):
    state = tiny_state(CONFIG, seed=1)
    state["head.trunk.0.weight"][3, 2] = value
    with pytest.raises(ValueError, match=r"head\.trunk\.0\.weight must lie within ±65504"):
        save_weights(state, tiny_card("hands", CONFIG), tmp_path / "hands.safetensors")
    without = {name: value for name, value in state.items() if not name.startswith("head.trunk.")}
    with pytest.raises(ValueError, match=r"must hold 'head\.trunk', got none"):
        save_weights(without, tiny_card("hands", CONFIG), tmp_path / "hands.safetensors")


def test_a_model_begins_with_what_the_file_holds_and_else_at_random(tmp_path):
    weights = write_weights(tmp_path, "hands", CONFIG)
    held = read_weights(weights.path)
    assert {name.split(".")[0] for name in held} == {"encoder", "head"}
    model = build(starting_from(CONFIG, "hands", tmp_path))
    random = build(CONFIG).state_dict()
    for name, value in model.state_dict().items():
        assert value.dtype == random[name].dtype
        assert torch.equal(value, held[name] if name in held else random[name]), name
    assert not torch.equal(random["head.trunk.0.weight"], held["head.trunk.0.weight"])
    origin = {"name": "hands", "sha256": weights.sha256}
    assert model.initial_weights == {"encoder": origin, "head": origin}


def test_a_whole_model_begins_with_the_parts_that_it_has(tmp_path):
    weights = write_weights(tmp_path, "s2hand", CONFIG)
    held = read_weights(weights.path)
    whole, geometry = (
        build(starting_from(config, "s2hand", tmp_path)) for config in (CONFIG, GEOMETRY)
    )
    assert set(whole.state_dict()) == set(held)
    assert set(geometry.parts) == set(geometry.initial_weights) == {"encoder", "head"}
    for model in (whole, geometry):
        assert all(torch.equal(value, held[name]) for name, value in model.state_dict().items())
    empty = build(CONFIG)
    bare = S2Hand(starting_from(CONFIG, "s2hand", tmp_path / "nowhere"), use_pretrained=False)
    assert set(bare.state_dict()) == set(empty.state_dict())


def test_a_whole_model_has_its_parts_without_any_stage(tmp_path):
    still = replace(CONFIG, stages=tuple(replace(each, epochs=0) for each in CONFIG.stages))
    write_weights(tmp_path, "s2hand", CONFIG)
    write_weights(tmp_path, "hands", CONFIG)
    parts = {
        name: set(build(starting_from(still, name, tmp_path)).parts) for name in ("s2hand", "hands")
    }
    assert parts["hands"] == {"encoder", "head"}
    assert parts["s2hand"] == {*parts["hands"], "texture_light_head", "keypoint_estimator"}


def test_one_byte_is_another_start(tmp_path):
    config = starting_from(CONFIG, "hands", tmp_path)
    path = write_weights(tmp_path, "hands", CONFIG).path
    before = initial_weights(config, HAND)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    after = initial_weights(config, HAND)
    assert before.keys() == after.keys() == {"encoder", "head"}
    assert all(before[part]["sha256"] != after[part]["sha256"] for part in before)
    assert initial_weights(CONFIG, HAND) == {}
    imagenet = with_model(CONFIG, encoder="efficientnet-b0", pretrained="imagenet")
    assert initial_weights(imagenet, HAND) == {"encoder": {"name": "imagenet"}}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"image_size_px": 64}, "model.image_size_px must be 32, got 64"),
        ({"rotation_output": "quaternion"}, "model.rotation_output must be 'axis_angle', got 'qua"),
        ({"frame": "dataset_camera"}, "model.frame must be 'turned_camera', got 'dataset_camera'"),
        ({"rotation_centre": "origin_flipped"}, "model.rotation_centre must be 'wrist', got"),
        ({"albedo": "face"}, "model.albedo must be 'vertex', got 'face'"),
        ({"keypoint_stacks": 2}, "model.keypoint_stacks must be 1, got 2"),
        ({"keypoint_channels": 16}, "model.keypoint_channels must be 8, got 16"),
    ],
)
def test_weights_of_another_model_are_refused_by_name(tmp_path, settings, named):
    write_weights(tmp_path, "s2hand", CONFIG)
    other = starting_from(with_model(CONFIG, **settings), "s2hand", tmp_path)
    for attempt in (lambda: find_starting_weights(other, HAND), lambda: S2Hand(other)):
        with pytest.raises(ConfigurationError) as caught:
            attempt()
        message = str(caught.value)
        assert named in message
        assert message.count(" must be ") == 1
        assert f"model.pretrained='s2hand' ({tmp_path / 's2hand.safetensors'})" in message
        assert "or choose model.pretrained='none'" in message


def test_weights_of_another_encoder_are_refused(tmp_path):
    card = tiny_card("hands", CONFIG)
    other = replace(card, fits={**card.fits, "encoder": "of before"})
    save_weights(tiny_state(CONFIG, 1), other, tmp_path / "hands.safetensors")
    with pytest.raises(ConfigurationError, match="encoder must be 'of before', got 'convnet'"):
        find_starting_weights(starting_from(CONFIG, "hands", tmp_path), HAND)


def test_what_no_part_of_the_model_means_is_not_compared(tmp_path):
    write_weights(tmp_path, "s2hand", CONFIG)
    write_weights(tmp_path, "hands", CONFIG)
    flat = with_model(GEOMETRY, albedo="face", keypoint_channels=16)
    assert find_starting_weights(starting_from(flat, "s2hand", tmp_path), HAND) is not None
    turned = with_model(CONFIG, rotation_output="quaternion", albedo="face", keypoint_stacks=2)
    assert find_starting_weights(starting_from(turned, "hands", tmp_path), HAND) is not None


def test_a_whole_model_belongs_to_its_hand(tmp_path):
    for name in ("hands", "s2hand"):
        write_weights(tmp_path, name, CONFIG)
    features = starting_from(CONFIG, "hands", tmp_path)
    assert find_starting_weights(features, "f" * 64) is not None
    own = with_model(starting_from(CONFIG, "s2hand", tmp_path), hand_model="MANO_RIGHT.pkl")
    with pytest.raises(ConfigurationError) as caught:
        find_starting_weights(own, "f" * 64)
    message = str(caught.value)
    assert f"model.hand_model must be the one of fingerprint {HAND[:12]}" in message
    assert "got 'MANO_RIGHT.pkl' of fingerprint ffffffffffff" in message


def test_files_that_cannot_be_used_are_told(tmp_path):
    config = starting_from(CONFIG, "hands", tmp_path)
    path = tmp_path / "hands.safetensors"
    with pytest.raises(ConfigurationError, match="where there is nothing; make it with"):
        find_starting_weights(config, HAND)
    whole = write_weights(tmp_path, "hands", CONFIG).path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        find_starting_weights(config, HAND)
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_weights(path)
    safetensors.torch.save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"expected format s2hand-weights/1 .* got another"):
        find_starting_weights(config, HAND)
    path.write_bytes(whole.replace(b"s2hand-weights/1", b"s2hand-weights/2"))
    with pytest.raises(CheckpointError, match=r"got s2hand-weights/2; give a file that"):
        find_starting_weights(config, HAND)
    path.write_bytes(whole.replace(b'steps\\"', b'stepz\\"'))
    with pytest.raises(CheckpointError, match=r"card\.steps is missing"):
        find_starting_weights(config, HAND)
    path.write_bytes(write_weights(tmp_path / "other", "s2hand", CONFIG).path.read_bytes())
    with pytest.raises(CheckpointError, match="must hold the weights 'hands', got 's2hand'"):
        open_weights("hands", tmp_path)


def test_weights_of_other_shapes_are_of_another_version(tmp_path):
    state = tiny_state(CONFIG, seed=1)
    state["encoder.layers.0.0.weight"] = state["encoder.layers.0.0.weight"][:, :2]
    save_weights(state, tiny_card("hands", CONFIG), tmp_path / "hands.safetensors")
    message = r"its weights of 'encoder' are not those of this version \(1 differ: layers\.0\.0\.w"
    with pytest.raises(CheckpointError, match=message):
        S2Hand(starting_from(CONFIG, "hands", tmp_path))


def test_each_encoder_has_its_own_starts():
    with pytest.raises(ConfigurationError, match="'hands', 's2hand' or 'none' for the encoder 'co"):
        ModelConfig(encoder="convnet", pretrained="imagenet")
    for name in ("hands", "s2hand"):
        with pytest.raises(ConfigurationError, match="must be 'imagenet' or 'none' for the encode"):
            ModelConfig(encoder="efficientnet-b0", pretrained=name)
