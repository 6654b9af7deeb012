"""Time the input pipeline against a step of the model: would a device wait for its pictures?

Frames of a sequence, cropped, turned and jittered in colour, as batches on the device, and the
steps of the stage of the 3D branch, the quickest of the paper's three. In turns, so that a busy
machine slows all alike: believe the ratios, which are medians over medians.

- ``pipeline``: samples a second of batches made one after the other, over those of steps with a
  batch that is there. Above 1 the pipeline is quicker. On CUDA with packed pictures held on the
  device, and brought there.
- ``fed``: the time of steps that are fed as a training feeds them, over the time of the steps
  alone. 1 is a device that never waits. A CPU makes its batches itself: the rest is their share.
- ``thread``: samples a second that one CPU thread gives to a GPU, more than which no GPU can take,
  and the same over those that the thread would make whole: measured without what the GPU does.
"""

import argparse
import json
import tempfile
from copy import copy
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from training_step import build_step, configure, median_seconds

from s2hand.data.augmentation import Augmentation
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import Batch, FrameTable
from s2hand.data.transfer import PackedPixels
from s2hand.model import S2Hand
from s2hand.training.determinism import use_deterministic_algorithms
from s2hand.training.feeding import made_ahead
from s2hand.training.step import TrainingStep

NUM_FRAMES = 256
NUM_STEPS = 4
"""Steps of a measurement: enough for batches to be made ahead."""


def main() -> None:
    """Print a table, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--image-sizes", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--batch-size", type=int, default=64 if torch.cuda.is_available() else 8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result, given = {}, {}
    for size_px in arguments.image_sizes:
        with tempfile.TemporaryDirectory() as folder:
            dataset = sequence(Path(folder), size_px)
            result[size_px] = measure(dataset, arguments)
            given[size_px] = give(dataset, arguments.repeats)
    if arguments.json:
        print(json.dumps({"device": arguments.device, "sizes": result, "thread": given}))
        return
    print(f"{arguments.device}, batch {arguments.batch_size}, {torch.get_num_threads()} threads")
    print(f"{'px':>4}  {'pictures':8}  {'steps':>9}  {'pipeline':>19}  {'fed':>6}")
    for size_px, rows in result.items():
        for name, row in rows.items():
            print(
                f"{size_px:4}  {name:8}  {row['steps_samples_per_s']:7.0f}/s  "
                f"{row['pipeline_samples_per_s']:7.0f}/s ({row['pipeline']:6.1f} x)  "
                f"{row['fed']:6.3f}"
            )
    print(f"{'px':>4}  {'pictures':8}  thread")
    for size_px, rates in given.items():
        for name, rate in rates.items():
            relief = rate / rates["made"]
            print(f"{size_px:4}  {name:8}  {rate:7.0f}/s ({relief:6.1f} x)")


def measure(dataset: FrameDataset, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time steps, batches, and steps that are fed, with pictures held and brought."""
    device = torch.empty(0, device=arguments.device).device
    step = build(dataset.image_size_px, arguments)
    kinds = {"held": True, "brought": False} if device.type == "cuda" else {"here": False}
    return {
        name: compare(step, dataset.to(device, holds_pixels=holds), arguments)
        for name, holds in kinds.items()
    }


def compare(
    step: TrainingStep, dataset: FrameDataset, arguments: argparse.Namespace
) -> dict[str, float]:
    """Time one step against its batch, and against a step that is fed."""
    generator = torch.Generator().manual_seed(0)
    order = np.random.default_rng(0).permutation(NUM_FRAMES)
    places = [np.resize(np.roll(order, -i), arguments.batch_size) for i in range(NUM_STEPS)]
    make = partial(dataset.batch, generator=generator)
    ready = make(places[0])

    def steps() -> None:
        for _ in places:
            step.run(ready)

    def pipeline() -> None:
        for place in places:
            make(place)

    def fed() -> None:
        for batch in made_ahead(make, places, arguments.device):
            step.run(batch)

    seconds = median_seconds(
        {"steps": steps, "pipeline": pipeline, "fed": fed}, arguments.repeats, arguments.device
    )
    count = NUM_STEPS * arguments.batch_size
    return {
        "steps_samples_per_s": count / seconds["steps"],
        "pipeline_samples_per_s": count / seconds["pipeline"],
        "pipeline": seconds["steps"] / seconds["pipeline"],
        "fed": seconds["fed"] / seconds["steps"],
    }


