import statistics

import numpy as np
import pytest

from s2hand.metrics.appearance import shape_sd, texture_sd


def slow_deviation(values: np.ndarray, sequences: list[str]) -> float:
    """Per sequence and element by the standard library, then plain means."""
    means = []
    for sequence in set(sequences):
        frames = [row for row, name in zip(values, sequences, strict=True) if name == sequence]
        elements = np.stack([frame.ravel() for frame in frames], axis=1)
        means.append(statistics.fmean(statistics.pstdev(map(float, series)) for series in elements))
    return statistics.fmean(means)


def test_both_deviations_agree_with_the_standard_library():
    random = np.random.default_rng(0)
    sequences = ["b", "a", "a", "b", "a", "b", "b"]
    texture = random.normal(size=(7, 40, 3)).astype(np.float32)
    betas = random.normal(size=(7, 10)).astype(np.float32)
    assert texture_sd(texture, sequences) == pytest.approx(slow_deviation(texture, sequences))
    assert shape_sd(betas, sequences) == pytest.approx(slow_deviation(betas, sequences))


def test_convention_the_deviation_is_the_populations():
    swing = np.array([0.3, -0.3])[:, None, None] * np.ones((2, 5, 3))
    assert texture_sd(0.5 + swing, ["a", "a"]) == pytest.approx(0.3)


def test_constant_appearance_has_no_deviation_whatever_other_sequences_look_like():
    texture = np.repeat(np.random.default_rng(1).normal(size=(2, 8, 3)), 3, axis=0)
    assert texture_sd(texture, ["a"] * 3 + ["b"] * 3) == pytest.approx(0, abs=1e-12)
    assert texture_sd(texture, ["a", "b"] * 3) > 0.1


def test_long_and_short_sequences_count_alike():
    betas = np.zeros((8, 10))
    betas[:2] = [[1.0], [-1.0]]
    assert shape_sd(betas, ["a"] * 2 + ["b"] * 6) == pytest.approx(0.5)


def test_single_frames_and_collections_are_left_out():
    betas = np.array([0.0, 2.0, 7.0, -50.0, 50.0])[:, None] * np.ones((1, 10))
    assert shape_sd(betas, ["a", "a", "b", "", ""]) == pytest.approx(1.0)
    assert shape_sd(betas[2:], ["b", "", ""]) is None
    assert texture_sd(np.zeros((2, 4, 3)), ["a", "b"]) is None
