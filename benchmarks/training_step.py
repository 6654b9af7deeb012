"""Time a training step of each stage against its networks alone.

    python benchmarks/training_step.py [--device cuda] [--preset paper] [--batch-size 64] ...

A step is forward, losses, backward and update on one batch of random pictures; the networks alone
are encoder, heads and 2D keypoint estimator, forward and backward with given cotangents, on the
same batch. What the step adds is the hand layer, rendering, losses and Adam. Measurements take
turns, so that a busy machine slows all alike: believe the ratios, which are medians over medians.
Targets for the stage of both branches: at most 25 % added on CUDA at batch 64 and 224 px, 5 % on
a CPU. The input pipeline is ``input_pipeline.py``'s.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from s2hand.config import PRESETS, S2HandConfig, StageConfig
from s2hand.data.augmentation import Augmentation
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import Batch, FrameTable
from s2hand.losses.formula import RestHand
from s2hand.losses.objective import Objective
from s2hand.model import REFERENCE_FOCAL, S2Hand
from s2hand.schedule import phase_of
from s2hand.training.determinism import use_deterministic_algorithms
from s2hand.training.stages import stage_parts
from s2hand.training.step import TrainingStep, build_optimiser
from s2hand.training.workers import Workers

FREIHAND_IMAGES = 32_560
NUM_FILES = 64


def main() -> None:
    """Print a table, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="paper")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--image-size", type=int, default=0, help="0: the preset's")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    config = configure(arguments)
    with tempfile.TemporaryDirectory() as folder:
        dataset = noise_dataset(Path(folder), config.model.image_size_px)
        result = measure(config, dataset, arguments)
    if arguments.json:
        print(json.dumps(result))
        return
    print(
        f"{arguments.preset}, {config.model.image_size_px} px, batch {arguments.batch_size}, "
        f"{arguments.precision}, {arguments.device}"
    )
    print(f"{'stage':10} {'step':>12} {'networks':>12} {'added':>7}")
    for name, row in result["stages"].items():
        print(
            f"{name:10} {row['step_images_per_s']:8.1f}/s  {row['networks_images_per_s']:8.1f}/s  "
            f"{row['added']:6.1%}"
        )
    print(
        f"{FREIHAND_IMAGES} images through all epochs of {arguments.preset}: "
        f"{result['schedule_hours']:.1f} h"
    )


def configure(arguments: argparse.Namespace) -> S2HandConfig:
    """Take the preset with the sizes asked for, from random weights."""
    config = PRESETS[arguments.preset]
    size = arguments.image_size or config.model.image_size_px
    return replace(
        config,
        model=replace(config.model, pretrained="none", image_size_px=size),
        optimiser=replace(
            config.optimiser,
            batch_size=arguments.batch_size,
            precision=arguments.precision,
            compile=arguments.compile,
        ),
    )


def measure(
    config: S2HandConfig, dataset: FrameDataset, arguments: argparse.Namespace
) -> dict[str, object]:
    """Time every stage's step and networks."""
    device = arguments.device
    use_deterministic_algorithms()
    torch.manual_seed(0)
    model = S2Hand(config).to(device)
    model.to(memory_format=model.memory_format)
    if config.optimiser.compile:
        for name in model.parts.keys() - {"head"}:
            model.parts[name].compile()
    rows = np.arange(arguments.batch_size) % NUM_FILES
    generator = torch.Generator().manual_seed(0)
    batch = dataset.batch(rows, generator=generator).to(torch.device(device))
    stages = {
        stage.name: compare(model, config, index, stage, batch, arguments)
        for index, stage in enumerate(config.stages)
    }
    hours = sum(
        FREIHAND_IMAGES * stage.epochs / stages[stage.name]["step_images_per_s"] / 3600
        for stage in config.stages
    )
    return {
        "device": torch.cuda.get_device_name() if device != "cpu" else "cpu",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "stages": stages,
        "schedule_hours": hours,
    }


