"""The file of a trained model: what comes back, what lies in it, and what is refused."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from s2hand import trained_model
from s2hand.config import LossConfig, LossWeights, RuntimeConfig
from s2hand.errors import CheckpointError, HandModelError
from s2hand.hand.layer import HandLayer
from s2hand.hand.loader import load_hand_model
from s2hand.hand.model_data import SHAPES
from s2hand.trained_model import load_model, read_model_record, save_model

ONE_FILE_FOR_ALL_EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _rewrite(path, edit, *, keep_digest=False):
    """Change a file's metadata or weights as a program would that writes such files."""
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        envelope = json.loads(file.metadata()["s2hand"])
    edit(envelope, weights)
    if not keep_digest:
        envelope["sha256"] = trained_model._digest(envelope, weights)
    path.write_bytes(safetensors.torch.save(weights, {"s2hand": json.dumps(envelope)}))


def test_a_model_comes_back_bit_for_bit(saved, model, record, inputs):
    loaded = load_model(saved)
    assert read_model_record(saved) == record
    state, expected = loaded.state_dict(), model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert not any(part.training for part in loaded.modules())
    assert loaded.outputs == model.outputs
    with torch.no_grad():
        found, wanted = (each(*inputs, outputs=model.outputs) for each in (loaded, model))
    assert torch.equal(found.hand.vertices, wanted.hand.vertices)
    assert torch.equal(found.heatmap_keypoints_px, wanted.heatmap_keypoints_px)
    assert torch.equal(found.rendering.image, wanted.rendering.image)


def test_equal_trainings_give_equal_files_wherever_they_ran(saved, model, record, tmp_path):
    elsewhere = replace(
        record,
        config=replace(
            record.config,
            data=replace(record.config.data, root="/home/of/mine"),
            model=replace(record.config.model, hand_model="/home/of/mine/MANO_RIGHT.pkl"),
            runtime=RuntimeConfig(cache_dir="/home/of/mine/cache", evaluation_batch_size=3),
        ),
    )
    again = tmp_path / "elsewhere" / "model.safetensors"
    save_model(model, elsewhere, again)
    assert again.read_bytes() == saved.read_bytes()
    assert b"/home/of/mine" not in again.read_bytes()


def test_a_file_of_an_earlier_version_means_what_it_meant(saved, record):
    def as_before(envelope, _weights):
        config = envelope["record"]["config"]
        del config["model"]["projection"], config["data"]["supervision"]
        del config["data"]["extra_datasets"], config["data"]["extra_roots"]
        del config["data"]["tracks"], config["data"]["assumed_focal"]
        del config["losses"]["weights"]["joint_3d"], envelope["record"]["extra_data"]

    _rewrite(saved, as_before)
    # Of pictures without a camera it was assumed unasked.
    data = replace(record.config.data, assumed_focal=1.0)
    assert read_model_record(saved) == replace(record, config=replace(record.config, data=data))
    assert load_model(saved).config.projection == "perspective"


def test_the_projection_comes_back(config, make_model, record, tmp_path):
    flat = replace(config, model=replace(config.model, projection="orthographic"))
    path = tmp_path / "flat.safetensors"
    save_model(make_model(flat), replace(record, config=flat), path)
    assert load_model(path).config.projection == "orthographic"


def test_a_model_has_the_parts_that_its_losses_need(config, make_model, record, tmp_path):
    weights = LossWeights(heatmap_keypoint=0.0, keypoint_consistency=0.0, pixel=0.0, ssim=0.0,
                          texture_prior=0.0)  # fmt: skip
    alone = replace(config, losses=LossConfig(weights=weights))
    model = make_model(alone)
    path = tmp_path / "hand.safetensors"
    save_model(model, replace(record, config=alone), path)
    assert load_model(path).parts.keys() == {"encoder", "head"}


def test_loading_leaves_the_random_numbers_alone(saved):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_model(saved)
    assert torch.equal(torch.rand(1), expected)


def test_an_interrupted_writing_leaves_the_old_file(saved, model, record, monkeypatch):
    before = saved.read_bytes()

    def fail(_handle):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        save_model(model, replace(record, identity={"seed": 4}), saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.glob("*model*")] == [saved.name]


