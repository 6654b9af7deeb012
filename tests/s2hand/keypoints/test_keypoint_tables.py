"""Files of several detectors' layouts: what they say is what a table holds, by the same rules."""

import json
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from changed_files import changed_json, fuzzed, read_or_refused
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from s2hand.errors import DataError
from s2hand.keypoints.hands import (
    FoundHand,
    HandTable,
    one_per_image,
    require_hand,
    table_of,
)
from s2hand.keypoints.names import LayoutName
from s2hand.keypoints.openpose import read_detections
from s2hand.keypoints.tables import read_table, write_table

IMAGES = {"0001.jpg": (64, 48), "0002.jpg": (64, 48), "x y ü.png": (64, 48)}
ALL_HANDS: list[LayoutName] = ["hands", "openpose", "wholebody"]


def hand(seed: int, right: float = 1.0) -> FoundHand:
    random = np.random.default_rng(seed)
    return FoundHand(
        keypoints_px=random.integers(0, 48, (21, 2)).astype(np.float32),
        confidence=random.integers(1, 1000, 21).astype(np.float32) / 1000,
        right=right,
    )


def triples(found: FoundHand) -> list[float]:
    return np.column_stack([found.keypoints_px, found.confidence]).reshape(-1).tolist()


LEFT, RIGHT, OTHER = hand(0, 0.0), hand(1), hand(2)
NOTHING = [0] * 63


def person(left: list, right: list) -> dict:
    return {"person_id": [-1], "hand_left_keypoints_2d": left, "hand_right_keypoints_2d": right}


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def require_rows(table: HandTable, expected: list[tuple[str, int, FoundHand | None]]) -> None:
    assert list(zip(table.samples, table.hands, strict=True)) == [row[:2] for row in expected]
    for row, (*_, found) in enumerate(expected):
        if found is None:
            assert not table.confidence[row].any()
            assert not table.keypoints_px[row].any()
            assert table.right[row] == 0.5
            continue
        np.testing.assert_array_equal(table.keypoints_px[row], found.keypoints_px)
        np.testing.assert_allclose(table.confidence[row], found.confidence, rtol=1e-6)
        assert table.right[row] == found.right


def test_openpose_s_folder_is_read(tmp_path):
    people = [person(triples(LEFT), triples(RIGHT)), person(NOTHING, triples(OTHER))]
    people.append(person([], []))
    content = {"version": 1.3, "people": people}
    write_json(tmp_path / "1_keypoints.json", content)
    write_json(tmp_path / "0002_keypoints.json", {"version": 1.3, "people": []})
    write_json(tmp_path / "0007_keypoints.json", content)
    write_json(tmp_path / "0008_keypoints.json", {"version": 1.3, "people": []})
    table = read_table(tmp_path, "openpose", IMAGES)
    rows = [("0001.jpg", 0, LEFT), ("0001.jpg", 1, RIGHT), ("0001.jpg", 2, OTHER)]
    require_rows(table, [*rows, ("0002.jpg", 0, None), ("x y ü.png", 0, None)])
    assert (table.num_missing, table.num_unknown, table.num_clipped) == (1, 1, 0)
    assert (table.detector, table.version) == ("openpose", "1.3")
    write_json(tmp_path / "0002_keypoints.json", {"version": 1.2, "people": []})
    write_json(tmp_path / "0007_keypoints.json", {"people": []})
    assert read_table(tmp_path, "openpose", IMAGES).version == "1.2, 1.3"


def whole(left: list, right: list) -> list[float]:
    """133 points a person, whose other points stand for none of the hands'."""
    return [7.0] * (17 + 6 + 68) * 3 + left + right


