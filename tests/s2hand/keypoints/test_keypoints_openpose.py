import json

import numpy as np
import pytest

from s2hand.errors import DataError
from s2hand.keypoints.openpose import Detections, read_detections, write_detections

IMAGES = {f"{index:04d}.jpg": (64, 48) for index in range(3)}


def content_of(count: int = 3) -> list:
    random = np.random.default_rng(0)
    return [
        random.integers(0, 48, (count, 21, 2)).tolist(),
        random.uniform(0, 1, (count, 21, 1)).round(3).tolist(),
        [[f"{index:04d}.jpg"] for index in range(count)],
    ]


def test_official_layout_is_read(tmp_path):
    content = content_of()
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(content))
    detections = read_detections(path, IMAGES)
    np.testing.assert_array_equal(detections.keypoints_px, content[0])
    np.testing.assert_allclose(detections.confidence, np.array(content[1])[..., 0], rtol=1e-6)
    assert detections.filenames == ("0000.jpg", "0001.jpg", "0002.jpg")


def test_written_detections_are_read_back(tmp_path):
    random = np.random.default_rng(1)
    detections = Detections(
        keypoints_px=random.uniform(0, 48, (5, 21, 2)).astype(np.float32),
        confidence=random.uniform(0, 1, (5, 21)).astype(np.float32),
        filenames=tuple("abcde"),
    )
    path = tmp_path / "openpose" / "SM1" / "detect.json"
    write_detections(path, detections)
    again = read_detections(path, dict.fromkeys("abcde", (64, 48)))
    np.testing.assert_allclose(again.keypoints_px, detections.keypoints_px, atol=0.0051)
    np.testing.assert_allclose(again.confidence, detections.confidence, atol=0.000051)
    assert again.filenames == detections.filenames
    assert [file.name for file in path.parent.iterdir()] == ["detect.json"]


def test_files_hold_hundredths_of_pixels_and_four_digits_of_confidences(tmp_path):
    path = tmp_path / "detect.json"
    detections = Detections(
        keypoints_px=np.full((1, 21, 2), [1 / 3, 2 / 3], np.float32),
        confidence=np.full((1, 21), 2 / 3, np.float32),
        filenames=("a.jpg",),
    )
    assert (detections.num_clipped, detections.num_missing, detections.num_unknown) == (0, 0, 0)
    write_detections(path, detections)
    assert json.loads(path.read_text()) == [[[[0.33, 0.67]] * 21], [[[0.6667]] * 21], [["a.jpg"]]]


def test_a_point_that_was_not_found_may_lie_anywhere(tmp_path):
    content = content_of()
    content[0][1][4], content[1][1][4] = [-900, 900], [0.0]
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(content))
    assert len(read_detections(path, IMAGES)) == 3


def test_confidences_above_one_count_as_one_and_are_counted(tmp_path):
    content = content_of()
    content[1][0][3], content[1][2][5], content[1][2][6] = [1.07], [3.0], [1.0]
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(content))
    detections = read_detections(path, IMAGES)
    assert detections.num_clipped == 2
    expected = np.minimum(np.array(content[1])[..., 0], 1)
    np.testing.assert_allclose(detections.confidence, expected, rtol=1e-6)
    write_detections(path, detections)
    assert read_detections(path, IMAGES).num_clipped == 0


