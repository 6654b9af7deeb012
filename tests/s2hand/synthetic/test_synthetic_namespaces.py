"""Nothing belongs to two namespaces, and no seed can change that."""

from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from s2hand.hand.embedded import embedded_hand
from s2hand.synthetic.namespaces import NAMESPACES, ROLES, posture_examples
from s2hand.synthetic.seeds import named_generator

HAND = embedded_hand()
ALL_POSTURES = HAND.hands_mean + HAND.hands_coeffs @ HAND.hands_components


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
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T
    return np.sqrt(squares.clip(0) / 15)


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


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**64 + 5, 2**130])
def test_no_seed_of_one_namespace_gives_the_numbers_of_another(seed: int) -> None:
    own = named_generator(seed, "training", "person", 3).random(4)
    assert_array_equal(named_generator(seed, "training", "person", 3).random(4), own)
    for namespace in ("pretraining", "validation", "test"):
        for other in (seed, seed + 1, seed << 32, seed >> 32):
            drawn = named_generator(other, namespace, "person", 3).random(4)
            assert not set(drawn) & set(own)


def test_every_part_of_a_name_counts() -> None:
    names = [(0, "training", "person", 3), (1, "training", "person", 3), (0, "test", "person", 3),
             (0, "training", "thing", 3), (0, "training", "person", 4)]  # fmt: skip
    drawn = {named_generator(*name).random() for name in names}
    assert len(drawn) == len(names)


def test_generators_are_those_of_before(assert_drawn_as_before: Callable[..., None]) -> None:
    seeds = (0, 7, 2**64 + 5)
    drawn = [named_generator(seed, name, "person", 3).random(4) for seed in seeds
             for name in NAMESPACES]  # fmt: skip
    assert_drawn_as_before("generators", numbers=np.stack(drawn))


def test_each_namespace_is_written_where_the_documentation_says() -> None:
    assert {name: (role.folder, role.split, role.has_truth) for name, role in ROLES.items()} == {
        "pretraining": ("", "train", False),
        "training": ("", "train", True),
        "validation": ("validation", "test", True),
        "test": ("", "test", True),
        "in_the_wild": ("in_the_wild", "train", True),
    }