@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize("has_images", [False, True])
def test_wholebody_results_are_read(tmp_path, is_split, has_images):
    def result(image: int, left: list, right: list) -> dict:
        if is_split:
            hands = {"lefthand_kpts": left, "righthand_kpts": right, "keypoints": [7.0] * 51}
            return {"image_id": image, **hands}
        return {"image_id": image, "keypoints": whole(left, right)}

    results = [result(2, NOTHING, triples(RIGHT)), result(1, triples(LEFT), triples(OTHER))]
    results += [result(1, triples(RIGHT), NOTHING), result(5, triples(RIGHT), NOTHING)]
    images = [{"id": number, "file_name": f"a/000{number}.png"} for number in (1, 2, 5)]
    images.append({"id": 77, "file_name": "x y ü.jpg"})
    content = {"images": images, "annotations": results} if has_images else results
    table = read_table(write_json(tmp_path / "r.json", content), "wholebody", IMAGES)
    as_left = FoundHand(keypoints_px=RIGHT.keypoints_px, confidence=RIGHT.confidence, right=0.0)
    rows = [("0001.jpg", 0, LEFT), ("0001.jpg", 1, OTHER), ("0001.jpg", 2, as_left)]
    require_rows(table, [*rows, ("0002.jpg", 0, RIGHT), ("x y ü.png", 0, None)])
    assert (table.num_missing, table.num_unknown) == (0 if has_images else 1, 1)
    assert (table.detector, table.version) == ("coco-wholebody", "")


def test_the_released_layout_has_one_right_hand_an_image(tmp_path):
    content = [
        [LEFT.keypoints_px.tolist(), np.zeros((21, 2)).tolist()],
        [LEFT.confidence[:, None].tolist(), np.zeros((21, 1)).tolist()],
        [["1.png"], ["2.png"]],
    ]
    table = read_table(write_json(tmp_path / "detect.json", content), "detect", IMAGES)
    found = FoundHand(keypoints_px=LEFT.keypoints_px, confidence=LEFT.confidence, right=1.0)
    require_rows(table, [("0001.jpg", 0, found), ("0002.jpg", 0, None), ("x y ü.png", 0, None)])
    assert table.num_missing == 1
    assert (table.detector, table.version) == ("detect.json", "")


def draw_table(data: st.DataObject) -> HandTable:
    def draw_hand() -> FoundHand:
        confidence = data.draw(arrays(np.int16, 21, elements=st.integers(0, 1000)))
        confidence[0] = max(confidence[0], 1)
        return FoundHand(
            keypoints_px=data.draw(arrays(np.float32, (21, 2), elements=st.integers(-24, 72))),
            confidence=confidence.astype(np.float32) / 1000,
            right=data.draw(st.sampled_from([0.0, 1.0])),
        )

    found = {name: [draw_hand() for _ in range(data.draw(st.integers(0, 2)))] for name in IMAGES}
    return table_of(found, detector="some", version="2")


@pytest.mark.parametrize("layout", ALL_HANDS)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_written_is_read_back(tmp_path_factory, layout, data):
    table = draw_table(data)
    path = tmp_path_factory.mktemp("written") / "deep" / "file"
    write_table(path, layout, table)
    again = read_table(path, layout, IMAGES)
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert again.samples == table.samples
    assert (again.num_missing, again.num_unknown, again.num_clipped) == (0, 0, 0)
    np.testing.assert_array_equal(again.hands, table.hands)
    np.testing.assert_array_equal(again.keypoints_px, table.keypoints_px)
    np.testing.assert_allclose(again.confidence, table.confidence, atol=1e-6)
    np.testing.assert_array_equal(again.right, table.right)
    if layout == "hands":
        assert (again.detector, again.version) == ("some", "2")


def test_the_project_s_layout_keeps_hundredths_of_pixels_and_the_side(tmp_path):
    found = {"0001.jpg": [thirds(1 / 3)], "0002.jpg": []}
    table = table_of(found, detector="d", version="v")
    assert (table.num_clipped, table.num_missing, table.num_unknown) == (0, 0, 0)
    write_table(tmp_path / "hands.json", "hands", table)
    assert json.loads((tmp_path / "hands.json").read_text()) == {
        "format": "s2hand-keypoints/1",
        "detector": "d",
        "version": "v",
        "samples": ["0001.jpg", "0002.jpg"],
        "hands": [{"sample": "0001.jpg", "right": 0.3333, "points": [0.33, 0.67, 0.6667] * 21}],
    }


