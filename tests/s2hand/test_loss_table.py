"""The table of losses says everything about a term, once: where it acts, and what acts in it."""

import shutil
import subprocess
import sys
from dataclasses import asdict, fields, replace
from importlib import import_module
from pathlib import Path

import pytest
import torch

import s2hand
from s2hand.config import DataConfig, LossConfig, ModelConfig, S2HandConfig, StageConfig
from s2hand.data.sample import Batch
from s2hand.errors import ConfigurationError
from s2hand.loss_table import (
    OBJECTIVE_MODULES,
    TERMS,
    LossWeights,
    active_weights,
    modules_of_losses,
    parts_of_losses,
    settings_of_losses,
)
from s2hand.losses.formula import RestHand
from s2hand.losses.objective import Objective, weighted_total
from s2hand.model import S2Hand
from s2hand.parts import PARTS

PACKAGE = Path(s2hand.__file__).parent
EVERYWHERE = LossWeights(**dict.fromkeys(TERMS, 0.5))
CLIPS = {"quaternion", "temporal", "smooth", "texture_shape"}
SIZE_PX = 32


def test_every_term_has_one_formula_and_every_formula_a_term():
    found = []
    for module in {term.modules[0] for term in TERMS.values()}:
        found += import_module(module).FORMULAS
    assert sorted(found) == sorted(TERMS)


def test_a_term_acts_where_it_can_be_computed_and_trains_something_and_clips_are_there():
    def acting(branch, *, over_clips, without=()):
        weights = active_weights(EVERYWHERE, branch=branch, over_clips=over_clips, without=without)
        assert set(weights.values()) == {0.5}
        return set(weights)

    of_2d, of_both = {"heatmap_keypoint"}, {"keypoint_consistency"}
    assert acting("both", over_clips=True) == set(TERMS)
    assert acting("both", over_clips=False) == set(TERMS) - CLIPS
    assert acting("3d", over_clips=True) == set(TERMS) - of_2d - of_both
    pictures = {"pixel", "ssim", "mean_colour", "texture_prior"}
    assert acting("appearance", over_clips=False) == pictures
    assert acting("appearance", over_clips=True) == pictures | {"texture_shape"}
    assert acting("2d", over_clips=True) == acting("2d", over_clips=False) == of_2d
    assert acting("3d", over_clips=False, without=["ssim"]) == (
        set(TERMS) - CLIPS - of_2d - of_both - {"ssim"}
    )
    assert not active_weights(
        LossWeights(**dict.fromkeys(TERMS, 0.0)), branch="both", over_clips=True
    )


def test_terms_train_the_parts_that_compute_what_they_need():
    assert parts_of_losses(["shape_prior"]) == ("encoder", "head")
    assert parts_of_losses(["heatmap_keypoint"]) == ("keypoint_estimator",)
    assert parts_of_losses(["pixel"]) == ("encoder", "head", "texture_light_head")
    assert parts_of_losses(TERMS) == tuple(PARTS)
    assert parts_of_losses([]) == ()


def test_every_setting_takes_effect_in_a_term():
    """A field that belonged to none would let different stages share a checkpoint."""
    assert settings_of_losses(TERMS) == {each.name for each in fields(LossConfig)} - {"weights"}
    assert settings_of_losses(["bone_direction", "smooth"]) == {"smooth_threshold_rad"}


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_is_finite_and_not_negative(weight):
    with pytest.raises(ConfigurationError, match=r"losses\.weights\.ssim must be finite.*got "):
        LossWeights(ssim=weight)