def compare(
    model: S2Hand,
    config: S2HandConfig,
    index: int,
    stage: StageConfig,
    batch: Batch,
    arguments: argparse.Namespace,
) -> dict[str, float]:
    """Time a stage's whole step against its networks, in turns."""
    step = build_step(model, config, index, stage)
    networks = build_networks(model, stage_parts(config, index), batch)
    seconds = median_seconds(
        {"step": lambda: step.run(batch), "networks": networks}, arguments.repeats, arguments.device
    )
    count = len(batch.images)
    return {
        "step_images_per_s": count / seconds["step"],
        "networks_images_per_s": count / seconds["networks"],
        "added": seconds["step"] / seconds["networks"] - 1,
    }


def build_step(model: S2Hand, config: S2HandConfig, index: int, stage: StageConfig) -> TrainingStep:
    """Make the step that the training loop makes for a stage of frames."""
    layer, parts = model.hand_layer, stage_parts(config, index)
    for name, part in model.parts.items():
        part.train(name in parts)
    return TrainingStep(
        model=model,
        objective=Objective(
            config.losses,
            phase_of(config, stage, 0).weights,
            RestHand(joints=layer.rest_joints, vertices=layer.rest_vertices, faces=layer.faces),
        ),
        optimiser=build_optimiser(
            {name: model.parts[name] for name in parts},
            replace(stage, learning_rate=1e-5),
            config.optimiser,
        ),
        workers=Workers(rank=0, world_size=1),
        micro_batch_size=0,
        name_samples=lambda rows: [str(row) for row in rows.tolist()],
    )


def build_networks(model: S2Hand, parts: tuple[str, ...], batch: Batch) -> Callable[[], None]:
    """Return the forward and backward pass of the stage's networks, and of nothing else."""
    images = batch.images.contiguous(memory_format=model.memory_format)

    def run() -> None:
        outputs = []
        with torch.autocast(
            images.device.type, dtype=torch.bfloat16, enabled=model.precision == "bfloat16"
        ):
            if "keypoint_estimator" in parts:
                outputs.append(model.keypoint_estimator(images))
            if "encoder" in parts:
                features = model.encoder(images)
                hand = model.head(features.pooled)
                outputs += [hand.hand_pose_pca, hand.betas, hand.global_orient, hand.transl]
                painted = model.texture_light_head(features.low_level)
                outputs += [painted.texture, painted.lighting_vector]
        weights = [w for name in parts for w in model.parts[name].parameters()]
        torch.autograd.grad(
            outputs, weights, grad_outputs=[torch.ones_like(o) for o in outputs], allow_unused=True
        )

    return run


def median_seconds(
    runs: dict[str, Callable[[], object]], repeats: int, device: str
) -> dict[str, float]:
    """Run each once to warm up, then in turns; give the medians."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            synchronise(device)
            start = time.perf_counter()
            run()
            synchronise(device)
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def noise_dataset(folder: Path, size_px: int) -> FrameDataset:
    """Write pictures of noise, and make the dataset of a collection of them."""
    random = np.random.default_rng(0)
    paths = [folder / f"{index:08d}.jpg" for index in range(NUM_FILES)]
    for path in paths:
        Image.fromarray(random.integers(0, 255, (size_px, size_px, 3), np.uint8)).save(path)
    centre, focal = (size_px - 1) / 2, REFERENCE_FOCAL * size_px
    camera = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]], np.float32)
    keypoints = random.uniform(0.3 * size_px, 0.7 * size_px, (NUM_FILES, 21, 2))
    table = FrameTable(
        sample_ids=tuple(path.stem for path in paths),
        image_paths=tuple(paths),
        intrinsics_px=np.tile(camera, (NUM_FILES, 1, 1)),
        sequences=("",) * NUM_FILES,
        frames=np.arange(NUM_FILES),
        detected_keypoints_px=keypoints.astype(np.float32),
        detection_confidence=random.uniform(0.3, 1, (NUM_FILES, 21)).astype(np.float32),
        crop_box_px=np.full((NUM_FILES, 4), np.nan, np.float32),
    )
    return FrameDataset(table, size_px, augmentation=Augmentation())


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
