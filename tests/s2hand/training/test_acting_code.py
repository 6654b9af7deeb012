"""What is declared to act is all that acts: seen in trainings that run, and in what is imported."""

import ast
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from numba.core.dispatcher import Dispatcher

import s2hand
from s2hand.config import LossWeights, S2HandConfig
from s2hand.data.dataset import FrameDataset
from s2hand.evaluation import evaluate_model, predict_frames
from s2hand.hand.loader import load_hand_model
from s2hand.inference import Predictor
from s2hand.layouts import LAYOUTS
from s2hand.metrics.baselines import mean_pose_predictions
from s2hand.metrics.curves import curves_of
from s2hand.metrics.evaluate import evaluate
from s2hand.metrics.rendering import true_silhouettes
from s2hand.model import S2Hand
from s2hand.source import module_digests
from s2hand.trained_model import MODEL_NAME, load_model
from s2hand.training.acting_code import evaluation_modules, stage_modules, training_modules
from s2hand.training.loop import train
from s2hand.training.stage_run import StageRun

CANNOT_ACT = {
    "s2hand.errors",  # words
    "s2hand.types",  # annotations
    "s2hand.files",  # writes what it is given, tells what is wrong with a path
    "s2hand.loss_table",  # what it says of a term that acts is in a stage's identity
    *("s2hand.source", "s2hand.training.acting_code"),  # name what acts
    *("s2hand.data.digests", "s2hand.data.fingerprint"),  # identify the data
    *("s2hand.data.manifest", "s2hand.data.record"),  # say what it is
    *("s2hand.training.context", "s2hand.training.reports"),  # tell others
    *("s2hand.drawing", "s2hand.reconstruction_pictures", "s2hand.rendering.pictures"),
    # Hold settings, which are in the identity, and refuse.
    *(f"s2hand.config.{name}" for name in ("checks", "losses", "model", "presets")),
    *("s2hand.config.running", "s2hand.config.stages"),
    "s2hand.own_model",  # opens what nobody trains
    "s2hand.networks.imagenet_weights",  # finds a file whose content it knows
    # Folders' own files, which hold a docstring; the package's own opens trained models.
    *(
        "s2hand",
        "s2hand.config",
        "s2hand.data",
        "s2hand.geometry",
        "s2hand.hand",
        "s2hand.keypoints",
    ),
    *("s2hand.losses", "s2hand.metrics", "s2hand.networks", "s2hand.training"),
}
"""Modules that a training imports and that change nothing of what comes out."""

NEVER_CHOSEN = {"s2hand.rendering.pytorch3d"}
"""Backends that no training asks for."""

GEOMETRY_ALONE = ("pixel", "ssim", "texture_prior")


class Trace:
    """The modules and functions of the package that run."""

    def __init__(self):
        self.functions = {}

    @property
    def modules(self):
        return {name for name, _ in self.functions.values()}

    def __call__(self, frame, event, _argument):
        name, code = frame.f_globals.get("__name__", ""), frame.f_code
        is_ours = event == "call" and name.partition(".")[0] == "s2hand"
        if is_ours and code.co_name != "<module>":  # to import a module is not to run it
            self.functions[code] = (name, frame.f_globals)

    @contextmanager
    def running(self):
        sys.setprofile(self)
        threading.setprofile(self)
        try:
            yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @property
    def touched(self):
        """The modules of constants and compiled functions that running functions name."""
        found = set()
        for code, (_, scope) in self.functions.items():
            found |= _modules_of_names(code.co_names, scope)
        return found


def _modules_of_names(names, scope, seen=frozenset()):
    found, origins = set(), _origins(scope["__name__"])
    for name in set(names) - seen:
        value = scope.get(name)
        if isinstance(value, Dispatcher):
            function = value.py_func
            found.add(function.__module__)
            found |= _modules_of_names(
                function.__code__.co_names, function.__globals__, seen | set(names)
            )
        elif name in origins and not isinstance(value, FunctionType | ModuleType | type):
            found.add(origins[name])
    return found


