"""Videos in the wild: what is written, against the true hands, and what it leaves alone."""

import inspect
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2hand.data.check import check_set
from s2hand.data.manifest import find_manifest
from s2hand.data.youtube3d import load_youtube3d
from s2hand.data.youtube3d_files import read_annotations
from s2hand.errors import DataError
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.fingertips import S2HAND_FINGERTIPS
from s2hand.synthetic import IN_THE_WILD_SIZES, SIZES, NamespaceSize, make_synthetic, videos
from s2hand.synthetic.namespaces import posture_examples
from s2hand.synthetic.picture import PaintedHand

COUNTS = NamespaceSize(
    images=0, sequences=3, min_frames=7, max_frames=8, subjects=2, backgrounds=2, objects=1
)
PX = 32


def make(root: Path, **changes: object) -> None:
    arguments = {"size": {"in_the_wild": COUNTS}, "seed": 10, "image_size_px": PX, "num_workers": 2}
    make_synthetic(root, **{**arguments, **changes})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("wild")
    (root / "manifest.json").write_text("of the benchmark around it")
    make(root)
    assert (root / "manifest.json").read_text() == "of the benchmark around it"
    return root / "in_the_wild/youtube3d"


def test_the_set_is_one_that_the_loader_and_the_check_agree_with(made: Path) -> None:
    (checked,) = check_set(made, "youtube3d")
    assert checked.is_usable
    assert not {"shifted frames", "other frames", "shape of images"} & set(checked.notes)
    assert checked.notes["detections at the annotated hands"].startswith("100%")
    table = load_youtube3d(made, "train")
    assert table.is_mirrored is not None
    assert 0 < table.is_mirrored.mean() < 1
    manifest, prefix = find_manifest(made)
    assert prefix == "youtube3d/"
    written = {f"youtube3d/{p.relative_to(made)}" for p in made.rglob("*") if p.is_file()}
    assert set(manifest.files) == written


def test_images_are_smaller_than_those_that_were_annotated(made: Path) -> None:
    content = json.loads((made / "youtube_train.json").read_text())
    assert {(image["width"], image["height"]) for image in content["images"]} == {(1280, 720)}
    assert list(content["annotations"][0]) == ["vertices", "is_left", "image_id", "id"]
    sizes = set()
    for image in content["images"]:
        with Image.open(made / image["name"]) as stored:
            assert stored.width * 9 == stored.height * 16
            assert 0.65 < stored.width / (960 * PX / 224) < 1.1
            sizes.add(stored.size)
    assert len(sizes) > 1


def test_several_hands_are_in_one_image_and_some_are_not_annotated(made: Path) -> None:
    hands = list(read_annotations(made / "youtube_train.json", with_vertices=True))
    of_images = Counter(hand.image for hand in hands)
    assert set(of_images.values()) == {1, 2}
    found = sum(
        len(json.loads(path.read_text())["hands"]) for path in (made / "keypoints").iterdir()
    )
    assert found >= len(hands)


def test_vertices_are_hands_in_pixels_right_ones_or_mirrored(made: Path) -> None:
    """A rest hand's thumb lies on the other side of its palm when it is mirrored."""
    template = embedded_hand().v_template
    for hand in read_annotations(made / "youtube_train.json", with_vertices=True):
        vertices = hand.vertices_px.astype(float) * ([-1, 1, 1] if hand.is_left else [1, 1, 1])
        # The wrist's rim moves as one with the hand: its handedness shows in the volume.
        rigid = np.linalg.norm(template - template[777], axis=1).argsort()[:60]
        ours, theirs = (points[rigid] - points[rigid].mean(0) for points in (vertices, template))
        turn = np.linalg.svd(theirs.T @ ours)
        assert np.linalg.det(turn[0] @ turn[2]) > 0
        tips = hand.vertices_px[list(S2HAND_FINGERTIPS), :2]
        assert 10 < np.linalg.norm(np.ptp(tips, axis=0)) < 500


def test_a_left_hand_is_painted_mirrored_and_covers_what_lies_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def paint(stage, person, exposure, scene, things, intrinsics_px, size_px):
        asked.append((scene.lights, intrinsics_px))
        colour = np.zeros((2, 4, 4), np.float32)
        colour[:, 0] = 1
        return PaintedHand(
            colour=colour,
            window=np.array([10, 5, 4, 2]),
            truth_px=np.full((21, 2), [10.0, 5.0]),
            visibility=np.zeros(21, np.int64),
            blur_px=np.ones((21, 2)),
        )

    class OneScene:
        lights = np.ones((2, 7))

    monkeypatch.setattr(videos, "paint_hand", paint)
    monkeypatch.setattr(videos, "replace", lambda scene, lights: type("S", (), {"lights": lights}))
    hand = videos._Hand(
        is_left=True,
        vertices=np.zeros((1, 3, 778, 3)),
        joints=np.zeros((1, 3, 21, 3)),
        global_orient=np.zeros((1, 3, 3)),
    )
    camera = np.array([[50.0, 0, 30], [0, 50, 20], [0, 0, 1]])
    left = inspect.unwrap(videos._paint)(None, None, hand, 0, OneScene(), camera, (64, 36))
    lights, seen_by = asked[0]
    assert lights[0].tolist() == [-1, 1, 1, 1, 1, 1, 1]
    assert seen_by[0, 2] == 33
    assert left.window.tolist() == [50, 5, 4, 2]
    assert left.colour[:, 3].all()
    assert not left.colour[:, 0].any()
    assert left.truth_px[0].tolist() == [53, 5]
    assert left.blur_px[0].tolist() == [-1, 1]
    assert videos._covers(left, np.array([[53.0, 5]] * 20 + [[50.0, 5]])).tolist() == [
        *[True] * 20,
        False,
    ]


def test_no_training_row_and_no_test_has_its_postures() -> None:
    hand = embedded_hand()
    wild = set(posture_examples(hand, "in_the_wild"))
    assert wild == set(posture_examples(hand, "pretraining"))
    for namespace in ("training", "validation", "test"):
        assert not wild & set(posture_examples(hand, namespace))


def test_it_is_made_when_asked_for_alone() -> None:
    assert not any("in_the_wild" in size for size in SIZES.values())
    assert set(IN_THE_WILD_SIZES) == set(SIZES) - {"pretraining"}


def test_a_finished_set_is_checked(made: Path) -> None:
    root = made.parents[1]
    before = (made.parent / "manifest.json").read_bytes()
    make(root)
    assert (made.parent / "manifest.json").read_bytes() == before
    with pytest.raises(DataError, match="holds a benchmark with other parameters, seed"):
        make(root, seed=2)
