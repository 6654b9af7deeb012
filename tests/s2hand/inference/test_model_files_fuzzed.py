"""Files of weights that were damaged, cut, made up, or written with something else in them."""

import json
from io import BytesIO
from pathlib import Path

import pytest
import safetensors.torch
import torch
from changed_files import SCALARS, changed_bytes, changed_tree, fuzzed, read_or_refused
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from tiny_weights import tiny_card

from s2hand.config import S2HandConfig
from s2hand.errors import CheckpointError, S2HandError
from s2hand.starting_weights import Card, read_card, read_weights, save_weights
from s2hand.trained_model import ModelRecord, load_model, read_model_record
from s2hand.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def changed_safetensors(draw: st.DrawFn, path: Path) -> bytes:
    """Change bytes, or what the metadata say, beside a weight that belongs to nothing."""
    if draw(st.booleans()):
        return changed_bytes(draw, path.read_bytes())
    with safe_open(path, framework="pt") as file:
        ((entry, text),) = file.metadata().items()
    tree = changed_tree(draw, json.loads(text), SCALARS)
    return safetensors.torch.save({"encoder.weight": torch.zeros(2)}, {entry: json.dumps(tree)})


@fuzzed
@given(st.data())
def test_a_trained_model_is_read_or_refused(saved: Path, data: st.DataObject) -> None:
    path = saved.with_name("changed.safetensors")
    path.write_bytes(changed_safetensors(data.draw, saved))
    record = read_or_refused(
        lambda: read_model_record(path), path.parent, errors=CheckpointError, named=str(path)
    )
    assert record is None or isinstance(record, ModelRecord)
    # What was changed does not have its checksum; a hand model may be what is missed first.
    read_or_refused(lambda: load_model(path), path.parent, errors=S2HandError, named=str(path))


@pytest.fixture
def weights(config: S2HandConfig, tmp_path: Path) -> Path:
    path = tmp_path / "hands.safetensors"
    state = {f"{part}.weight": torch.ones(2, 3) for part in ("encoder", "head.trunk")}
    save_weights(state, tiny_card("hands", config), path)
    return path


@fuzzed
@given(st.data())
def test_starting_weights_are_read_or_refused(weights: Path, data: st.DataObject) -> None:
    path = weights.with_name("changed.safetensors")
    path.write_bytes(changed_safetensors(data.draw, weights))
    card = read_or_refused(
        lambda: read_card(path), path.parent, errors=CheckpointError, named=str(path)
    )
    assert card is None or isinstance(card, Card)
    read_or_refused(
        lambda: read_weights(path), path.parent, errors=CheckpointError, named=str(path)
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "latest.pt"
    whole = Checkpoint(
        stage_id="a" * 64, identity={"seed": 0}, epochs_done=3, training_s=1.5,
        model={"weight": torch.ones(2)}, optimiser={"state": {}, "param_groups": [{"lr": 0.1}]},
    )  # fmt: skip
    save_checkpoint(whole, path)
    return path


@fuzzed
@given(st.data())
def test_a_checkpoint_is_read_or_refused(checkpoint: Path, data: st.DataObject) -> None:
    path = checkpoint.with_name("changed.pt")
    if data.draw(st.booleans()):
        content = changed_bytes(data.draw, checkpoint.read_bytes())
    else:
        tree = changed_tree(data.draw, torch.load(checkpoint, weights_only=True), SCALARS)
        buffer = BytesIO()
        torch.save(tree, buffer)
        content = buffer.getvalue()
    path.write_bytes(content)
    found = read_or_refused(
        lambda: load_checkpoint(path), path.parent, errors=CheckpointError, named=str(path)
    )
    assert found is None or isinstance(found, Checkpoint)