def thirds(right: float) -> FoundHand:
    return FoundHand(
        keypoints_px=np.full((21, 2), [1 / 3, 2 / 3], np.float32),
        confidence=np.full(21, 2 / 3, np.float32),
        right=right,
    )


def test_others_layouts_are_written_as_they_have_them_with_four_digits(tmp_path):
    """A hand of which no side is known is a right one there."""
    found = {"a/2.jpg": [], "1.jpg": [thirds(0.5), thirds(0.4)]}
    table, rounded = table_of(found, detector="d", version="v"), [0.3333, 0.6667, 0.6667] * 21
    write_table(tmp_path / "people", "openpose", table)
    hands = ((NOTHING, rounded), (rounded, NOTHING))
    others = {"pose_keypoints_2d": [], "face_keypoints_2d": []}
    for name, people in (("1", [person(*each) | others for each in hands]), ("2", [])):
        written = json.loads((tmp_path / f"people/{name}_keypoints.json").read_text())
        assert written == {"version": 1.3, "people": people}
    write_table(tmp_path / "results.json", "wholebody", table)
    assert json.loads((tmp_path / "results.json").read_text()) == {
        "images": [{"id": 0, "file_name": "a/2.jpg"}, {"id": 1, "file_name": "1.jpg"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "score": 0.6667, "keypoints": [0] * 273 + both}
            for both in (NOTHING + rounded, rounded + NOTHING)
        ],
    }


@pytest.mark.parametrize("layout", get_args(LayoutName))
def test_folders_above_are_made_where_they_are_missing(tmp_path, monkeypatch, layout):
    # What is made elsewhere and moved may have to cross a border of file systems.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    folder, table = tmp_path / "not" / "yet", table_of({"1.jpg": []}, detector="", version="")
    for name in ("one", "other"):
        write_table(folder / name, layout, table)
    assert sorted(path.name for path in folder.iterdir()) == ["one", "other"]


def test_points_that_were_not_found_are_zero_and_may_lie_anywhere(tmp_path):
    values = triples(RIGHT)
    values[12:15] = [-900, 900, 0]
    path = write_json(tmp_path / "1_keypoints.json", {"people": [person([], values)]})
    table = read_table(tmp_path, "openpose", IMAGES)
    np.testing.assert_array_equal(table.keypoints_px[0, 4], 0)
    np.testing.assert_array_equal(table.keypoints_px[0, 5], RIGHT.keypoints_px[5])
    values[14] = 0.1
    write_json(path, {"people": [person([], values)]})
    with pytest.raises(DataError, match=r"0001.jpg, keypoint x of keypoint 4 .* -32..96, got -900"):
        read_table(tmp_path, "openpose", IMAGES)


def test_each_side_has_its_surest_hand():
    weak = FoundHand(keypoints_px=OTHER.keypoints_px, confidence=RIGHT.confidence / 2, right=0.5)
    strong = FoundHand(
        keypoints_px=OTHER.keypoints_px, confidence=np.ones(21, np.float32), right=0.49
    )
    found = {"a": [weak, RIGHT, LEFT, strong], "b": [LEFT], "c": [weak], "d": []}
    table = table_of(found, detector="", version="", num_clipped=1, num_missing=2, num_unknown=3)
    expected = {
        "right": [RIGHT, None, weak, None],
        "left": [strong, LEFT, None, None],
        "any": [strong, LEFT, weak, None],
    }
    for side, hands in expected.items():
        chosen = one_per_image(table, side)
        assert chosen.filenames == ("a", "b", "c", "d")
        assert (chosen.num_clipped, chosen.num_missing, chosen.num_unknown) == (1, 2, 3)
        for row, one in enumerate(hands):
            points = np.zeros((21, 2)) if one is None else one.keypoints_px
            np.testing.assert_array_equal(chosen.keypoints_px[row], points)
            confidence = np.zeros(21) if one is None else one.confidence
            np.testing.assert_array_equal(chosen.confidence[row], confidence)