_ORIGINS = {}


def _origins(module):
    """Return where a module's imported names come from, of this package."""
    if module not in _ORIGINS:
        tree = ast.parse(Path(sys.modules[module].__file__).read_bytes())
        _ORIGINS[module] = {
            alias.asname or alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("s2hand")
            for alias in node.names
        }
    return _ORIGINS[module]


def with_weights(config, **weights):
    weights = replace(config.losses.weights, **weights)
    data = replace(config.data, supervision="3d" if weights.joint_3d else "2d")
    return replace(config, data=data, losses=replace(config.losses, weights=weights))


EVERY_LOSS = dict.fromkeys(LossWeights.__slots__, 0.01)

KINDS = {
    "as configured": {},
    "geometry alone": dict.fromkeys(GEOMETRY_ALONE, 0.0),
    "every loss": EVERY_LOSS,
}


@pytest.fixture
def compiled_kernels(config, table):
    """The renderer's compiled functions: to compile under the trace would take minutes."""
    batch = FrameDataset(table, config.model.image_size_px).batch(range(2))
    prediction = S2Hand(config)(
        batch.images, batch.intrinsics_px, batch.camera_rotation, outputs={"rendering"}
    )
    prediction.rendering.image.sum().backward()
    true_silhouettes(
        prediction.hand.vertices.detach(), batch.intrinsics_px,
        S2Hand(config).hand_layer.faces.numpy(), config.model.image_size_px,
    )  # fmt: skip


@pytest.mark.usefixtures("compiled_kernels", "in_tiny_data")
@pytest.mark.parametrize("kind", KINDS)
def test_what_runs_in_a_stage_is_declared_for_it(config, make_context, monkeypatch, kind):
    # Pictures for people run parts that the stage does not train.
    config = replace(config, runtime=replace(config.runtime, picture_every_epochs=0))
    config = with_weights(config, **KINDS[kind])
    run, traces = StageRun.run, {}

    def traced(stage_run):
        with Trace().running() as trace:
            run(stage_run)
        traces[stage_run.index] = trace
        sys.setprofile(whole)
        threading.setprofile(whole)

    monkeypatch.setattr(StageRun, "run", traced)
    whole = Trace()
    with whole.running():
        train(config, seed=0, context=make_context())
    assert set(traces) == {0, 1, 2}
    for index, trace in traces.items():
        declared = stage_modules(config, index, "cpu")
        assert trace.modules - CANNOT_ACT <= declared
        assert trace.touched - CANNOT_ACT <= declared
        assert len(trace.modules & declared) > 10  # the trace sees something
    assert whole.modules - CANNOT_ACT <= training_modules(config, "cpu") | {"s2hand.trained_model"}
    if kind == "every loss":
        seen = {name for t in (whole, *traces.values()) for name in t.modules | t.touched}
        # Nothing is declared that does nothing, but for what acts when it is imported, and what
        # reads files, which the test replaces.
        at_import = {"s2hand.rendering", "s2hand.compiled"}
        reading = {*LAYOUTS["ho3d"].modules, "s2hand.hand.pickles"}
        assert training_modules(config, "cpu") - seen <= at_import | reading


@pytest.mark.usefixtures("compiled_kernels", "in_tiny_data")
def test_what_runs_in_an_evaluation_is_declared(config, make_context, table):
    context = make_context()
    train(config, seed=0, context=context)
    frames = FrameDataset(table, config.model.image_size_px)
    model = load_model(context.checkpoint_dir / MODEL_NAME)
    hands = predict_frames(Predictor(model), frames, batch_size=16)
    known = replace(table, joints=hands.joints, vertices=hands.vertices)
    with Trace().running() as trace:
        predictor = Predictor(load_model(context.checkpoint_dir / MODEL_NAME))
        frames = FrameDataset(known, config.model.image_size_px)
        evaluate_model(predictor, frames, batch_size=8, outputs=predictor.model.outputs)
        curves_of(hands, known)
        evaluate(mean_pose_predictions(load_hand_model(), len(known)), known)
    declared = evaluation_modules(config, "cpu")
    assert (trace.modules | trace.touched) - CANNOT_ACT <= declared
    assert {"s2hand.metrics.evaluate", "s2hand.rendering.cpu"} <= trace.modules
    assert {"s2hand.metrics.baselines", "s2hand.metrics.curves"} <= trace.modules


