import json

import numpy as np
import pytest

from s2hand.errors import DataError
from s2hand.keypoints.openpose import Detections, read_detections, write_detections

SIZE = (64, 48)


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
    detections = read_detections(path, SIZE)
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
    again = read_detections(path, SIZE)
    np.testing.assert_allclose(again.keypoints_px, detections.keypoints_px, atol=0.0051)
    np.testing.assert_allclose(again.confidence, detections.confidence, atol=0.000051)
    assert again.filenames == detections.filenames
    assert [file.name for file in path.parent.iterdir()] == ["detect.json"]


def test_a_point_that_was_not_found_may_lie_anywhere(tmp_path):
    content = content_of()
    content[0][1][4], content[1][1][4] = [-900, 900], [0.0]
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(content))
    assert len(read_detections(path, SIZE)) == 3


def test_confidences_above_one_count_as_one_and_are_counted(tmp_path):
    content = content_of()
    content[1][0][3], content[1][2][5], content[1][2][6] = [1.07], [3.0], [1.0]
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(content))
    detections = read_detections(path, SIZE)
    assert detections.num_clipped == 2
    expected = np.minimum(np.array(content[1])[..., 0], 1)
    np.testing.assert_allclose(detections.confidence, expected, rtol=1e-6)
    write_detections(path, detections)
    assert read_detections(path, SIZE).num_clipped == 0


def replaced(list_index: int, entry: int, keypoint: int, value: object) -> list:
    content = content_of()
    content[list_index][entry][keypoint] = value
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (replaced(0, 1, 4, [float("nan"), 2]), r"entry 1 of the keypoints must be 21 lists of 2 f"),
        (replaced(0, 2, 0, [200, 3]), r"entry 2, keypoint x of keypoint 0 must lie in -32..96"),
        (replaced(0, 0, 9, [3, -30]), r"keypoint y of keypoint 9 must lie in -24..72, got -30"),
        (
            replaced(1, 2, 3, [-0.1]),
            r"entry 2, confidence of keypoint 3 must .* got -0.1 .*\(0, 0\)",
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
        (replaced(0, 1, 4, "here"), r"entry 1 of the keypoints .* ragged or non-numeric"),
        ([content_of()[0], content_of()[1], [["a"], ["b"]]], r"got lengths \[3, 3, 2\]"),
        ([[[[0, 0]] * 20] * 3, *content_of()[1:]], r"entry 0 of the keypoints .* \(20, 2\)"),
        ([*content_of()[:2], [["a"], "b", ["c"]]], r"entry 1 of the file names must be a list"),
        (content_of()[:2], r"must hold a list of three lists .* got a list of 2"),
        ({"keypoints": []}, r"must hold a list of three lists .* got a dict"),
        ([{}, [], []], r"must hold a list of three lists"),
    ],
)
def test_faults_are_named_with_file_entry_and_remedy(tmp_path, content, message):
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message) as caught:
        read_detections(path, SIZE)
    assert str(path) in str(caught.value)


def test_every_image_has_its_own_size_and_further_entries_none(tmp_path):
    path = tmp_path / "detect.json"
    path.write_text(json.dumps(replaced(0, 1, 4, [100, 3])))
    assert len(read_detections(path, np.array([[64, 48]]))) == 3  # of one image of the three
    assert len(read_detections(path, np.array([[64, 48], [80, 48], [64, 48]]))) == 3
    assert len(read_detections(path, np.array([[64, 48], [80, 48], [64, 48], [9, 9]]))) == 3
    with pytest.raises(DataError, match=r"entry 1, keypoint x of keypoint 4 must lie in -32..96"):
        read_detections(path, np.array([[80, 48], [64, 48], [80, 48]]))


def test_missing_and_truncated_files_are_named(tmp_path):
    path = tmp_path / "detect.json"
    with pytest.raises(DataError, match=r"detect.json: file of detected keypoints is missing"):
        read_detections(path, SIZE)
    path.write_text(json.dumps(content_of())[:-5])
    with pytest.raises(DataError, match=r"detect.json: must be a complete JSON file"):
        read_detections(path, SIZE)