def test_a_detect_file_of_left_hands_holds_them(tmp_path):
    table = table_of({"0001.jpg": [RIGHT, LEFT]}, detector="", version="")
    for side, one in (("right", RIGHT), ("left", LEFT)):
        write_table(tmp_path / f"{side}.json", "detect", table, side)
        read = read_detections(tmp_path / f"{side}.json", {"0001.jpg": (64, 48)})
        np.testing.assert_array_equal(read.keypoints_px[0], one.keypoints_px)


def files_with(folder: Path, confidence: np.ndarray) -> dict[LayoutName, Path]:
    """Write what three images show, in every layout; the last image is not asked for."""
    hands = [
        [value for point, c in zip(RIGHT.keypoints_px, row, strict=True) for value in (*point, c)]
        for row in confidence.tolist()
    ]
    hands = [[float(value) for value in values] for values in hands]
    names = ["0001", "0002", "0009"]
    for name, values in zip(names, hands, strict=True):
        content = {"people": [person([], values)]}
        write_json(folder / "people" / f"{name}_keypoints.json", content)
    results = [
        {"image_id": name, "keypoints": whole(NOTHING, values)}
        for name, values in zip(names, hands, strict=True)
    ]
    own = {"format": "s2hand-keypoints/1", "detector": "", "version": "", "samples": names}
    own["hands"] = [
        {"sample": name, "right": 1, "points": values}
        for name, values in zip(names, hands, strict=True)
    ]
    released = [
        [RIGHT.keypoints_px.tolist()] * 3, confidence[..., None].tolist(), [[n] for n in names]
    ]  # fmt: skip
    return {
        "openpose": folder / "people",
        "wholebody": write_json(folder / "results.json", results),
        "hands": write_json(folder / "hands.json", own),
        "detect": write_json(folder / "detect.json", released),
    }


@pytest.mark.parametrize("num_above", [0, 1, 15, 21, 22, 40])
def test_confidences_above_one_are_one_rule_in_all_layouts(tmp_path, num_above):
    confidence = np.zeros((3, 21))
    confidence.reshape(-1)[21:63] = 0.5  # 42 found, of which 21 in an image that is not asked for
    confidence.reshape(-1)[21 : 21 + num_above] = 1.5
    confidence[0, :] = 0
    for layout, path in files_with(tmp_path, confidence).items():
        if num_above > 21:
            with pytest.raises(DataError, match=rf"got {num_above} of 42 above 1, the largest 1.5"):
                read_table(path, layout, IMAGES)
            continue
        table = read_table(path, layout, IMAGES)
        assert table.num_clipped == num_above, layout
        np.testing.assert_array_equal(table.confidence, np.minimum([*confidence[:2], [0] * 21], 1))
        assert (table.num_missing, table.num_unknown) == (1, 1)


def own(**changes: object) -> dict:
    good = {"sample": "1", "right": 1, "points": triples(RIGHT)}
    content = {"format": "s2hand-keypoints/1", "detector": "", "version": "", "samples": ["1"]}
    first = {name: value for name, value in changes.items() if name in good}
    rest = {name: value for name, value in changes.items() if name not in good}
    return {**content, "hands": [{**good, **first}], **rest}