def test_every_module_that_is_imported_is_declared_or_known_not_to_act(config):
    everything = with_weights(config, **EVERY_LOSS)
    declared = frozenset[str]().union(
        *(
            modules(replace(everything, data=replace(everything.data, dataset="ho3d")), device)
            for modules in (training_modules, evaluation_modules)
            for device in ("cpu", "cuda")
        ),
        *(
            modules(S2HandConfig(), device)
            for modules in (training_modules, evaluation_modules)
            for device in ("cpu", "cuda")
        ),
    )
    assert _closure(declared) - declared == CANNOT_ACT


def _closure(modules):
    """Follow the import statements in source, and what is imported by a name put together."""
    found, pending = set(), [*modules, "s2hand.rendering.cuda"]
    while pending:
        name = pending.pop()
        if name in found or name in NEVER_CHOSEN:
            continue
        found.add(name)
        pending.append(name.rpartition(".")[0] or name)
        for node in ast.walk(ast.parse(Path(find_spec(name).origin).read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("s2hand"):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                pending += [node.module, *(each for each in inner if _is_module(each))]
            elif isinstance(node, ast.Import):
                pending += [a.name for a in node.names if a.name.partition(".")[0] == "s2hand"]
    return found


def _is_module(name):
    path = Path(s2hand.__file__).parents[1] / f"{name.replace('.', '/')}.py"
    return path.is_file()


def test_every_declared_module_exists(config):
    for device in ("cpu", "cuda"):
        for modules in (training_modules, evaluation_modules):
            declared = modules(with_weights(config, **EVERY_LOSS), device)
            assert module_digests(declared).keys() == declared


def test_a_device_s_backend_acts_on_that_device_alone(config):
    for modules in (training_modules, evaluation_modules):
        cpu, cuda = modules(config, "cpu"), modules(config, "cuda")
        assert cuda - cpu == {
            f"s2hand.rendering.{name}" for name in ("cuda", "cuda_device", "cuda_kernels")
        }
        assert {"s2hand.rendering.cpu", "s2hand.rendering.outlines"} <= cpu - cuda
        without = with_weights(config, **dict.fromkeys(GEOMETRY_ALONE, 0.0))
        assert modules(without, "cpu") == modules(without, "cuda")


def test_metrics_act_in_evaluations_and_losses_in_trainings_alone(config):
    training, evaluation = training_modules(config, "cpu"), evaluation_modules(config, "cpu")
    assert not any(name.startswith("s2hand.metrics") for name in training)
    assert "s2hand.losses.keypoint" in training - evaluation
    assert "s2hand.metrics.evaluate" in evaluation
    assert "s2hand.losses.priors" in training - evaluation
    assert not any(name.startswith("s2hand.training") for name in evaluation)


def test_a_stage_has_the_code_of_its_own_losses_parts_and_data(config):
    image, keypoints, motion = (stage_modules(config, index, "cpu") for index in range(3))
    assert "s2hand.losses.motion" in motion - image
    assert "s2hand.networks.keypoint_estimator" in keypoints - image
    assert "s2hand.rendering.render" in image - keypoints
    assert "s2hand.losses.priors" in image - keypoints
    assert "s2hand.data.ho3d" in image
    assert "s2hand.data.freihand" not in image
    assert import_module("s2hand.losses.laplacian").__name__ not in motion