def test_a_record_that_does_not_fit_is_refused_before_anything_is_written(model, record, tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(ValueError, match="hand_fingerprint must be the model's"):
        save_model(model, replace(record, hand_fingerprint="0" * 64), path)
    with pytest.raises(ValueError, match="JSON's types alone"):
        save_model(model, replace(record, data={"root": path}), path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_model(model, replace(record, data={"share": float("nan")}), path)
    assert not path.exists()


# --- the hand model ---------------------------------------------------------------------------


@pytest.fixture
def with_mano(config, make_model, make_mano, record, tmp_path):
    """A model trained with a hand of 1.25 times the size, and that hand's file."""
    mano = make_mano(1.25)
    trained = replace(config, model=replace(config.model, hand_model=str(mano)))
    model = make_model(trained)
    path = tmp_path / "with_mano.safetensors"
    record = replace(record, config=trained, hand_fingerprint=model.hand_fingerprint)
    save_model(model, record, path)
    return path, mano, model


def _traces(values: np.ndarray) -> list[bytes]:
    """Return the first numbers of an array as they would lie in a file, by type."""
    kinds = ("f4", "f8", "f2") if values.dtype.kind == "f" else ("i4", "i8", "u2")
    flat = values.ravel()
    start = int(np.flatnonzero(flat)[0])
    return [flat[start : start + 48].astype(kind).tobytes() for kind in kinds]


def test_nothing_of_a_user_s_hand_lies_in_the_file(with_mano):
    path, mano, model = with_mano
    content = path.read_bytes()
    hand = load_hand_model(mano)
    arrays = {name: getattr(hand, name) for name in SHAPES}
    arrays |= {name: buffer.numpy() for name, buffer in HandLayer(hand).named_buffers()}
    assert len(arrays) == 18
    for name, values in arrays.items():
        assert not any(trace in content for trace in _traces(values)), name
    assert str(mano).encode() not in content
    with safe_open(path, framework="pt") as file:
        assert {name.split(".")[0] for name in file.keys()} == model.parts.keys()  # noqa: SIM118
    # The search finds what lies there.
    assert any(trace in content for trace in _traces(model.head.pose[0].bias.detach().numpy()))


def test_a_user_s_hand_is_given_or_found_by_the_environment(with_mano, inputs, monkeypatch):
    path, mano, model = with_mano
    with torch.no_grad():
        expected = model(*inputs).hand.vertices
        assert torch.equal(load_model(path, hand_model=mano)(*inputs).hand.vertices, expected)
        monkeypatch.setenv("S2HAND_MANO", str(mano))
        assert torch.equal(load_model(path)(*inputs).hand.vertices, expected)


def test_another_hand_than_the_trained_one_is_refused(with_mano, make_mano, monkeypatch):
    path, mano, model = with_mano
    other = make_mano(1.5)
    found = load_hand_model(other).fingerprint
    wanted = f"trained with a MANO_RIGHT.pkl of fingerprint {model.hand_fingerprint}, got "
    remedy = "give that file's path as hand_model= or in the environment variable S2HAND_MANO"
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert f"{wanted}embedded of fingerprint" in str(caught.value)
    assert remedy in str(caught.value)
    with pytest.raises(CheckpointError) as caught:
        load_model(path, hand_model=other)
    assert f"{wanted}{other} of fingerprint {found}" in str(caught.value)
    monkeypatch.setenv("S2HAND_MANO", str(mano))
    with pytest.raises(CheckpointError, match=r"got .*size_1.5_RIGHT.pkl"):
        load_model(path, hand_model=other)
    with pytest.raises(HandModelError, match=r"missing.pkl"):
        load_model(path, hand_model="missing.pkl")


def test_the_embedded_hand_is_taken_where_it_was_trained_with(saved, model, make_mano, monkeypatch):
    mano = make_mano(1.25)
    monkeypatch.setenv("S2HAND_MANO", str(mano))
    assert load_model(saved).hand_fingerprint == model.hand_fingerprint
    with pytest.raises(
        CheckpointError, match=r"trained with the embedded hand, got .*RIGHT.pkl; l"
    ):
        load_model(saved, hand_model=mano)


# --- files that are refused -------------------------------------------------------------------


@ONE_FILE_FOR_ALL_EXAMPLES
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused_wherever_it_ends(saved, tmp_path, share):
    content = saved.read_bytes()
    header = int.from_bytes(content[:8], "little") + 8
    for length in (int(share * len(content)), int(share * header), int(share * 9)):
        path = tmp_path / "truncated.safetensors"
        path.write_bytes(content[:length])
        for read in (load_model, read_model_record):
            with pytest.raises(CheckpointError, match=r"truncated.safetensors: not a whole"):
                read(path)


@ONE_FILE_FOR_ALL_EXAMPLES
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), in_header=st.booleans())
def test_a_flipped_bit_is_never_another_model(saved, model, tmp_path, share, bit, in_header):
    content = bytearray(saved.read_bytes())
    end = int.from_bytes(content[:8], "little") + 8 if in_header else len(content)
    content[int(share * end)] ^= 1 << bit
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(content)
    try:
        state = load_model(path).state_dict()
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:  # another way to write the same, as 1E-05 for 1e-05
        assert in_header
        assert all(torch.equal(state[name], each) for name, each in model.state_dict().items())