def replaced(list_index: int, entry: int, keypoint: int, value: object) -> list:
    content = content_of()
    content[list_index][entry][keypoint] = value
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (replaced(0, 1, 4, [float("nan"), 2]), r"entry 1 of the keypoints must be 21 lists of 2 f"),
        (
            replaced(0, 2, 0, [200, 3]),
            r"entry 2, keypoint x of keypoint 0 must lie in -32..96, .* images as they are stored$",
        ),
        (replaced(0, 0, 9, [3, -30]), r"keypoint y of keypoint 9 must lie in -24..72, got -30"),
        (
            replaced(1, 2, 3, [-0.1]),
            r"entry 2, confidence of keypoint 3 must .* got -0.1 .*\(0, 0\) .* was not found$",
        ),
        (
            replaced(1, 2, 3, [float("nan")]),
            r"entry 2 of the confidences .* finite numbers, got NaN",
        ),
        (
            replaced(1, 2, 3, [float("inf")]),
            r"entry 2 of the confidences .* finite numbers, got NaN",
        ),
        (replaced(0, 1, 4, [1, 2, 3]), r"entry 1 of the keypoints .* ragged or non-numeric"),
        (replaced(0, 1, 4, [1, {}]), r"entry 1 of the keypoints .* ragged or non-numeric"),
        (replaced(0, 1, 4, [1, 10**400]), r"entry 1 of the keypoints .* ragged or non-numeric"),
        (replaced(0, 1, 4, "here"), r"entry 1 of the keypoints .* ragged or non-numeric"),
        ([content_of()[0], content_of()[1], [["a"], ["b"]]], r"got lengths \[3, 3, 2\]"),
        ([[[[0, 0]] * 20] * 3, *content_of()[1:]], r"entry 0 of the keypoints .* \(20, 2\)"),
        ([*content_of()[:2], [["a"], "b", ["c"]]], r"entry 1 of the file names must be a list"),
        ([*content_of()[:2], [["a"], ["b"], [True]]], r"entry 2 of the file names must .* of 1"),
        ([*content_of()[:2], [["a", "b"], ["b"], ["c"]]], r"entry 0 of the file names .* of 2"),
        (content_of()[:2], r"must hold a list of three lists .* got a list of 2"),
        (5, r"must hold a list of three lists .* got a int"),
        ({"keypoints": []}, r"must hold a list of three lists .* got a dict"),
        (
            [{}, [], []],
            r"must hold a list of three lists .* equal length, got lengths \['a dict', 0,",
        ),
        ([[], [], []], r"must have entries of the images .* got 0 entries, .* such as none"),
    ],
)
def test_faults_are_named_with_file_entry_and_remedy(tmp_path, content, message):
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message) as caught:
        read_detections(path, IMAGES)
    assert str(path) in str(caught.value)


def test_every_image_has_its_own_size_and_further_entries_none(tmp_path):
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(replaced(0, 1, 4, [100, 3])))
    assert len(read_detections(path, {"0000.jpg": (64, 48)})) == 1
    assert len(read_detections(path, IMAGES | {"0001.jpg": (80, 48)})) == 3
    with pytest.raises(DataError, match=r"entry 1, keypoint x of keypoint 4 must lie in -32..96"):
        read_detections(path, {"0002.jpg": (80, 48), "0001.jpg": (64, 48)})


def test_a_keypoint_may_lie_outside_by_half_the_image_and_no_further(tmp_path):
    path = tmp_path / "detect.json"
    content = content_of()
    for corner in ([-32, -24], [96, 72]):
        content[0][1][4] = corner
        path.write_text(json.dumps(content))
        np.testing.assert_array_equal(read_detections(path, IMAGES).keypoints_px[1, 4], corner)
        for axis, name in enumerate("xy"):
            content[0][1][4] = [
                value * (1.01 if k == axis else 1) for k, value in enumerate(corner)
            ]
            path.write_text(json.dumps(content))
            with pytest.raises(DataError, match=f"entry 1, keypoint {name} of keypoint 4 must lie"):
                read_detections(path, IMAGES)


def test_entries_belong_to_images_by_name(tmp_path):
    path = tmp_path / "detect.json"
    keypoints, confidence, _ = content = content_of()
    names = [["/data/rgb/0002.png"], [0], ["a\\1.jpg"]]  # folders, endings and zeros do not count
    path.write_text(json.dumps([keypoints, confidence, names]))
    found = read_detections(path, {**IMAGES, "0007.jpg": (64, 48)})
    np.testing.assert_array_equal(found.keypoints_px[:3], [content[0][row] for row in (1, 2, 0)])
    np.testing.assert_allclose(
        found.confidence[:3], [np.array(content[1][row])[:, 0] for row in (1, 2, 0)], rtol=1e-6
    )
    assert found.filenames == ("0000.jpg", "0001.jpg", "0002.jpg", "0007.jpg")
    assert not found.keypoints_px[3].any()
    assert not found.confidence[3].any()
    assert (found.num_missing, found.num_unknown, found.num_clipped) == (1, 0, 0)
    for names in (["", "1", "2"], ["0", "_1", "2"]):  # no name is not the name 0
        path.write_text(json.dumps([keypoints, confidence, [[name] for name in names]]))
        found = read_detections(path, IMAGES)
        assert (found.num_missing, found.num_unknown) == (1, 1)


