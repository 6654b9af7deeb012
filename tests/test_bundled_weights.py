"""The weights that come with the project: told how they were made, and they know hands."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from s2hand.config import PRESETS, S2HandConfig
from s2hand.data.build import load_test
from s2hand.data.dataset import FrameDataset
from s2hand.evaluation import evaluate_model
from s2hand.geometry.cameras import project
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.loader import EMBEDDED
from s2hand.inference import Predictor
from s2hand.metrics.baselines import mean_pose_predictions
from s2hand.metrics.evaluate import evaluate
from s2hand.model import S2Hand
from s2hand.parts import WEIGHTS
from s2hand.starting_weights import find_starting_weights, open_weights
from s2hand.synthetic import NamespaceSize, make_synthetic

NUM_IMAGES = 48


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the test namespace, of another seed than any benchmark's."""
    root = tmp_path_factory.mktemp("hands")
    size = NamespaceSize(images=NUM_IMAGES, subjects=6, backgrounds=12, objects=6)
    make_synthetic(root, size={"test": size}, seed=2026, image_size_px=96)
    return root


def config_of(name: str, root: Path | str = "") -> S2HandConfig:
    """Fill in what the card of some weights asks for."""
    base = PRESETS["cpu"]
    return replace(
        base,
        model=replace(
            base.model, pretrained=name, hand_model=EMBEDDED, **open_weights(name).card.fits
        ),
        data=replace(base.data, root=str(root)),
    )


@pytest.mark.parametrize("name", WEIGHTS)
def test_they_say_how_they_were_made(name: str) -> None:
    card = open_weights(name).card
    assert card.data["generation"]["size"].keys() == {"pretraining"}
    assert card.validation_data["generation"]["size"].keys() == {"validation"}
    assert card.curve
    assert card.scores
    assert card.pictures > 1_000_000 or name != "hands"
    hand = embedded_hand().fingerprint
    assert find_starting_weights(config_of(name), hand) is not None


def test_the_model_knows_hands_that_it_has_not_seen(root: Path) -> None:
    config = config_of("s2hand", root)
    model = S2Hand(config)
    open_weights("s2hand").load_into(model)
    model.eval()
    dataset = FrameDataset.from_config(load_test(config), config)
    found = evaluate_model(Predictor(model), dataset, batch_size=16).metrics
    constant = evaluate(mean_pose_predictions(embedded_hand(), NUM_IMAGES), dataset.table).metrics
    assert found["pa_mpjpe_cm"] < 0.88 * constant["pa_mpjpe_cm"]
    assert found["projected_keypoint_px"] < 25


def test_features_tell_where_keypoints_are(root: Path) -> None:
    """A linear map, fitted to some pictures, finds the keypoints of others."""
    config = config_of("hands", root)
    model = S2Hand(config)
    open_weights("hands").load_into(model)
    model.eval()
    dataset = FrameDataset.from_config(load_test(config), config)
    batch = dataset.batch(range(NUM_IMAGES))
    truth = dataset.table.joints
    assert truth is not None
    places = project(torch.from_numpy(truth) @ batch.camera_rotation, batch.intrinsics_px)
    errors = {}
    for features in ("trained", "random"):
        if features == "random":
            torch.manual_seed(0)
            model = S2Hand(replace(config, model=replace(config.model, pretrained="none"))).eval()
        with torch.no_grad():
            told = model.head.trunk(model.encoder(batch.images).pooled).double()
        errors[features] = ridge_error(told, places.flatten(1).double())
    assert errors["trained"] < 0.75 * errors["random"]


def ridge_error(features: torch.Tensor, targets: torch.Tensor) -> float:
    """Mean error of each picture's targets by a ridge regression on all others."""
    features = features - features.mean(0)
    kernel = features @ features.T
    kernel = kernel + 0.1 * kernel.trace() / len(kernel) * torch.eye(len(kernel)).double()
    centred = targets - targets.mean(0)
    # The left-out residuals of kernel ridge regression in closed form.
    inverse = torch.linalg.inv(kernel)
    residuals = (inverse @ centred) / inverse.diagonal()[:, None]
    return residuals.abs().mean().item()
