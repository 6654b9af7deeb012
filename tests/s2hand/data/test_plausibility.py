"""Sets that cannot be what their layout says, made from tiny ones that can."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s2hand.data.freihand import load_freihand
from s2hand.data.ho3d import load_ho3d
from s2hand.data.plausibility import Share, verdicts
from s2hand.errors import DataError

S2HAND_FROM_OPENPOSE = [0, 5, 6, 7, 8, 9, 10, 11, 12, 17, 18, 19, 20, 13, 14, 15, 16, 1, 2, 3, 4]
MANO_FROM_OPENPOSE = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
TIPS_FIRST = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]


def change(path: Path, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    path.write_text(json.dumps(edit(np.array(json.loads(path.read_text()))).tolist()))


def change_detections(
    path: Path, edit: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> None:
    keypoints, confidence, names = json.loads(path.read_text())
    edited = edit(np.array(keypoints), np.array(confidence))
    path.write_text(json.dumps([*(part.tolist() for part in edited), names]))


def share(value: float, subject: str = "things good") -> Share:
    return Share(subject=subject, value=value, of="of things are good", where="a.json",
                 remedy="make them good")  # fmt: skip


def test_below_half_is_an_error_and_below_four_fifths_a_note():
    assert verdicts([share(0.8), share(1.0)]) == {}
    noted = verdicts([share(0.5, "a"), share(0.79, "b"), share(0.9, "c")])
    assert noted == {"a": "only 50% of things are good", "b": "only 79% of things are good"}
    with pytest.raises(DataError) as caught:
        verdicts([share(0.49), share(0.7), share(0.0)])
    assert str(caught.value).splitlines() == [
        f"a.json: only {found} of things are good, at least 50% are expected; make them good"
        for found in ("49%", "0%")
    ]


def nothing(keypoints, confidence):
    return 0 * keypoints, 0 * confidence


def one_in_three(keypoints, confidence):
    confidence[:, ::3] = 0
    return keypoints, confidence


def one_place(keypoints, confidence):
    return np.broadcast_to(keypoints[:, :1], keypoints.shape), confidence


def same_everywhere(keypoints, confidence):
    return np.broadcast_to(keypoints[:1], keypoints.shape), confidence


def beside(keypoints, confidence):
    keypoints[..., 0] += 26 - keypoints[..., 0].min(axis=1, keepdims=True)  # of 48 px, from -0.5
    keypoints[..., 0] += 22 * (keypoints[..., 0] < 999)
    return keypoints.clip(max=71), confidence


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (nothing, r"detect_all.json: only 0% of the keypoints are found, .*; detect on these"),
        (one_place, r"only 0% of the images have keypoints further apart than 2% of the image"),
        (same_everywhere, r"only 20% of the images have keypoints that no other image has"),
        (beside, r"only \d% of the found keypoints lie inside their image"),
    ],
)
def test_detections_that_nobody_can_train_on_are_refused(make_freihand, edit, message):
    root = make_freihand()
    (root / "training_xyz.json").unlink()
    change_detections(root / "openpose_v2/training/detect_all.json", edit)
    with pytest.raises(DataError, match=message):
        load_freihand(root, "train")


def test_a_third_that_is_not_found_is_noted(make_freihand, make_ho3d):
    root = make_freihand()
    change_detections(root / "openpose_v2/training/detect_all.json", one_in_three)
    expected = {"keypoints found": "only 67% of the keypoints are found"}
    assert load_freihand(root, "train").notes == expected
    root = make_ho3d()
    change_detections(root / "openpose/AB1/detect.json", one_in_three)
    assert load_ho3d(root, "train").notes == expected


@pytest.mark.parametrize("split", ["train", "test"])
def test_sets_in_order_say_nothing(make_freihand, make_ho3d, split):
    for load, root in ((load_freihand, make_freihand()), (load_ho3d, make_ho3d())):
        for max_frames in (0, 1):
            assert load(root, split, max_frames=max_frames).notes == {}
            assert load(root, split, max_frames=max_frames, keypoints="ground_truth").notes == {}


@pytest.mark.parametrize(
    ("edit", "likely"),
    [
        (lambda k, c: (k[..., ::-1] + [0, 0.001], c), r"look like \(y, x\) instead of \(x, y\)"),
        (lambda k, c: ((k + 0.5) / 2 - 0.5, c), r"pixels of images 0.5 times as large"),
        (lambda k, c: (k[:, MANO_FROM_OPENPOSE], c), r"keypoints look like .* order 'mano_tips'"),
        (lambda k, c: (k[:, S2HAND_FROM_OPENPOSE], c), r"keypoints look like .* order 's2hand'"),
        (lambda k, c: (np.roll(k, 1, axis=0), c), r"are they, the truth .* of the same images\?"),
    ],
)
def test_detections_must_agree_with_the_truth(make_ho3d, edit, likely):
    root = make_ho3d(count=8)
    change_detections(root / "openpose/AB1/detect.json", edit)
    message = r"detect.json: only \d+% of the found keypoints lie within 0.2 .*"
    with pytest.raises(DataError, match=message + likely):
        load_ho3d(root, "train")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda x: 1000 * x, r"00000000 must be a hand in metres, 0.04 to 0.4 .* millimetres"),
        (lambda x: 100 * x, r"\(5 such of 5\); these look like centimetres"),
        (lambda x: x / 0.0282, r"no unit that is known here: are they normalised"),
        (lambda x: np.concatenate([x[:2], 1000 * x[2:]]), r"00000002 must .* \(3 such of 5\)"),
        (lambda x: x * [1, -1, -1], r"in front of the camera, got .*; y and z look flipped: Frei"),
        (lambda x: x - x[:, :1], r"in front of the camera, .* these look relative to wrist"),
        (lambda x: x - x[:, 9:10], r"these look relative to middle_1"),
        (lambda x: x - x.mean(1, keepdims=True), r"these look relative to the hand's middle"),
        (lambda x: x - [0, 0, 1.98], r"are the numbers absolute, in the camera's frame\?"),
        (lambda x: x[:, MANO_FROM_OPENPOSE], r"order 'openpose', got .* order 'mano_tips'"),
        (lambda x: x[:, TIPS_FIRST], r"order 'openpose', got .* order 'fingertips first'"),
        (lambda x: x * [1, -1, 1], r"only 0% of the true hands bend their fingers as right hands"),
        (
            lambda x: x + np.array([0.3, 0, 0]),
            r"only \d+% of the true joints are projected into their im",
        ),
    ],
)
def test_conventions_of_the_truth_are_recognised(make_freihand, edit, message):
    root = make_freihand()
    (root / "evaluation_verts.json").unlink()
    change(root / "evaluation_xyz.json", edit)
    with pytest.raises(DataError, match=message) as caught:
        load_freihand(root, "test")
    assert str(root / "evaluation_xyz.json") in str(caught.value)


@pytest.mark.parametrize("value", [2.0**64, 3e38])
def test_numbers_that_are_too_large_to_square_are_refused_without_a_warning(
    make_freihand, make_ho3d, value
):
    def edit(points):
        points[2, 3, 1] = value
        points[2, 4, 1] = -value
        return points

    for root, name, load in (
        (make_freihand(), "training_xyz.json", lambda root: load_freihand(root, "train")),
        (make_ho3d(), "evaluation_xyz.json", lambda root: load_ho3d(root, "test")),
    ):
        change(root / name, edit)
        with pytest.raises(DataError, match=rf"{name}.* must be a hand in metres"):
            load(root)


def test_matrices_that_are_no_cameras_are_named(make_freihand):
    root = make_freihand()
    for edit in (np.linalg.inv, lambda k: k.swapaxes(1, 2), lambda k: -k):
        make_freihand()
        change(root / "training_K.json", edit)
        with pytest.raises(DataError, match=r"training_K.json: 00000000 must be seen by a camera"):
            load_freihand(root, "train")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda x: 1000 * x, r"evaluation_xyz.json: SM1/0000 must be a hand .* millimetres"),
        (lambda x: x * [1, -1, -1], r"y and z look flipped: HO-3D's files are in OpenGL's frame"),
        (lambda x: x[:, np.argsort(MANO_FROM_OPENPOSE)], r"'mano_tips', got .* order 'openpose'"),
        (lambda x: x[::-1], r"evaluation_xyz.json: only \d+% of the wrists lie within 1 cm of"),
        (lambda x: x + np.array([0.2, 0, 0]), r"only \d+% of a hand's points lie within its box"),
    ],
)
def test_conventions_of_sequences_are_recognised(make_ho3d, edit, message):
    root = make_ho3d()
    (root / "evaluation_verts.json").unlink()
    change(root / "evaluation_xyz.json", edit)
    with pytest.raises(DataError, match=message):
        load_ho3d(root, "test")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: v * [1, -1, -1], r"evaluation_verts.json: SM1/0000 .* in front of the camera"),
        (lambda v: 1000 * v, r"evaluation_verts.json: SM1/0000 must be a hand .* millimetres"),
        (lambda v: v[:, ::-1], r"only \d+% of the fingertips lie within 2 cm as joints and as"),
    ],
)
def test_vertices_are_of_the_joints_hands(make_ho3d, edit, message):
    root = make_ho3d()
    change(root / "evaluation_verts.json", edit)
    with pytest.raises(DataError, match=message):
        load_ho3d(root, "test")