@pytest.mark.parametrize(
    ("layout", "content", "message"),
    [
        ("hands", 5, r"the content must be an object of fields, got a int"),
        ("hands", {}, r"the content must have a field 'format', got \[\]"),
        ("hands", own(format="s2hand-keypoints/2"), r"format must be 's2hand-keypoints/1', got"),
        ("hands", own(detector=5), r"detector must be a text, got 5"),
        ("hands", own(samples=[1]), r"sample 0 must be a text, got 1"),
        ("hands", own(sample="2"), r"hand 0: sample '2' must be one of its samples"),
        ("hands", own(right=1.5), r"hand 0, right must be a number from 0 to 1, got 1.5"),
        ("hands", own(right=-0.5), r"hand 0, right must be a number from 0 to 1, got -0.5"),
        ("hands", own(right="1"), r"hand 0, right must be a number from 0 to 1, got '1'"),
        ("hands", own(right=True), r"hand 0, right must be a number from 0 to 1, got True"),
        ("hands", own(points=triples(RIGHT)[:-1]), r"points must be 63 finite .* shape \(62,\)"),
        ("hands", own(points=[[1]] * 62 + [[]]), r"points must be 63 finite numbers .* ragged"),
        ("hands", own(points=[{}] * 63), r"points must be 63 finite numbers .* non-numeric"),
        ("hands", own(points=[10**400] * 63), r"points must be 63 finite numbers .* non-numeric"),
        ("hands", own(points=[float("nan")] * 63), r"points must be 63 finite .* got NaN"),
        ("hands", own(points=[1e39] * 63), r"points must be 63 finite .* more than 3.4e\+38"),
        ("hands", own(points=[-0.5] * 63), r"points: a confidence must not be negative, got -0.5"),
        ("hands", own(samples=["7"], sample="7"), r"such as 0001.jpg, got 1 entries, .* such as 7"),
        ("wholebody", {"images": []}, r"must have a field 'annotations', got \['images'\]"),
        ("wholebody", 5, r"the results must be a list, got a int"),
        ("wholebody", [{"keypoints": []}], r"result 0 must have a field 'image_id'"),
        ("wholebody", [{"image_id": 1.5}], r"id must be a number or a name, got 1.5"),
        ("wholebody", [{"image_id": 1}], r"result 0: keypoints must be a list, got a NoneType"),
        *(
            ("wholebody", [{"image_id": 1, f"{side}hand_kpts": NOTHING}], r"keypoints must be a li")
            for side in ("left", "right")
        ),
        (
            "wholebody",
            [{"image_id": 1, "keypoints": [0] * 51}],
            r"keypoints must be 133 times x, y, confidence, got 51 numbers; a detector of the body",
        ),
        (
            "wholebody",
            {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 2}]},
            r"result 0: image_id 2 must be the id of one of its images",
        ),
        (
            "wholebody",
            {"images": [{"id": 1, "file_name": 1}], "annotations": []},
            r"image 0: file_name must be a text, got 1",
        ),
    ],
)
def test_faults_are_named_with_file_and_place(tmp_path, layout, content, message):
    path = write_json(tmp_path / "found.json", content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path, layout, IMAGES)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text", [None, '{"format": ', "[" * 100_000], ids=["missing", "cut", "nested"]
)
@pytest.mark.parametrize("layout", ["hands", "wholebody"])
def test_a_file_that_is_missing_or_cut_short_is_named(tmp_path, layout, text):
    path = tmp_path / "found.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=r"found.json: must be a complete JSON file of detections"):
        read_table(path, layout, IMAGES)


@pytest.mark.parametrize(
    "name",
    ["format", "detector", "version", "samples", "hands", "sample", "right", "points"],
)
def test_a_missing_field_of_the_project_s_layout_is_named(tmp_path, name):
    content = own()
    for fields in (content, *content["hands"]):
        fields.pop(name, None)
    path = write_json(tmp_path / "found.json", content)
    with pytest.raises(DataError, match=rf"found.json: .* must have a field '{name}', got"):
        read_table(path, "hands", IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"1_keypoints.json: the content must be an object of fields, got a list"),
        ({"people": {}}, r"1_keypoints.json: people must be a list, got a dict"),
        ({"people": [{}]}, r"person 0 must have a field 'hand_left_keypoints_2d'"),
        ({"people": [person([], [1])]}, r"person 0, hand_right_keypoints_2d must be 63 .* \(1,\)"),
    ],
)
def test_faults_of_openpose_s_files_are_named(tmp_path, content, message):
    write_json(tmp_path / "1_keypoints.json", content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path, "openpose", IMAGES)


