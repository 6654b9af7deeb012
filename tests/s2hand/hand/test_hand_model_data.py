"""What is checked of a hand model's arrays, and the fingerprint that stands for them."""

import hashlib
from typing import Any

import numpy as np
import pytest

from s2hand.errors import HandModelError
from s2hand.hand.joints import PARENTS
from s2hand.hand.model_data import SHAPES, HandModelData

OFFICIAL_SHAPES = {
    "v_template": (778, 3), "faces": (1538, 3), "J_regressor": (16, 778),
    "shapedirs": (778, 3, 10), "posedirs": (778, 3, 135), "weights": (778, 16),
    "hands_components": (45, 45), "hands_mean": (45,), "hands_coeffs": (1554, 45),
    "kintree_table": (2, 16),
}  # fmt: skip
"""Of MANO_RIGHT.pkl, in the order of the fingerprint."""


def arrays_of(hand: HandModelData) -> dict[str, Any]:
    return {name: getattr(hand, name) for name in SHAPES}


def test_shapes_are_those_of_the_official_file() -> None:
    assert list(SHAPES.items()) == list(OFFICIAL_SHAPES.items())


def test_all_faults_are_reported_at_once(random_hand: HandModelData) -> None:
    arrays = arrays_of(random_hand)
    arrays["weights"] = np.full((778, 16), np.nan)
    arrays["hands_mean"] = np.zeros(30)
    with pytest.raises(HandModelError, match=r"weights must be finite.*hands_mean.*\(45,\)"):
        HandModelData(**arrays, source="test.pkl")


@pytest.mark.parametrize("name", OFFICIAL_SHAPES)
def test_every_array_has_its_kind_of_numbers(random_hand: HandModelData, name: str) -> None:
    arrays = arrays_of(random_hand)
    is_whole = name in {"faces", "kintree_table"}
    for kind in ("float32", "float64") if not is_whole else ("int32", "uint16", "int64"):
        HandModelData(**arrays | {name: arrays[name].astype(kind)}, source="test.pkl")
    wrong, wanted = ("float64", "integer") if is_whole else ("int64", "float")
    with pytest.raises(HandModelError, match=rf"{name} must be an {wanted} array, got {wrong}"):
        HandModelData(**arrays | {name: arrays[name].astype(wrong)}, source="test.pkl")
    with pytest.raises(HandModelError, match=rf"test\.pkl: .*{name} must have shape \("):
        HandModelData(**arrays | {name: arrays[name][:-1]}, source="test.pkl")


@pytest.mark.parametrize(
    ("name", "place", "value", "fault"),
    [
        ("faces", (7, 1), 778, "faces must name vertices 0 to 777, got 0 to 778"),
        ("faces", (7, 1), -1, "faces must name vertices 0 to 777, got -1 to 777"),
        ("kintree_table", (0, 5), 5, "must name each joint's parent before the joint itself"),
        ("kintree_table", (0, 1), -1, "must name each joint's parent before the joint itself"),
        ("v_template", (3, 2), np.inf, "v_template must be finite, 1 entries are not"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(
    random_hand: HandModelData, name: str, place: tuple[int, int], value: float, fault: str
) -> None:
    arrays = arrays_of(random_hand)
    arrays[name] = arrays[name].copy()
    arrays[name][place] = value
    with pytest.raises(HandModelError, match=rf"test\.pkl: not a hand in MANO's.*{fault}"):
        HandModelData(**arrays, source="test.pkl")


def test_the_root_s_own_parent_is_not_used(random_hand: HandModelData) -> None:
    arrays = arrays_of(random_hand)
    arrays["kintree_table"] = arrays["kintree_table"].copy()
    for parent in (-1, 99):
        arrays["kintree_table"][0, 0] = parent
        assert HandModelData(**arrays, source="test.pkl").parents == PARENTS


def test_the_fingerprint_is_over_names_shapes_and_values(random_hand: HandModelData) -> None:
    """Written out: trained models keep it, so that it has to stay the same."""
    digest = hashlib.sha256()
    for name, shape in OFFICIAL_SHAPES.items():
        kind = "<i8" if name in {"faces", "kintree_table"} else "<f8"
        digest.update(f"{name}{shape}".encode() + getattr(random_hand, name).astype(kind).tobytes())
    assert random_hand.fingerprint == digest.hexdigest()


def test_the_fingerprint_follows_values_not_storage(random_hand: HandModelData) -> None:
    arrays = arrays_of(random_hand)
    stored = {
        "faces": random_hand.faces.astype(np.int32),
        "posedirs": np.asfortranarray(random_hand.posedirs),
        "weights": random_hand.weights.astype(">f8"),
    }
    same = HandModelData(**arrays | stored, source="elsewhere")
    assert same.fingerprint == random_hand.fingerprint
    moved = random_hand.v_template.copy()
    moved[0, 0] += 1e-9
    other = HandModelData(**arrays | {"v_template": moved}, source="x")
    assert other.fingerprint != random_hand.fingerprint