def test_weights_are_plain_data():
    assert asdict(LossWeights(ssim=0.25))["ssim"] == 0.25
    assert list(asdict(LossWeights())) == list(TERMS)
    with pytest.raises(TypeError, match="sim"):
        LossWeights(sim=0.25)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = S2HandConfig(
        model=ModelConfig(
            encoder="convnet", pretrained="none", image_size_px=SIZE_PX, keypoint_channels=8
        ),
        losses=LossConfig(weights=EVERYWHERE),
        data=DataConfig(dataset="ho3d", supervision="3d"),
        stages=(
            StageConfig(
                name="clips", epochs=1, learning_rate=1.0, decay_every_epochs=1,
                decay_factor=1.0, samples="clips",
            ),
        ),
    )  # fmt: skip
    return S2Hand(config).eval()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    camera = torch.tensor([[60.0, 0.0, 15.5], [0.0, 60.0, 15.5], [0.0, 0.0, 1.0]])
    return Batch(
        images=torch.rand(4, 3, SIZE_PX, SIZE_PX, generator=generator),
        intrinsics_px=camera.repeat(4, 1, 1),
        detected_keypoints_px=SIZE_PX * torch.rand(4, 21, 2, generator=generator),
        detection_confidence=torch.rand(4, 21, generator=generator),
        camera_rotation=torch.eye(3).expand(4, 3, 3),
        sample_index=torch.arange(4),
        clip_length=2,
        joints=torch.randn(4, 21, 3, generator=generator),
    )


@pytest.fixture(scope="module")
def prediction(model, batch):
    with torch.no_grad():
        return model(
            batch.images, batch.intrinsics_px, batch.camera_rotation, outputs=model.outputs
        )


def rest_hand_of(model):
    layer = model.hand_layer
    return RestHand(joints=layer.rest_joints, vertices=layer.rest_vertices, faces=layer.faces)


FORMS = [
    LossConfig(),
    LossConfig(photometric="two_layers"),
    LossConfig(
        keypoint_2d="released",
        photometric="released",
        photometric_min_confidence=0.1,
        heatmap_keypoint="released",
        shape_prior="squared",
        bone_length_prior="absolute",
        joint_angle_prior="axis_angle",
    ),
]


def executed_modules(call):
    """Name the modules of the package, without those that only describe, that a call runs."""
    seen = set()

    def note(frame, _event, _argument):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE) and frame.f_code.co_name != "<module>":
            seen.add(".".join(("s2hand", *path.relative_to(PACKAGE).with_suffix("").parts)))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen


CORE = {f"s2hand.{name}" for name in ("loss_table", "parts", "prediction")}
"""What every training runs, whatever its losses."""


@pytest.mark.parametrize("losses", FORMS, ids=["paper", "two_layers", "released"])
@pytest.mark.parametrize("name", TERMS)
def test_what_runs_for_a_term_is_declared(name, losses, model, batch, prediction):
    """Its preparation, sum and count."""
    rest_hand = rest_hand_of(model)

    def evaluate():
        objective = Objective(losses, {name: 1.0}, rest_hand)
        totals, counts = objective.totals(prediction, batch), objective.counts(batch)
        weighted_total(totals, counts, objective.weights)

    executed = executed_modules(evaluate)
    declared = modules_of_losses([name])
    assert executed <= declared | CORE
    assert {TERMS[name].modules[0], "s2hand.losses.objective"} <= executed


def test_declared_modules_exist_and_nothing_acts_where_no_term_does():
    for module in modules_of_losses(TERMS):
        import_module(module)
    assert set(OBJECTIVE_MODULES) < modules_of_losses(["ssim"])
    assert modules_of_losses([]) == frozenset()


def test_a_formula_sees_no_setting_that_the_table_does_not_name(
    model, batch, prediction, monkeypatch
):
    """Else it would take effect without entering a stage's identity."""
    narrowed = replace(TERMS["smooth"], settings=())
    monkeypatch.setitem(TERMS, "smooth", narrowed)
    objective = Objective(LossConfig(), {"smooth": 1.0}, rest_hand_of(model))
    with pytest.raises(AttributeError, match="smooth_threshold_rad"):
        objective.totals(prediction, batch)


ENTRY = '''
    made_up: float = _term(0.25, ("s2hand.losses.made_up",), settings=("smooth_threshold_rad",))
    """The length of the translation."""
'''