def test_entries_of_unknown_images_count_if_something_was_found(tmp_path):
    path = tmp_path / "detect.json"
    content = content_of(4)
    content[1][3] = [[0.0]] * 21
    path.write_text(json.dumps(content))
    one = {"0001.jpg": (64, 48)}
    assert read_detections(path, one).num_unknown == 2
    assert read_detections(path, one, others=["0000.png"]).num_unknown == 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0000.jpg", "0001.jpg", "1.png"], r"got entries 1 and 2 of '1.png' that differ"),
        (["", "", ""], r"must be the same .*, got entries 0 and 1 of ''"),
        (["0100.jpg", "0101.jpg", "0102.jpg"], r"such as 0000.jpg, got 3 entries, .* such as 100;"),
    ],
)
def test_names_that_tell_nothing_are_refused(tmp_path, names, message):
    path = tmp_path / "detect.json"
    path.write_text(json.dumps([*content_of()[:2], [[name] for name in names]]))
    with pytest.raises(DataError, match=message):
        read_detections(path, IMAGES)


def test_what_is_said_twice_and_is_the_same_is_read_once(tmp_path):
    path = tmp_path / "detect.json"
    content = content_of()
    path.write_text(json.dumps([[*part, part[1]] for part in content]))
    np.testing.assert_array_equal(read_detections(path, IMAGES).keypoints_px, content[0])
    for part, other in ((0, [[1, 1]] * 21), (1, [[0.5]] * 21)):
        twice = [[*values, values[1]] for values in content]
        twice[part][3] = other
        path.write_text(json.dumps(twice))
        with pytest.raises(DataError, match=r"got entries 1 and 3 of '0001.jpg' that differ"):
            read_detections(path, IMAGES)


def test_confidences_in_percent_are_refused(tmp_path):
    keypoints, confidence, names = content_of()
    path = tmp_path / "detect.json"
    path.write_text(json.dumps([keypoints, (100 * np.array(confidence)).tolist(), names]))
    with pytest.raises(DataError, match=r"must go from 0 to 1, got 6\d of 63 above 1, .* percent"):
        read_detections(path, IMAGES)


def test_confidences_of_one_are_no_percentages_nor_are_exceptions_above(tmp_path):
    path = tmp_path / "detect.json"
    keypoints, _, names = content_of()
    for values, clipped in (([1.0, 1.0, 0.0], 0), ([1.2, 0.9, 0.0], 21)):
        confidence = [[[value]] * 21 for value in values]  # a third of the keypoints has none
        path.write_text(json.dumps([keypoints, confidence, names]))
        assert read_detections(path, IMAGES).num_clipped == clipped
    confidence[1][0] = [1.1]
    path.write_text(json.dumps([keypoints, confidence, names]))
    with pytest.raises(DataError, match=r"got 22 of 42 above 1, the largest 1.2;"):
        read_detections(path, IMAGES)


@pytest.mark.parametrize("content", ["[" * 100_000, None], ids=["nested", "folder"])
def test_what_is_no_file_of_json_is_refused(tmp_path, content):
    path = tmp_path / "detect.json"
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(DataError, match=r"detect.json: must be a complete JSON file"):
        read_detections(path, IMAGES)


def test_missing_and_truncated_files_are_named(tmp_path):
    path = tmp_path / "detect.json"
    with pytest.raises(DataError, match=r"file of detected keypoints is missing, there is noth"):
        read_detections(path, IMAGES)
    path.write_text("<html>please log in")
    with pytest.raises(DataError, match=r"could not be read: .*; there is a web page, which a"):
        read_detections(path, IMAGES)
    path.write_text(json.dumps(content_of())[:-5])
    with pytest.raises(DataError, match=r"detect.json: must be a complete JSON file"):
        read_detections(path, IMAGES)