def test_what_is_no_file_of_ours_is_refused(saved, tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    tensors = {"weight": torch.zeros(3)}
    for metadata in (None, {"format": "pt"}, {"s2hand": "[1]"}, {"s2hand": '{"format": "x/1"}'}):
        foreign.write_bytes(safetensors.torch.save(tensors, metadata))
        with pytest.raises(
            CheckpointError, match=r"foreign.safetensors: a safetensors file of ano"
        ):
            load_model(foreign)
    for content in (b"", b"{", b"PK\x03\x04 something else", b'{"a": 1}' * 99, b"[" * 99999):
        foreign.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"foreign.safetensors: not a whole safetensors"):
            read_model_record(foreign)
    deep = "[" * 100_000 + "]" * 100_000
    foreign.write_bytes(safetensors.torch.save(tensors, {"s2hand": deep}))
    with pytest.raises(CheckpointError, match="not a whole safetensors"):
        read_model_record(foreign)
    with pytest.raises(CheckpointError, match=r"there is a folder; give the model.safet"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match=r"there is nothing; give the model.safete"):
        load_model(tmp_path / "missing")
    assert load_model(saved)


def test_a_checkpoint_for_resuming_is_named_as_such(tmp_path):
    path = tmp_path / "final.pt"
    torch.save({"format": "s2hand-checkpoint-1"}, path)
    with pytest.raises(CheckpointError, match=r"for resuming a training.*model.safetensors that"):
        load_model(path)


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("name", ["bomb.pt", "bomb.safetensors"])
def test_nothing_in_a_file_is_executed(tmp_path, name):
    torch.save(_Bomb(str(tmp_path / "exploded")), tmp_path / name)
    for read in (load_model, read_model_record):
        with pytest.raises(CheckpointError):
            read(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_another_format_is_named(saved):
    _rewrite(saved, lambda envelope, _: envelope.update(format="s2hand-model/2"))
    with pytest.raises(CheckpointError, match="expected the format s2hand-model/1, got s2hand-mod"):
        load_model(saved)


def test_metadata_with_other_entries_is_refused(saved):
    _rewrite(saved, lambda envelope, _: envelope.update(extra=1))
    with pytest.raises(CheckpointError, match="must hold format, record, sha256, written_by, got"):
        load_model(saved)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda record: record.pop("data"), "record.data is missing"),
        (lambda record: record.update(x=1), "record.x is not known here"),
        (lambda record: record.update(hand_fingerprint=3), "record.hand_fingerprint must be"),
        (lambda record: record["config"]["model"].pop("albedo"), "config.model.albedo is missing"),
        (lambda record: record["config"]["model"].update(y=1), "config.model.y is not known"),
        (lambda record: record["config"]["clips"].update(num_frames=1), "num_frames must be at"),
        (lambda record: record["config"]["stages"][1].update(branch="4d"), r"stages\[1\].branch"),
    ],
)
def test_a_record_of_another_version_is_refused_by_field(saved, edit, fault):
    _rewrite(saved, lambda envelope, _: edit(envelope["record"]))
    for read in (load_model, read_model_record):
        with pytest.raises(CheckpointError, match=f"{fault}.*written by s2hand .*open it with"):
            read(saved)


def _rename(_envelope, weights):
    weights["head.other"] = weights.pop(min(weights))


def _halve(_envelope, weights):
    weights[min(weights)] = weights[min(weights)].half()


@pytest.mark.parametrize("edit", [_rename, _halve])
def test_weights_of_another_network_are_refused_by_name(saved, model, edit):
    _rewrite(saved, edit)
    with pytest.raises(CheckpointError, match=f"{min(model.state_dict())}: .* in the file, "):
        load_model(saved)


def test_weights_that_were_changed_in_place_are_refused(saved):
    def edit(_envelope, weights):
        weights[min(weights)].view(-1)[0] += 1e-6

    _rewrite(saved, edit, keep_digest=True)
    assert read_model_record(saved)
    with pytest.raises(CheckpointError, match="damaged, its content has not the checksum"):
        load_model(saved)