FORMULA = '''
"""A made-up loss."""

from s2hand.losses.formula import Formula, per_frame

FORMULAS = {
    "made_up": Formula(
        count=lambda batch, _: per_frame(batch, 3),
        total=lambda given, settings: (given.hand.transl - settings.smooth_threshold_rad).sum(),
    ),
}
'''

USE = """
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import torch
import s2hand
from s2hand.config import LossConfig, LossWeights, ModelConfig, OptimiserConfig, S2HandConfig
from s2hand.data.sample import Batch
from s2hand.losses.formula import RestHand
from s2hand.losses.objective import Objective
from s2hand.loss_table import TERMS, modules_of_losses
from s2hand.model import S2Hand
from s2hand.schedule import phase_of
from s2hand.training.stages import stage_id, stage_identity
from s2hand.training.step import TrainingStep, build_optimiser
from s2hand.training.workers import Workers

assert Path(s2hand.__file__).is_relative_to(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(1)
alone = LossWeights(**dict.fromkeys(TERMS, 0.0) | {"made_up": 0.25})
config = S2HandConfig(
    model=ModelConfig(encoder="convnet", pretrained="none", image_size_px=32),
    losses=LossConfig(weights=alone),
)
assert LossWeights().made_up == 0.25  # its own weight, by default
stage = config.stages[0]
weights = phase_of(config, stage, 0).weights
assert weights == {"made_up": 0.25}
assert phase_of(config, config.stages[1], 0).weights == {}  # the stage of the 2D branch

model = S2Hand(config).train()
layer = model.hand_layer
step = TrainingStep(
    model=model,
    objective=Objective(
        config.losses,
        weights,
        RestHand(joints=layer.rest_joints, vertices=layer.rest_vertices, faces=layer.faces),
    ),
    optimiser=build_optimiser(model.parts, stage, OptimiserConfig()),
    workers=Workers(rank=0, world_size=1),
    micro_batch_size=0,
    name_samples=list,
)
batch = Batch(
    images=torch.rand(4, 3, 32, 32),
    intrinsics_px=torch.tensor([[60.0, 0, 15.5], [0, 60.0, 15.5], [0, 0, 1]]).repeat(4, 1, 1),
    detected_keypoints_px=torch.zeros(4, 21, 2),
    detection_confidence=torch.ones(4, 21),
    camera_rotation=torch.eye(3).expand(4, 3, 3),
    sample_index=torch.arange(4),
)
assert step.objective.counts(batch)["made_up"].item() == 12
values = [step.run(batch).item() for _ in range(5)]
assert values[-1] < values[0], values


def identify(config):
    return stage_id(
        stage_identity(
            config, 0, seed=0, device_type="cpu", fingerprints={}, initial={}, previous={}
        )
    )


losses = config.losses
others = [
    replace(losses, smooth_threshold_rad=0.2),
    replace(losses, weights=replace(alone, made_up=0.5)),
    replace(losses, weights=replace(alone, shape_prior=0.1)),
]
ids = {identify(replace(config, losses=each)) for each in (losses, *others)}
assert len(ids) == 4
assert identify(replace(config, losses=replace(losses, keypoint_knee_px=3.0))) in ids
assert "s2hand.losses.made_up" in modules_of_losses(weights)
print("trained, counted, identified")
"""


def test_a_new_loss_is_one_entry_and_its_formula(tmp_path):
    """In a copy of the package: weighted, built, trained, counted, identified, fingerprinted."""
    copy = shutil.copytree(
        PACKAGE, tmp_path / "s2hand", ignore=shutil.ignore_patterns("__pycache__")
    )
    table = copy / "loss_table.py"
    before, end, after = table.read_text().partition("\n    def __post_init__")
    assert end
    table.write_text(before + ENTRY + end + after)
    (copy / "losses" / "made_up.py").write_text(FORMULA)
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "trained, counted, identified", done.stderr
