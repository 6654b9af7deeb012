"""The adapter with made-up models, and with MediaPipe's own where they are."""

import json
import math
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from s2hand.errors import ConfigurationError
from s2hand.keypoints.detector import mediapipe
from s2hand.keypoints.detector.mediapipe import MediaPipeHands
from s2hand.keypoints.detector.models import LANDMARKS, PALM, SHA256
from s2hand.keypoints.detector.regions import hand_region, whole_picture

ROOT = Path(__file__).resolve().parents[3]
RECORDED = ROOT / "tests/golden/detector"
MODELS = ROOT / "workspace/detector"
PICTURE = np.zeros((100, 100, 3), np.uint8)
HAND = np.array([[100.0, 200], *([60 + 5 * i, 40 + 3 * i] for i in range(20))])
"""Points in a crop of 224 pixels."""


class MadeUp:
    """Models whose answers a test writes down."""

    def __init__(self) -> None:
        self.palm_centres: list[tuple[float, float]] = []
        self.presences: list[float] = []
        self.right = 0.75
        self.shown: list[np.ndarray] = []

    def open(self, content: bytes) -> Callable[[np.ndarray], list[np.ndarray]]:
        return {PALM.encode(): self.find_palms, LANDMARKS.encode(): self.find_points}[content]

    def find_palms(self, shown: np.ndarray) -> list[np.ndarray]:
        assert shown.shape == (192, 192, 3)
        regressions = np.zeros((1, 2016, 18), np.float32)
        logits = np.full((1, 2016, 1), -9, np.float32)
        for number, (x, y) in enumerate(self.palm_centres):
            # From the first anchor of a cell, at its middle: 8 pixels of 192 a cell.
            row = 2 * (int(y * 24) * 24 + int(x * 24))
            middle = np.array([(int(x * 24) + 0.5) * 8, (int(y * 24) + 0.5) * 8])
            offset = np.array([x, y]) * 192 - middle
            regressions[0, row] = [*offset, 20, 20, *np.tile(offset, 7)]
            regressions[0, row, [5, 9]] += [10, -10]  # wrist below, base of the middle finger above
            logits[0, row] = 5 - number
        return [regressions, logits]

    def find_points(self, shown: np.ndarray) -> list[np.ndarray]:
        assert shown.shape == (224, 224, 3)
        self.shown.append(shown)
        points = np.column_stack([HAND, np.full(21, 77)]).astype(np.float32).reshape(1, 63)
        presence, right = self.presences.pop(0), self.right
        one = np.ones((1, 1), np.float32)
        return [points, presence * one, right * one, np.zeros((1, 63), np.float32)]


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    models = MadeUp()
    contents = {name: name.encode() for name in SHA256}
    monkeypatch.setattr(mediapipe, "read_models", lambda _: contents)
    monkeypatch.setattr(mediapipe, "_Model", models.open)
    return models


def palm_square(x: float, y: float) -> tuple[np.ndarray, float]:
    """Centre and side, in a picture of 100 pixels, of the hand whose palm is there."""
    side = 20 / 192 * 100
    return np.array([x * 100 - 0.5, y * 100 - 0.5 - side / 2]), 2.6 * side


def test_a_hand_is_looked_at_twice(made_up):
    made_up.palm_centres, made_up.presences = [(0.4, 0.6)], [0.9, 0.8]
    (hand,) = MediaPipeHands(Path()).find_hands(PICTURE)
    centre_px, side_px = palm_square(0.4, 0.6)
    first = centre_px + side_px * (HAND / 224 - 0.5)
    expected = hand_region(first).to_pixels(HAND / 224)
    np.testing.assert_allclose(hand.keypoints_px, expected, atol=1e-4)
    np.testing.assert_allclose(hand.confidence, 0.8)
    assert hand.right == 0.75
    assert not made_up.presences


@pytest.mark.parametrize(("presences", "count"), [([0.5, 0.5], 1), ([0.49], 0), ([0.9, 0.49], 0)])
def test_who_is_not_present_at_both_looks_is_none(made_up, presences, count):
    made_up.palm_centres, made_up.presences = [(0.4, 0.6)], list(presences)
    assert len(MediaPipeHands(Path()).find_hands(PICTURE)) == count
    assert not made_up.presences


def test_the_surest_hand_is_first_and_none_is_there_twice(made_up):
    # The second palm's region is nearly the first one's, the third is another hand.
    made_up.palm_centres = [(0.2, 0.3), (0.2, 0.23), (0.7, 0.8)]
    made_up.presences = [0.9, 0.6, 0.9, 0.8, 0.9, 0.7]
    hands = MediaPipeHands(Path()).find_hands(PICTURE)
    np.testing.assert_allclose([hand.confidence[0] for hand in hands], [0.8, 0.7])
    assert hands[0].keypoints_px.mean() < 50 < hands[1].keypoints_px.mean()


