"""What a record says of sets that are, or are nearly, the published ones."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from s2hand.config import DataConfig, S2HandConfig
from s2hand.data.build import Source
from s2hand.data.fingerprint import fingerprint_training_data
from s2hand.data.record import DatasetRecord, describe_datasets, identify_training_data
from s2hand.errors import ConfigurationError
from s2hand.layouts import LAYOUTS, Layout, PublishedSplit, PublishedVersion


def config_of(root: Path, **settings) -> S2HandConfig:
    return S2HandConfig(data=DataConfig(root=str(root), **settings))


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the tests' tiny sets be what was published."""

    def change(name: str, *versions: PublishedVersion) -> None:
        layout: Layout = replace(LAYOUTS[name], versions=versions)
        monkeypatch.setattr("s2hand.data.build.LAYOUTS", {**LAYOUTS, name: layout})

    return change


def test_published_counts_are_those_of_the_papers_and_the_sets_pages():
    def frames(name: str, split: str) -> dict[str, int]:
        return {v.name: v.splits[split].frames for v in LAYOUTS[name].versions}

    assert frames("freihand", "train") == {"v2": 32_560}
    assert frames("freihand", "test") == {"v2": 3_960}
    # Four copies of each, one of them the original.
    assert LAYOUTS["freihand"].versions[0].splits["train"].image_files == 4 * 32_560
    ho3d = {split: frames("ho3d", split) for split in ("train", "test")}
    # 77,558 and 103,462 frames in all, as HO-3D's authors say of versions 2 and 3.
    assert [ho3d["train"][v] + ho3d["test"][v] for v in ("v2", "v3")] == [77_558, 103_462]
    assert (ho3d["train"]["v2"], ho3d["train"]["v3"]) == (66_034, 83_325)
    test_v2 = LAYOUTS["ho3d"].versions[0].splits["test"]
    assert len(test_v2.sequence_names) == test_v2.sequences == 13


def test_a_training_identifies_its_set_in_one_reading(make_ho3d, monkeypatch):
    config = config_of(make_ho3d(), dataset="ho3d")
    expected = fingerprint_training_data(config), describe_datasets(config).training
    readings = []
    read = Source.files_read
    monkeypatch.setattr(Source, "files_read", lambda self: readings.append(self) or read(self))
    data = identify_training_data(config)
    assert (data.fingerprint, data.record) == expected
    assert [source.split for source in readings] == ["train"]


def test_other_sets_are_ones_own_and_say_why(make_freihand, make_ho3d):
    record = describe_datasets(config_of(make_freihand())).training
    assert (record.origin, record.version, record.title) == (
        "own", "", "own data in FreiHAND's layout",
    )  # fmt: skip
    assert record.why_not_official == "5 frames; FreiHAND v2 has 32,560"
    records = describe_datasets(config_of(make_ho3d(), dataset="ho3d"))
    assert (
        records.evaluation.why_not_official == "6 frames; HO-3D v2 has 11,524, HO-3D v3 has 20,137"
    )
    assert records.training.sequences == records.evaluation.sequences == 1


TINY = {"train": PublishedSplit(frames=6, image_files=6, sequences=1),
        "test": PublishedSplit(frames=6, image_files=6, sequences=1,
                               sequence_names=frozenset(["SM1"]))}  # fmt: skip


def version(name: str, suffix: str, **changes) -> PublishedVersion:
    return PublishedVersion(
        name=name, image_suffix=suffix, image_size_px=(64, 48), splits={**TINY, **changes}
    )


def test_the_published_set_is_official_at_any_path(make_ho3d, publish, tmp_path):
    publish("ho3d", version("v2", ".png"))
    root = make_ho3d().rename(tmp_path / "somewhere")
    records = describe_datasets(config_of(root, dataset="ho3d"))
    for record in (records.training, records.evaluation):
        assert (record.origin, record.version, record.why_not_official) == ("official", "v2", "")
    assert records.title == "HO-3D v2"
    publish("ho3d", replace(version("v2", ".png"), name="v3"))
    record = describe_datasets(config_of(root, dataset="ho3d")).training
    assert record.origin == "official"


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        (version("v2", ".jpg"), "images are .png; HO-3D v2 has .jpg"),
        (
            replace(version("v2", ".png"), image_size_px=(640, 480)),
            "images of 64x48 px; HO-3D v2 has 640x480",
        ),
        (
            version("v2", ".png", test=replace(TINY["test"], image_files=7)),
            "6 image files; HO-3D v2 has 7",
        ),
        (
            version("v2", ".png", test=replace(TINY["test"], sequences=13)),
            "1 sequences; HO-3D v2 has 13",
        ),
        (
            version("v2", ".png", test=replace(TINY["test"], sequence_names=frozenset(["AP1"]))),
            "a sequence SM1; HO-3D v2 has none of that name",
        ),
        (version("v2", ".png", test=replace(TINY["test"], frames=7)), "6 frames; HO-3D v2 has 7"),
    ],
)
def test_any_mismatch_makes_a_set_ones_own(make_ho3d, publish, published, reason):
    publish("ho3d", published)
    record = describe_datasets(config_of(make_ho3d(), dataset="ho3d")).evaluation
    assert (record.origin, record.version) == ("own", "")
    assert record.why_not_official == reason


def test_truth_and_detections_are_what_is_there(make_freihand, make_ho3d):
    ho3d = make_ho3d()
    records = describe_datasets(config_of(ho3d, dataset="ho3d"))
    assert records.training.truth == ("joints", "rotations")
    assert records.evaluation.truth == ("joints", "vertices")
    assert records.evaluation.detections
    (ho3d / "openpose/SM1/detect.json").unlink()
    (ho3d / "evaluation_verts.json").unlink()
    evaluation = describe_datasets(config_of(ho3d, dataset="ho3d")).evaluation
    assert (evaluation.truth, evaluation.detections) == (("joints",), False)
    freihand = make_freihand()
    records = describe_datasets(config_of(freihand))
    assert (records.training.truth, records.training.detections) == (("joints",), True)
    assert (records.evaluation.truth, records.evaluation.detections) == (
        ("joints", "vertices"), False,
    )  # fmt: skip
    (freihand / "training_xyz.json").unlink()
    assert describe_datasets(config_of(freihand)).training.truth == ()


def test_sets_chosen_apart_have_a_record_each(make_freihand, make_ho3d):
    config = config_of(
        make_freihand(),
        evaluation_dataset="ho3d",
        evaluation_root=str(make_ho3d()),
        validation_root=str(make_ho3d()),
    )
    records = describe_datasets(config)
    assert records.training.name == "freihand"
    assert records.evaluation.name == records.validation.name == "ho3d"
    assert records.evaluation.split == records.validation.split == "test"
    assert records.title == ("own data in HO-3D's layout, trained on own data in FreiHAND's layout")


def test_a_record_survives_json_and_damage_is_named(make_ho3d):
    record = describe_datasets(config_of(make_ho3d(), dataset="ho3d")).training
    plain = json.loads(json.dumps(record.to_plain()))
    assert plain == record.to_plain()
    assert DatasetRecord.from_plain(plain) == record
    for name in (field.name for field in fields(record)):
        damaged = {key: value for key, value in plain.items() if key != name}
        with pytest.raises(ConfigurationError, match=f"dataset record.{name} is missing"):
            DatasetRecord.from_plain(damaged)
    with pytest.raises(ConfigurationError, match=r"record.name must be one of 'freihand', 'ho3d'"):
        DatasetRecord.from_plain(plain | {"name": "coco"})
