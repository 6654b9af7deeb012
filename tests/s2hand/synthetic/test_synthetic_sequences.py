"""What a sequence shows and says; the pictures themselves are not taken."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from faked_pictures import Chances, Taken, bare_stage, picture_of
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy.spatial.transform import Rotation

from s2hand.hand.fingertips import HO3D_FINGERTIPS
from s2hand.hand.layer import HandLayer
from s2hand.hand.pickles import load_restricted
from s2hand.synthetic import sequences
from s2hand.synthetic.detector import DETECTORS, DetectorInput
from s2hand.synthetic.picture import Picture
from s2hand.synthetic.sequences import make_sequence, stored_size_px
from s2hand.synthetic.shard import ShardRecord

PX, COUNT = 28, 90  # an eighth of the official size
OPENGL = np.array([1.0, -1, -1])


class Film(NamedTuple):
    """A sequence, what its pictures were asked to show, and what the detector was told."""

    record: ShardRecord
    taken: list[Taken]
    told: DetectorInput
    root: Path

    def meta(self, number: int) -> dict[str, Any]:
        return load_restricted(sorted(self.root.rglob("*.pkl"))[number], what="meta")

    def exposed(self, name: str) -> np.ndarray:
        return np.stack([getattr(taken.exposure, name) for taken in self.taken])


def find(given: DetectorInput, *_: object) -> tuple[np.ndarray, np.ndarray]:
    """Detect what is there, with a confidence that differs by joint."""
    confidence = np.broadcast_to(np.linspace(0.123456, 0.9, 21), given.truth_px.shape[:2])
    return given.truth_px.copy(), confidence.copy()


def filmed(namespace: str, index: int, root: Path, count: int = COUNT, px: int = PX) -> Film:
    stage = bare_stage(namespace, px)
    taken, told = [], []

    def take(*arguments: object) -> Picture:
        taken.append(Taken(*arguments))
        return picture_of(taken[-1])

    def note(given: DetectorInput, *rest: object) -> tuple[np.ndarray, np.ndarray]:
        told.append(given)
        return find(given, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "take_picture", take)
        patch.setattr(sequences, "detect", note)
        record = make_sequence(stage, root, index, count, px, DETECTORS["simulated"])
    return Film(record=record, taken=taken, told=told[0], root=root)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return filmed("training", 7, tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return filmed("test", 7, tmp_path_factory.mktemp("test"), count=3)


def test_convention_224_stores_sequences_as_ho3d_does() -> None:
    assert stored_size_px(224) == (640, 480)


@pytest.mark.parametrize("crop_px", [32, 60, 128, 200, 511])
def test_stored_pictures_keep_ho3d_s_shape(crop_px: int) -> None:
    width, height = stored_size_px(crop_px)
    assert 4 * height == 3 * width
    assert abs(width - 640 * crop_px / 224) <= 2


def test_frames_are_written_under_their_numbers(film: Film, evaluation: Film) -> None:
    for each, folder in ((film, "train/SYN0007"), (evaluation, "evaluation/SYNE0007")):
        name, frames = folder.split("/")[1], each.record.arrays["frames"]
        assert each.record.arrays["name"].item() == name
        assert list(each.record.hashes) == [
            *(
                f"ho3d/{folder}/{kind}/{frame:04d}.{ending}"
                for frame in frames
                for kind, ending in (("rgb", "jpg"), ("meta", "pkl"))
            ),
            f"ho3d/openpose/{name}/detect.json",
        ]
        assert all((each.root / path).is_file() for path in each.record.hashes)
    with Image.open(next(film.root.rglob("*.jpg"))) as image:
        assert image.size == stored_size_px(PX) == (80, 60)


def test_the_detector_s_file_has_an_entry_for_every_frame_number(film: Film) -> None:
    pictures = [picture_of(taken) for taken in film.taken]
    for name in ("truth_px", "visibility", "blur_px"):
        expected = np.stack([getattr(picture, name) for picture in pictures])
        assert_array_equal(getattr(film.told, name), expected)
    frames = film.record.arrays["frames"]
    assert_array_equal(film.told.frames, frames)
    assert (film.told.image_size_px, film.told.unit_px) == ((80, 60), 80 / 640)
    path = film.root / "ho3d/openpose/SYN0007/detect.json"
    keypoints, confidence, names = json.loads(path.read_text())
    count = frames[-1] + 1
    assert count > len(frames), "no gap"
    assert names == [[f"{number:04d}.jpg"] for number in range(count)]
    found, sure = find(film.told)
    assert_array_equal(np.array(keypoints)[frames], found.round(2))
    assert_array_equal(np.array(confidence)[frames], sure.round(4)[..., None])
    gaps = np.setdiff1d(np.arange(count), frames)
    assert not np.array(keypoints)[gaps].any()
    assert not np.array(confidence)[gaps].any()
    assert np.shape(keypoints) == (count, 21, 2)


def test_the_camera_is_about_ho3d_s(film: Film) -> None:
    (K,) = np.unique([taken.intrinsics_px for taken in film.taken], axis=0)
    assert 590 / 8 <= K[0, 0] <= 640 / 8
    # Four pixels' deviation about the official picture's middle.
    assert_allclose(K[:2, 2], [320 / 8 - 0.5, 240 / 8 - 0.5], atol=2)
    assert_array_equal(K, [[K[0, 0], 0, K[0, 2]], [0, K[0, 0], K[1, 2]], [0, 0, 1]])


def test_the_hand_moves_about_the_middle_of_the_picture_in_front_of_the_camera(film: Film) -> None:
    middle = film.exposed("joints")[:, :, 9]
    assert np.ptp(middle.reshape(-1, 3), axis=0).min() > 0.01
    assert np.abs(middle[..., :2]).max() < 0.25
    assert 0.4 < middle[..., 2].min() < middle[..., 2].max() < 0.9


def test_truth_is_that_of_half_time(film: Film) -> None:
    joints, vertices = film.exposed("joints"), film.exposed("vertices")
    order = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3]
    expected = np.concatenate([joints[:, 1, order], vertices[:, 1, list(HO3D_FINGERTIPS)]], 1)
    arrays = film.record.arrays
    assert_allclose(arrays["xyz"], expected * OPENGL)
    assert_array_equal(arrays["verts"], (vertices[:, 1] * OPENGL).astype(np.float32))
    for number in (0, COUNT - 1):
        assert_allclose(film.meta(number)["handJoints3D"], arrays["xyz"][number], atol=1e-12)
    # A short exposure about it: the joints pass through on nearly straight ways.
    ways = joints[:, 2] - joints[:, 0]
    bend = joints[:, 0] + joints[:, 2] - 2 * joints[:, 1]
    assert np.linalg.norm(bend) < 0.1 * np.linalg.norm(ways)
    speeds = np.linalg.norm(np.diff(joints[:, 1, 9], axis=0), axis=1).mean()
    assert 0.05 * speeds < np.linalg.norm(ways[:, 9], axis=1).mean() < 0.55 * speeds


def test_convention_the_written_hand_is_the_posed_one(film: Film) -> None:
    layer = HandLayer(film.taken[0].stage.hand, use_mean_pose=False, dtype=torch.float64)
    for number in (0, 20):
        meta = film.meta(number)
        pose = torch.from_numpy(np.array(meta["handPose"]))
        output = layer(
            betas=torch.from_numpy(np.array(meta["handBeta"])),
            global_orient=pose[:3],
            hand_pose=pose[3:].reshape(15, 3),
            transl=torch.from_numpy(np.array(meta["handTrans"])),
        )
        expected = film.taken[number].exposure.vertices[1] * OPENGL
        assert_allclose(output.vertices.numpy(), expected, atol=1e-9)
        assert_array_equal(meta["handBeta"], film.taken[number].person.betas)
    assert len({id(taken.person) for taken in film.taken}) == 1


def test_meta_files_describe_the_thing_in_opengl_s_frame(film: Film, evaluation: Film) -> None:
    for each, number in ((film, 0), (film, 30), (evaluation, 2)):
        meta, taken = each.meta(number), each.taken[number]
        thing = taken.things[0][0]  # at the exposure's start
        assert meta["objLabel"] == thing.model
        assert meta["objName"] == taken.stage.things[thing.model].name
        assert meta["camIDList"] == ["0"]
        assert_array_equal(meta["camMat"], taken.intrinsics_px)
        assert_allclose(meta["objTrans"], thing.centre * OPENGL)
        assert np.shape(meta["objRot"]) == (3, 1)
        turn = Rotation.from_rotvec(meta["objRot"][:, 0]).as_matrix()
        signs = [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
        corners = (np.array(signs) @ thing.axes.T + thing.centre) * OPENGL
        assert_allclose(meta["objCorners3D"], corners, atol=1e-12)
        assert_allclose(meta["objCorners3DRest"] @ turn.T + meta["objTrans"], corners, atol=1e-9)
        assert_allclose(np.abs(meta["objCorners3DRest"]), np.tile(
            np.linalg.norm(thing.axes, axis=0), (8, 1)
        ))  # fmt: skip


def test_an_evaluation_frame_knows_the_root_and_a_box_alone(evaluation: Film) -> None:
    meta, taken = evaluation.meta(1), evaluation.taken[1]
    assert not {"handPose", "handBeta", "handTrans"} & set(meta)
    assert_allclose(meta["handJoints3D"], taken.exposure.joints[1, 0] * OPENGL)
    places = picture_of(taken).truth_px
    assert_allclose(meta["handBoundingBox"], [*places.min(0), *places.max(0)])


def video_of(film: Film) -> sequences._Video:
    """Rebuild enough of a video to cast things in it."""
    orients = film.exposed("global_orient")
    rotations = np.concatenate([orients[:, :, None], np.zeros((COUNT, 3, 15, 3))], 2)
    return sequences._Video(
        name="", person=film.taken[0].person, frames=film.record.arrays["frames"],
        rotations=rotations, transl=np.zeros((COUNT, 3)), vertices=film.exposed("vertices"),
        joints=film.exposed("joints"), intrinsics_px=np.eye(3), image_size_px=(80, 60),
    )  # fmt: skip


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("in_front", [True, False])
def test_a_thing_is_carried_by_the_hand_or_lies_still(
    film: Film, held: bool, in_front: bool
) -> None:
    video, stage = video_of(film), film.taken[0].stage
    chances = Chances(0.749 if held else 0.751, 0.199 if in_front else 0.201)
    path, others = sequences._cast_things(stage, video, chances)
    assert len(path) == COUNT
    assert len(others) == in_front
    turns = Rotation.from_rotvec(video.rotations[:, :, 0].reshape(-1, 3)).as_matrix()
    turns, wrists = turns.reshape(COUNT, 3, 3, 3), video.joints[:, :, 0]
    places, axes = [], []
    for moment, own in ((0, 0), (2, 1)):  # at the exposure's start and its end
        for k, pair in enumerate(path):
            turn = turns[k, moment]
            places.append(turn.T @ (pair[own].centre - wrists[k, moment]))
            axes.append(turn.T @ pair[own].axes)
    is_carried = np.ptp(places, axis=0).max() < 1e-9 and np.ptp(axes, axis=0).max() < 1e-9
    assert is_carried == held
    if not held:
        assert len({id(thing) for pair in path for thing in pair}) == 1
    centres = [path[0][0].centre] if not held else []
    for pair in others:
        assert pair[0] is pair[1]
    for centre in centres:  # beside the hand and behind it
        distances = np.linalg.norm(centre - video.joints[:, 1], axis=2)
        assert distances.min() < 0.3
    if held:
        gaps = np.linalg.norm(video.vertices[:, 0] - path[0][0].centre, axis=2)
        assert gaps[0].min() < 0.06


def test_a_sequence_is_drawn_as_before(
    film: Film, assert_drawn_as_before: Callable[..., None]
) -> None:
    arrays = {name: film.record.arrays[name] for name in ("frames", "xyz", "verts")}
    things = [thing for taken in film.taken for pair in taken.things for thing in pair]
    assert_drawn_as_before(
        "sequence",
        **arrays,
        K=film.taken[0].intrinsics_px,
        exposures=film.exposed("joints"),
        places=np.stack([thing.centre for thing in things]),
        axes=np.stack([thing.axes for thing in things]),
        lights=film.taken[0].scene.lights,
        noise=np.array([taken.noise_seed / 2**62 for taken in film.taken]),
    )