def give(dataset: FrameDataset, repeats: int) -> dict[str, float]:
    """Return the samples a second of one thread: made whole, and given to a GPU."""
    count, threads = 64, torch.get_num_threads()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    order = np.random.default_rng(0).permutation(NUM_FRAMES)[:count]
    pictures = torch.zeros(count, 3, dataset.image_size_px, dataset.image_size_px)

    def resample(_images: torch.Tensor, pixel_map: torch.Tensor, _size_px: int) -> torch.Tensor:
        torch.linalg.inv(pixel_map)  # the CPU's part of it
        return pictures

    def give_only(pixels: PackedPixels | None) -> Batch:
        given = copy(dataset)
        given.pixels = Given(pixels)
        with patch.multiple(
            "s2hand.data.dataset", resample=resample, map_colours=lambda images, _: images
        ):
            return given.batch(order, generator=generator)

    calls = {
        "made": lambda: dataset.batch(order, generator=generator),
        "brought": lambda: give_only(dataset.pixels),
        "held": lambda: give_only(None),
    }
    seconds = median_seconds(calls, 5 * repeats, "cpu")
    torch.set_num_threads(threads)
    return {name: count / each for name, each in seconds.items()}


class Given:
    """Stands for pictures that a GPU takes: they are gathered at most."""

    device = torch.device("cpu")

    def __init__(self, pixels: PackedPixels | None) -> None:
        self._pixels = pixels

    def take(self, numbers: np.ndarray) -> torch.Tensor:
        """Return nothing much."""
        if self._pixels is not None:
            self._pixels.take(numbers)
        return torch.zeros(len(numbers), 3, 1, 1, dtype=torch.uint8)


def build(image_size_px: int, arguments: argparse.Namespace) -> TrainingStep:
    """Make the step of the paper's first stage."""
    asked = argparse.Namespace(
        preset="paper",
        image_size=image_size_px,
        batch_size=arguments.batch_size,
        precision="float32",
        compile=False,
    )
    config = configure(asked)
    use_deterministic_algorithms()
    torch.manual_seed(0)
    model = S2Hand(config).to(arguments.device)
    model.to(memory_format=model.memory_format)
    return build_step(model, config, 0, config.stages[0])


def sequence(folder: Path, image_size_px: int) -> FrameDataset:
    """Write a picture of noise, and make a sequence that shows it in other places."""
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 255, (480, 640, 3), np.uint8)).save(folder / "noise.jpg")
    low = random.uniform([100, 80], [400, 260], (NUM_FRAMES, 2))
    extent = np.concatenate([low, low + random.uniform(80, 160, (NUM_FRAMES, 2))], axis=1)
    share = random.uniform(0, 1, (NUM_FRAMES, 21, 2))
    keypoints = extent[:, None, :2] + share * (extent[:, None, 2:] - extent[:, None, :2])
    camera = np.array([[614, 0, 320], [0, 614, 240], [0, 0, 1]], np.float32)
    table = FrameTable(
        sample_ids=tuple(map(str, range(NUM_FRAMES))),
        image_paths=(folder / "noise.jpg",) * NUM_FRAMES,
        intrinsics_px=np.tile(camera, (NUM_FRAMES, 1, 1)),
        sequences=("noise",) * NUM_FRAMES,
        frames=np.arange(NUM_FRAMES),
        detected_keypoints_px=keypoints.astype(np.float32),
        detection_confidence=random.uniform(0.3, 1, (NUM_FRAMES, 21)).astype(np.float32),
        crop_box_px=extent.astype(np.float32),
    )
    jitter = Augmentation(colour_jitter=0.2)
    return FrameDataset(table, image_size_px, augmentation=jitter, cache_dir=folder / "cache")


if __name__ == "__main__":
    main()
