"""Both recipes from pictures to a file that models begin with, in seconds."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from s2hand.config import S2HandConfig
from s2hand.data.build import load_validation
from s2hand.data.dataset import FrameDataset
from s2hand.errors import ConfigurationError, DataError
from s2hand.evaluation import evaluate_model
from s2hand.hand.embedded import embedded_hand
from s2hand.inference import Predictor
from s2hand.model import S2Hand
from s2hand.parts import WEIGHTS
from s2hand.pretraining.build import KEYPOINT_ERROR, Places, build_weights
from s2hand.pretraining.recipes import RECIPES
from s2hand.starting_weights import read_weights

NUM_FRAMES = 8


class StopTrainingError(Exception):
    """Ends a training from a report."""


@pytest.fixture(autouse=True)
def keep_torch_s_settings():
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture
def places(make_freihand, tmp_path):
    root = make_freihand(count=NUM_FRAMES, size=32)
    return Places(
        weights_dir=tmp_path / "weights",
        work_dir=tmp_path / "work",
        data_root=root,
        validation_root=root,
    )


def tiny(name):
    """The project's recipe, with a tiny network and few steps."""
    recipe = RECIPES[name]
    config = replace(
        recipe.config,
        model=replace(recipe.config.model, image_size_px=32, keypoint_channels=8),
        optimiser=replace(recipe.config.optimiser, batch_size=4),
        stages=tuple(
            replace(stage, epochs=2 if stage.name == "image" else 1)
            for stage in recipe.config.stages
        ),
        runtime=replace(recipe.config.runtime, picture_every_epochs=0),
    )
    features = recipe.features
    if features is not None:
        features = replace(features, steps=6, batch_size=4, report_every_steps=2)
    return replace(recipe, config=config, features=features)


def build(name, places, **settings):
    return build_weights(name, places, **{"recipe": tiny(name), **settings})


def started(config, name, places):
    model = replace(config.model, pretrained=name, weights_dir=str(places.weights_dir))
    return S2Hand(replace(config, model=model)).eval()


def test_both_recipes_make_weights_that_models_begin_with(places):
    reports = []
    hands = build("hands", places, report=lambda place, metrics: reports.append((place, metrics)))
    s2hand = build("s2hand", places)
    assert [place for place, _ in reports] == [2, 4, 6]
    assert (hands.card.steps, hands.card.pictures) == (6, 24)
    assert (s2hand.card.steps, s2hand.card.pictures) == (4 * 2, 4 * 2 * 4)  # four epochs
    for made in (hands, s2hand):
        card = made.card
        held = read_weights(made.path)
        assert {key for key in held if key.startswith(WEIGHTS[made.name])} == set(held)
        model = started(tiny("s2hand").config, made.name, places)
        assert all(torch.equal(model.state_dict()[key], value) for key, value in held.items())
        assert card.recipe["seed"] == 0
        assert card.recipe["config"] == json.loads(json.dumps(asdict(tiny(made.name).config)))
        assert card.data["frames"] == card.validation_data["frames"] == NUM_FRAMES
        assert (card.data["split"], card.validation_data["split"]) == ("train", "test")
        assert card.data["title"] == "own data in FreiHAND's layout"
        assert 0 < card.hours < 1
        assert card.hours == card.curve[-1]["hours"]
        assert card.code["device"] == "cpu"
    assert (hands.card.hand_fingerprint, s2hand.card.hand_fingerprint) == (
        "",
        embedded_hand().fingerprint,
    )
    assert [point["place"] for point in hands.card.curve] == [2, 4, 6]
    assert [point["place"] for point in s2hand.card.curve] == [0, 1, 2, 3]
    assert hands.card.curve[-1]["loss"] == reports[-1][1]["loss"]


