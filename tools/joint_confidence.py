"""Fits the factors of ``s2hand.keypoints.detector.confidence`` anew, and measures what they tell.

``python -m tools.joint_confidence FOLDER`` makes two sets of pictures in the folder (some minutes,
once), finds their hands with the models in ``FOLDER/detector`` (``s2hand keypoints get-detector
--workspace FOLDER``), and prints the factors and what ``docs/keypoints.md`` tells of them. They are
fitted on subjects of the validation namespace and measured on subjects of the training namespace;
no picture of the test namespace is looked at. What was measured of each joint is kept in
``tests/golden/detector/joint_confidence.npz``, from which the tests fit and measure again.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from scipy.stats import spearmanr

from s2hand.data.freihand import load_freihand
from s2hand.keypoints.detector.confidence import NEAR, fit_factors, joint_confidence
from s2hand.keypoints.detector.mediapipe import MediaPipeHands
from s2hand.keypoints.pictures import read_picture
from s2hand.keypoints.tracks import hand_extents
from s2hand.layouts import Split
from s2hand.synthetic import make_synthetic
from s2hand.synthetic.sizes import NamespaceSize

RECORDED = Path(__file__).resolve().parents[1] / "tests/golden/detector/joint_confidence.npz"
SIZE = NamespaceSize(images=320, subjects=64, backgrounds=64, objects=24)
SETS: Mapping[str, tuple[str, Split]] = {
    "fit": ("validation/freihand", "test"),
    "measure": ("freihand", "train"),
}
"""Use → folder and split; the official split ``test`` in ``validation`` is the validation set."""
SHARES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.97)
"""Of the spreads, that lie below each knot of the factors."""

Joints = dict[str, Float32[np.ndarray, " n"]]
"""``presence``, ``spread``, ``error``: a number each for every joint of the hands found."""


def make_pictures(folder: Path) -> None:
    """Make both sets, or what is missing of them."""
    sizes = {"training": SIZE, "validation": SIZE}
    make_synthetic(folder, size=sizes, seed=0, image_size_px=224)


def measure(detector: MediaPipeHands, root: Path, split: Split) -> dict[str, np.ndarray]:
    """Find a set's hands; errors are shares of the true hands' extents."""
    table = load_freihand(root, split, keypoints="ground_truth")
    extents_px = hand_extents(table.detected_keypoints_px, table.detection_confidence)
    rows = []
    for path, truth_px, extent_px in zip(
        table.image_paths, table.detected_keypoints_px, extents_px, strict=True
    ):
        for hand in detector.see_hands(read_picture(path)):
            error = np.linalg.norm(hand.keypoints_px - truth_px, axis=-1) / extent_px
            rows.append((hand.presence, hand.spreads, error))
    presence, spreads, errors = (np.array(column, np.float16) for column in zip(*rows, strict=True))
    return {"presence": presence, "spreads": spreads, "errors": errors}


def joints_of(recorded: Mapping[str, np.ndarray], use: str) -> Joints:
    """Return what was measured for a use, a number a joint."""
    spreads = recorded[f"{use}_spreads"].astype(np.float64)
    return {
        "presence": np.repeat(recorded[f"{use}_presence"].astype(np.float64), spreads.shape[1]),
        "spread": spreads.reshape(-1),
        "error": recorded[f"{use}_errors"].astype(np.float64).reshape(-1),
    }


def fitted(joints: Joints) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return spreads and factors, rounded as they stand in the code."""
    knots = np.quantile(joints["spread"], SHARES).round(4)
    factors = fit_factors(joints["presence"], joints["spread"], joints["error"] < NEAR, knots)
    return tuple(knots.tolist()), tuple(factors.round(3).tolist())


def scores(joints: Joints) -> dict[str, dict[str, float]]:
    """Score presence and the joints' confidences against the errors.

    Returns:
        ``rank correlation`` with the error (−1 is best), ``Brier score`` (mean square distance from
        whether the error is small; 0 is best) and ``mean`` of each, beside ``small``, the share of
        errors that are.
    """
    is_near = joints["error"] < NEAR
    confidence = joint_confidence(joints["presence"], joints["spread"][:, None])[:, 0]
    return {
        name: {
            "rank correlation": float(spearmanr(values, joints["error"]).statistic),
            "Brier score": float(((values - is_near) ** 2).mean()),
            "mean": float(values.mean()),
            "small": float(is_near.mean()),
        }
        for name, values in (("presence", joints["presence"]), ("joint", confidence))
    }


def reliability(joints: Joints, num_bins: int = 5) -> list[tuple[float, float]]:
    """Return mean confidence and share of small errors of equally many joints each."""
    confidence = joint_confidence(joints["presence"], joints["spread"][:, None])[:, 0]
    order = np.argsort(confidence, kind="stable")
    is_near = joints["error"] < NEAR
    return [
        (float(confidence[rows].mean()), float(is_near[rows].mean()))
        for rows in np.array_split(order, num_bins)
    ]


def main(folder: Path) -> None:
    """Make, find, fit, measure, record, print."""
    make_pictures(folder)
    detector = MediaPipeHands(folder / "detector", is_crop=True, has_joint_confidence=True)
    recorded = {}
    for use, (place, split) in SETS.items():
        found = measure(detector, folder / place, split)
        recorded |= {f"{use}_{name}": values for name, values in found.items()}
        _say(f"{use}: {len(found['presence'])} hands in {SIZE.images} pictures")
    np.savez_compressed(RECORDED, **recorded)
    spreads, factors = fitted(joints_of(recorded, "fit"))
    _say(f"SPREADS = {spreads}\nFACTORS = {factors}")
    joints = joints_of(recorded, "measure")
    for name, values in scores(joints).items():
        _say(f"{name}: { {key: round(value, 3) for key, value in values.items()} }")
    pairs = np.round(reliability(joints), 2).tolist()
    _say(f"confidence, share of small errors: {pairs}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
