"""Nothing belongs to two namespaces, and no seed can change that."""

from collections.abc import Iterable
from hashlib import sha256
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import s2hand.synthetic.motion
from s2hand.hand.embedded import embedded_hand
from s2hand.synthetic import NamespaceSize
from s2hand.synthetic.motion import sample_motion, sample_postures
from s2hand.synthetic.namespaces import NAMESPACES, ROLES, Namespace, posture_examples
from s2hand.synthetic.seeds import named_generator
from s2hand.synthetic.stage import Stage, build_stage

HAND = embedded_hand()
ALL_POSTURES = HAND.hands_mean + HAND.hands_coeffs @ HAND.hands_components
SIZE = NamespaceSize(images=1, subjects=2, backgrounds=2, objects=2)


@pytest.fixture(scope="module")
def stages() -> dict[Namespace, Stage]:
    return {name: build_stage(name, SIZE, 0, 32) for name in NAMESPACES}


def test_every_posture_example_belongs_to_one_namespace() -> None:
    dealt = np.concatenate([posture_examples(HAND, name) for name in NAMESPACES])
    assert_array_equal(np.sort(dealt), np.arange(1554))
    for name in NAMESPACES:
        share = len(posture_examples(HAND, name)) / 1554
        assert share == pytest.approx(ROLES[name].posture_share, abs=1 / 1554)


def test_the_division_follows_from_the_examples_numbers_alone() -> None:
    # Weights that come with the project know the pretraining postures: the division must not move.
    hashes = [sha256(str(number).encode()).hexdigest() for number in range(1554)]
    end = ""
    for name in NAMESPACES:
        numbers = posture_examples(HAND, name)
        assert end < min(hashes[k] for k in numbers)
        end = max(hashes[k] for k in numbers)


def distances_rad(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Root mean square over the joints, of every pair."""
    difference = first.reshape(-1, 1, 45) - second.reshape(1, -1, 45)
    return np.sqrt((difference**2).sum(-1) / 15)


def test_no_two_examples_are_near_duplicates() -> None:
    pairs = distances_rad(ALL_POSTURES, ALL_POSTURES)
    np.fill_diagonal(pairs, np.inf)
    assert np.degrees(pairs.min()) > 3.5


def test_the_test_postures_cover_what_training_knows() -> None:
    """Pretraining's postures lie as near to the test's as to as many others of their own."""
    pretraining = ALL_POSTURES[posture_examples(HAND, "pretraining")]
    test = ALL_POSTURES[posture_examples(HAND, "test")]
    to_test = distances_rad(pretraining, test).min(1)
    half = pretraining[: len(test)]
    to_own = distances_rad(pretraining[len(test) :], half).min(1)
    assert np.median(to_test) < 1.05 * np.median(to_own)


def test_drawn_postures_are_mixtures_of_the_namespaces_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Before fingers that collide are opened.
    monkeypatch.setattr(s2hand.synthetic.motion, "part_fingers", lambda _data, postures: postures)
    examples = posture_examples(HAND, "validation")[:7]
    drawn = sample_postures(HAND, examples, 200, np.random.default_rng(0)).reshape(-1, 45)
    matrix = np.concatenate([ALL_POSTURES[examples], np.ones((7, 1))], axis=1)
    target = np.concatenate([drawn, np.ones((200, 1))], axis=1)
    shares, *_ = np.linalg.lstsq(matrix.T, target.T, rcond=None)
    np.testing.assert_allclose(matrix.T @ shares, target.T, atol=1e-9)
    assert ((shares > -1e-9) & (shares < 1 + 1e-9)).all()
    assert ((shares > 0.5 - 1e-9).sum(0) >= 1).all()
    assert ((shares > 1e-9).sum(0) <= 2).all()
    times = np.zeros(1)
    motion = sample_motion(HAND, examples[:1], times, np.random.default_rng(0))
    still = ALL_POSTURES[examples[0]].reshape(15, 3)
    np.testing.assert_allclose(motion.rotations[0, 1:], still, atol=1e-7)


def test_no_two_namespaces_share_a_subject_a_background_or_a_thing(
    stages: dict[Namespace, Stage],
) -> None:
    def kinds(stage: Stage) -> dict[str, set[bytes]]:
        def content(arrays: Iterable[np.ndarray]) -> set[bytes]:
            return {array.tobytes() for array in arrays}

        return {
            "betas": content(person.betas for person in stage.people),
            "skin": content(person.texels for person in stage.people),
            "background": content(stage.backgrounds),
            "thing": content(thing.texels for thing in stage.things),
        }

    for first, second in combinations(stages.values(), 2):
        for kind, own in kinds(first).items():
            assert len(own) == 2, f"{first.namespace} repeats a {kind}"
            assert not own & kinds(second)[kind], (first.namespace, second.namespace, kind)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**64 + 5, 2**130])
def test_no_seed_of_one_namespace_gives_the_numbers_of_another(seed: int) -> None:
    own = named_generator(seed, "training", "person", 3).random(4)
    assert_array_equal(named_generator(seed, "training", "person", 3).random(4), own)
    for namespace in ("pretraining", "validation", "test"):
        for other in (seed, seed + 1, seed << 32, seed >> 32):
            drawn = named_generator(other, namespace, "person", 3).random(4)
            assert not set(drawn) & set(own)