def test_in_a_crop_the_best_of_eight_directions_is_looked_at(made_up):
    made_up.presences = [0.1, 0.2, 0.3, 0.7, 0.3, 0.2, 0.1, 0.0, 0.7, 0.6]
    (hand,) = MediaPipeHands(Path(), is_crop=True).find_hands(PICTURE)
    best = whole_picture(100, 100, angle_rad=3 * math.pi / 4)
    expected = hand_region(best.to_pixels(HAND / 224)).to_pixels(HAND / 224)
    np.testing.assert_allclose(hand.keypoints_px, expected, atol=1e-4)
    np.testing.assert_allclose(hand.confidence, 0.6)
    made_up.presences = [0.1] * 9
    assert MediaPipeHands(Path(), is_crop=True).find_hands(PICTURE) == []
    assert MediaPipeHands(Path()).find_hands(PICTURE) == []


def test_a_crop_shows_one_hand(made_up):
    made_up.palm_centres, made_up.presences = [(0.2, 0.3), (0.7, 0.8)], [0.9, 0.6, 0.9, 0.7]
    (hand,) = MediaPipeHands(Path(), is_crop=True).find_hands(PICTURE)
    np.testing.assert_allclose(hand.confidence, 0.7)


def test_pictures_are_padded_with_black_for_palms_and_by_their_edge_for_points(made_up):
    white = np.full((50, 100, 3), 255, np.uint8)
    palms_shown = []
    made_up.palm_centres, made_up.presences = [(0.05, 0.5)], [0.1]
    detector = MediaPipeHands(Path())
    find_palms = detector._palm_model
    detector._palm_model = lambda shown: (palms_shown.append(shown), find_palms(shown))[1]
    detector.find_hands(white)
    assert palms_shown[0][:40].max() == 0
    assert palms_shown[0][60:130, 5:-5].min() == pytest.approx(1)
    assert made_up.shown[0].min() == pytest.approx(1)


def test_without_the_package_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setattr(mediapipe, "read_models", lambda _: dict.fromkeys(SHA256, b""))
    with pytest.raises(ConfigurationError, match=r"ai-edge-litert, .*'s2hand\[detector\]'"):
        MediaPipeHands(Path())


class Asked:
    """An interpreter of a model whose input is tensor 3, and whose outputs are 5 and 4."""

    tensors: dict[int, np.ndarray]

    def __init__(self, *, model_content: bytes, num_threads: int) -> None:
        assert (model_content, num_threads) == (b"content", 1)

    def allocate_tensors(self) -> None:
        self.tensors = {}

    def get_input_details(self) -> list[dict]:
        return [{"index": 3}]

    def get_output_details(self) -> list[dict]:
        return [{"index": 5}, {"index": 4}]

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        self.tensors[index] = value

    def invoke(self) -> None:
        self.tensors |= {4: 2 * self.tensors[3], 5: self.tensors[3] + 1}

    def get_tensor(self, index: int) -> np.ndarray:
        return self.tensors[index]


def test_a_model_is_shown_one_picture_and_tells_all_its_outputs_in_order(monkeypatch):
    interpreter = SimpleNamespace(Interpreter=Asked)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", SimpleNamespace(interpreter=interpreter))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", interpreter)
    model, shown = mediapipe._Model(b"content"), np.full((2, 2, 3), 0.5, np.float32)
    for _ in range(2):
        more, doubled = model(shown)
        np.testing.assert_array_equal(more, shown[None] + 1)
        np.testing.assert_array_equal(doubled, 2 * shown[None])


needs_models = pytest.mark.skipif(
    not (MODELS / PALM).is_file() or find_spec("ai_edge_litert") is None,
    reason="needs ai-edge-litert and `s2hand keypoints get-detector` in the checkout",
)


@needs_models
def test_points_are_mediapipe_s_own():
    """Recorded from mediapipe 0.10.21, which looks once; the second look may move points."""
    recorded = json.loads((RECORDED / "mediapipe.json").read_text())["hands"]
    detector = MediaPipeHands(MODELS)
    apart: dict[str, list[np.ndarray]] = {"once": [], "twice": []}
    missed, sides = [], []
    for name, hands in recorded.items():
        with Image.open(RECORDED / name) as image:
            picture = np.array(image.resize((224, 224), Image.Resampling.BICUBIC))
        theirs = np.array(hands[0]["points"]) * 224 - 0.5
        looks = [detector._look(picture, region) for region in detector._regions(picture)]
        found = detector.find_hands(picture)
        if not looks or not found:
            missed.append(name)
            continue
        best = max(looks, key=lambda look: look.presence)
        apart["once"].append(np.linalg.norm(best.points_px - theirs, axis=1))
        apart["twice"].append(np.linalg.norm(found[0].keypoints_px - theirs, axis=1))
        # It names sides as of a mirrored picture.
        sides.append((best.right > 0.5) == (hands[0]["label"] == "Left"))
    assert len(missed) <= 1
    assert np.median(apart["once"]) < 1.2
    assert np.quantile(apart["once"], 0.9) < 4
    assert np.median(apart["twice"]) < 3.5
    assert np.mean(sides) > 0.9


@needs_models
def test_a_picture_without_a_hand_has_none():
    assert MediaPipeHands(MODELS).find_hands(np.full((60, 90, 3), 127, np.uint8)) == []