@pytest.mark.usefixtures("one_thread")
def test_scores_are_of_the_weights_in_the_file(places):
    hands = build("hands", places)
    assert set(hands.card.scores) == {KEYPOINT_ERROR}
    last = hands.card.curve[-1][KEYPOINT_ERROR]
    assert hands.card.scores[KEYPOINT_ERROR] == pytest.approx(last, rel=1e-2)
    s2hand = build("s2hand", places)
    data = replace(tiny("s2hand").config.data, root="", validation_root=str(places.validation_root))
    config = S2HandConfig(data=data, model=tiny("s2hand").config.model)
    frames = FrameDataset.from_config(load_validation(config), config)
    model = started(tiny("s2hand").config, "s2hand", places)
    found = evaluate_model(Predictor(model), frames, batch_size=256, outputs=model.outputs)
    # Weights in another memory format: convolutions round otherwise. The file's half precision
    # changes scores a thousand times as much.
    measured = {f"validation/{name}": value for name, value in found.metrics.items()}
    assert s2hand.card.scores == pytest.approx(measured, rel=1e-6)
    assert "validation/silhouette_error" in s2hand.card.scores
    joints = "validation/pa_mpjpe_cm"
    before_rounding = s2hand.card.curve[-1][joints]
    assert s2hand.card.scores[joints] != pytest.approx(before_rounding, rel=1e-6)
    assert s2hand.card.scores[joints] == pytest.approx(s2hand.card.curve[-1][joints], rel=1e-2)


def test_truth_is_not_looked_at_in_training(places):
    before = build("hands", places)
    weights = read_weights(before.path)
    truth = places.data_root / "training_xyz.json"
    moved = np.array(json.loads(truth.read_text())) + np.array([0.005, 0, 0.05])
    truth.write_text(json.dumps(moved.tolist()))
    anew = replace(places, work_dir=places.work_dir / "anew")
    after = read_weights(build("hands", anew).path)
    assert all(torch.equal(after[name], value) for name, value in weights.items())


@pytest.mark.parametrize(("name", "stop"), [("hands", 4), ("s2hand", 2)])
def test_an_interrupted_training_goes_on(places, tmp_path, name, stop):
    elsewhere = replace(places, work_dir=tmp_path / "other", weights_dir=tmp_path / "others")
    if name == "s2hand":
        build("hands", places)
        build("hands", elsewhere)
    whole = build(name, places)
    seen = []

    def interrupt(place, _metrics):
        seen.append(place)
        if place == stop and seen.count(place) == 1:
            raise StopTrainingError

    with pytest.raises(StopTrainingError):
        build(name, elsewhere, report=interrupt)
    again = build(name, elsewhere, report=interrupt)
    assert seen == [point["place"] for point in whole.card.curve]  # nothing was done twice
    assert again.card.scores == whole.card.scores
    there, here = read_weights(whole.path), read_weights(again.path)
    assert all(torch.equal(here[key], value) for key, value in there.items())
    hours = [point["hours"] for point in again.card.curve]
    assert hours == sorted(hours)
    # Asked for once more, the file is the same to the byte.
    assert build(name, elsewhere, report=interrupt).sha256 == again.sha256
    assert seen == [point["place"] for point in whole.card.curve]


def test_another_recipe_or_start_is_another_training(places):
    first = build("hands", places)
    build("s2hand", places)
    longer = replace(tiny("hands"), features=replace(tiny("hands").features, steps=8))
    second = build("hands", places, recipe=longer)
    build("s2hand", places)
    assert first.sha256 != second.sha256
    assert {len(list((places.work_dir / name).iterdir())) for name in WEIGHTS} == {2}


def test_what_is_missing_is_told(places):
    with pytest.raises(ConfigurationError, match=r"pretrained='hands' needs .*hands\.safetensors"):
        build("s2hand", places)
    build("hands", places)
    (curve,) = places.work_dir.glob("hands/*/curve.jsonl")
    curve.write_text(curve.read_text() + '{"place":')
    with pytest.raises(DataError, match=r"curve\.jsonl: must hold a JSON object"):
        build("hands", places)
