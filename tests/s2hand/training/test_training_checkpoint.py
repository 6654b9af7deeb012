"""Checkpoints: whole or not there, and never executed."""

import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from s2hand.errors import CheckpointError
from s2hand.training.checkpoint import (
    FORMAT,
    Checkpoint,
    load_checkpoint,
    require_same,
    save_checkpoint,
)


def make_checkpoint(value=1.0):
    return Checkpoint(
        stage_id="a" * 64,
        identity={"seed": 0, "model": {"encoder": "convnet"}},
        epochs_done=3,
        training_s=1.5,
        model={"weight": torch.full((2,), value)},
        optimiser={"state": {}, "param_groups": [{"lr": 0.1}]},
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    save_checkpoint(make_checkpoint(), tmp_path / "not" / "yet" / "latest.pt")
    loaded = load_checkpoint(tmp_path / "not" / "yet" / "latest.pt")
    assert torch.equal(loaded.model["weight"], torch.ones(2))
    assert (loaded.identity, loaded.epochs_done, loaded.training_s) == (
        make_checkpoint().identity, 3, 1.5,
    )  # fmt: skip
    assert loaded.optimiser["param_groups"] == [{"lr": 0.1}]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "latest.pt"
    save_checkpoint(make_checkpoint(), path)

    def no_space(_content, file):
        file.write(b"half a check")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", no_space)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(make_checkpoint(2.0), path)
    assert load_checkpoint(path).model["weight"][0] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["latest.pt"]


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent\.pt: no checkpoint there"):
        load_checkpoint(tmp_path / "absent.pt")


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], torch.ones(3)])
def test_a_foreign_file_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match=r"foreign\.pt: expected a checkpoint of format"):
        load_checkpoint(tmp_path / "foreign.pt")


def test_a_file_with_code_is_refused_without_running_it(tmp_path, capsys):
    torch.save({"format": Malicious()}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=r"bad\.pt: not a whole checkpoint"):
        load_checkpoint(tmp_path / "bad.pt")
    (tmp_path / "worse.pt").write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(CheckpointError, match=r"worse\.pt") as refused:
        load_checkpoint(tmp_path / "worse.pt")
    assert "weights_only" not in str(refused.value)
    assert "executed" not in capsys.readouterr().out


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "whole.pt"
    save_checkpoint(make_checkpoint(), path)
    content = path.read_bytes()
    for size in range(0, len(content), max(1, len(content) // 12)):
        (tmp_path / "cut.pt").write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=r"cut\.pt"):
            load_checkpoint(tmp_path / "cut.pt")


@pytest.mark.parametrize(
    "error",
    [
        *(OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError),
        *(TypeError, AssertionError, pickle.UnpicklingError),
    ],
)
def test_whatever_torch_says_of_a_file_the_file_is_named(tmp_path, monkeypatch, error):
    path = tmp_path / "broken.pt"
    save_checkpoint(make_checkpoint(), path)

    def fail(*_, **__):
        raise error("words of torch")

    monkeypatch.setattr(torch, "load", fail)
    expected = rf"broken\.pt: not a whole checkpoint \({error.__name__}\), there is .*; delete it"
    with pytest.raises(CheckpointError, match=expected) as refused:
        load_checkpoint(path)
    assert "words of torch" not in str(refused.value)


def content():
    return {"format": FORMAT, **asdict(make_checkpoint())}


def test_a_file_has_the_fields_of_a_checkpoint_and_its_format(tmp_path):
    path = tmp_path / "whole.pt"
    save_checkpoint(make_checkpoint(), path)
    written = torch.load(path, weights_only=True)
    assert written.keys() == content().keys()
    # What was written by this format's first version can be read for ever.
    assert written["format"] == "s2hand-checkpoint-2"
    torch.save(content(), path)
    assert load_checkpoint(path).stage_id == "a" * 64


OTHER_KINDS = {
    "format": "s2hand-checkpoint-1",
    "stage_id": 7,
    "identity": [("seed", 0)],
    "epochs_done": 3.0,
    "training_s": 1,
    "model": [torch.ones(2)],
    "optimiser": None,
}


@pytest.mark.parametrize("change", [
    *({name: value} for name, value in OTHER_KINDS.items()),
    {"identity": {0: "seed"}}, {"model": {0: torch.ones(2)}}, {"model": {"weight": [1.0]}},
    {"more": 1},
])  # fmt: skip
def test_a_field_of_another_kind_is_refused(tmp_path, change):
    torch.save(content() | change, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match=r"odd\.pt: expected a checkpoint of format"):
        load_checkpoint(tmp_path / "odd.pt")


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_a_missing_field_is_refused(tmp_path, name):
    torch.save({key: value for key, value in content().items() if key != name}, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match=r"odd\.pt: expected a checkpoint of format"):
        load_checkpoint(tmp_path / "odd.pt")


def test_a_checkpoint_is_loaded_where_it_is_wanted(tmp_path):
    save_checkpoint(make_checkpoint(), tmp_path / "latest.pt")
    assert load_checkpoint(tmp_path / "latest.pt").model["weight"].device.type == "cpu"
    moved = load_checkpoint(tmp_path / "latest.pt", device="meta")
    assert moved.model["weight"].device.type == "meta"


def test_the_fields_in_which_identities_differ_are_named():
    saved = {"seed": 0, "model": {"encoder": "convnet", "size": {"px": 32}}, "gone": 1}
    wanted = {"seed": 0, "model": {"encoder": "resnet", "size": {"px": 64}}, "new": (1, 2)}
    path = Path("folder") / "final.pt"
    require_same(saved, saved, path)
    with pytest.raises(CheckpointError) as refused:
        require_same(saved, wanted, path)
    assert str(refused.value) == (
        "folder/final.pt: belongs to another configuration (gone: 1 in the file, None here; "
        "model.encoder: 'convnet' in the file, 'resnet' here; model.size.px: 32 in the file, "
        "64 here; new: None in the file, (1, 2) here); use an empty folder, or the configuration "
        "it was trained with"
    )


def test_of_many_differences_eight_are_named():
    saved, wanted = ({f"field{n}": n + shift for n in range(9)} for shift in (0, 1))
    with pytest.raises(CheckpointError, match=r"field7: 7 in the file, 8 here\);"):
        require_same(saved, wanted, Path("final.pt"))