def test_openpose_s_folder_must_be_one(tmp_path):
    with pytest.raises(DataError, match=r"must be a folder .*, there is a folder without any; run"):
        read_table(tmp_path, "openpose", IMAGES)
    for name in ("1_keypoints.json", "01_keypoints.json"):
        write_json(tmp_path / name, {"people": []})
    with pytest.raises(DataError, match=r"1_keypoints.json: an image must have one file, got anot"):
        read_table(tmp_path, "openpose", IMAGES)
    table = table_of({"1.jpg": [RIGHT]}, detector="", version="")
    with pytest.raises(DataError, match=r"must not exist yet, there is a folder; move it"):
        write_table(tmp_path, "openpose", table)
    table = table_of({"a/1.jpg": [RIGHT], "b/1.jpg": []}, detector="", version="")
    with pytest.raises(DataError, match=r"two images' files would have one name"):
        write_table(tmp_path / "people", "openpose", table)
    assert not (tmp_path / "people").exists()


def test_images_that_names_cannot_tell_apart_are_refused(tmp_path):
    path = write_json(tmp_path / "hands.json", own())
    with pytest.raises(DataError, match=r"leading zeros, got '1.jpg' and 'b/001.png'"):
        read_table(path, "hands", {"1.jpg": (64, 48), "b/001.png": (64, 48)})


@pytest.mark.parametrize("layout", ALL_HANDS)
@fuzzed
@given(st.data())
def test_a_changed_file_is_read_or_refused(tmp_path, layout, data):
    found = {"0001.jpg": [RIGHT, LEFT], "0002.jpg": []}
    folder = tmp_path / "files"
    path = folder / "found"
    if not path.exists():
        write_table(path, layout, table_of(found, detector="d", version="v"))
    file = path / "0001_keypoints.json" if layout == "openpose" else path
    content = file.read_bytes()
    file.write_bytes(changed_json(data.draw, content))
    try:
        read = lambda: read_table(path, layout, IMAGES)  # noqa: E731
        table = read_or_refused(read, folder, errors=DataError, named="found")
    finally:
        file.write_bytes(content)
    if table is not None:
        assert np.isfinite(table.keypoints_px).all()
        assert ((table.confidence >= 0) & (table.confidence <= 1)).all()


@pytest.mark.parametrize("corner", [[-32, -24], [96, 72]])
def test_a_point_may_lie_outside_by_half_the_image_and_no_further(tmp_path, corner):
    path = tmp_path / "found.json"
    values = triples(RIGHT)
    values[12:15] = [*corner, 0.5]
    table = read_table(write_json(path, own(points=values)), "hands", IMAGES)
    np.testing.assert_array_equal(table.keypoints_px[0, 4], corner)
    for axis, name in enumerate("xy"):
        changed = list(values)
        changed[12 + axis] *= 1.01
        write_json(path, own(points=changed))
        with pytest.raises(DataError, match=f"0001.jpg, keypoint {name} of keypoint 4 must lie in"):
            read_table(path, "hands", IMAGES)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"keypoints_px": np.zeros((20, 2))},
            r"x must have keypoints_px of shape \(21, 2\) .* \(20, 2",
        ),
        ({"confidence": np.ones((21, 1))}, r"got \(21, 2\) and \(21, 1\)"),
        ({"keypoints_px": np.full((21, 2), np.nan)}, "x must have finite keypoints_px"),
        (
            {"confidence": np.full(21, np.nan)},
            "x must have confidences and right from 0 to 1, got nan",
        ),
        ({"confidence": np.full(21, 1.25)}, "got 1 to 1.25"),
        ({"right": -0.5}, "got -0.5 to"),
    ],
)
def test_what_a_detector_finds_must_be_hands(change, told):
    """A detector of somebody's own is checked in places where shapes are not."""
    fields = {"keypoints_px": RIGHT.keypoints_px, "confidence": RIGHT.confidence, "right": 1.0}
    require_hand("x", FoundHand(**fields))
    nowhere = {"confidence": np.zeros(21, np.float32), "right": 0.0}
    require_hand("x", FoundHand(**(fields | nowhere)))
    wrong = object.__new__(FoundHand)
    for name, value in (fields | change).items():
        object.__setattr__(wrong, name, value)
    with pytest.raises(DataError, match=told):
        require_hand("x", wrong)
