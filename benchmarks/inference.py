"""Time the predictor against its encoder's forward alone, in one run.

Images a second from arrays to hands (checks, encoder, head, hand layer), for the hand alone and
with texture and light, and for the encoder by itself on the same images. Calls alternate, so that
a busy machine slows all alike: believe the ratios, which are medians over medians.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import s2hand
from s2hand.inference import Predictor

WARM_UP = 3


def main() -> None:
    """Print a table, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="else the project's own model")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    predictor = s2hand.load(arguments.checkpoint, device=arguments.device)
    rows = {
        batch_size: measure(calls(predictor, batch_size), arguments.repeats)
        for batch_size in arguments.batch_sizes
    }
    if arguments.json:
        print(json.dumps({"threads": arguments.threads, "seconds": rows}))
        return
    print(f"inference on {arguments.device}, {arguments.threads} threads, medians")
    print(f"{'batch':>5}  {'what':24}  {'images/s':>9}  {'of encoder':>10}")
    for batch_size, seconds in rows.items():
        for name, value in seconds.items():
            share = seconds["encoder alone"] / value
            print(f"{batch_size:>5}  {name:24}  {batch_size / value:9.0f}  {share:10.2f}")


def calls(predictor: Predictor, batch_size: int) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name; everything ends on the CPU, so that it is over."""
    model, size_px = predictor.model, predictor.image_size_px
    device = next(model.parameters()).device
    images = torch.rand(batch_size, 3, size_px, size_px)
    camera = torch.eye(3).repeat(batch_size, 1, 1) * torch.tensor([2.0 * size_px, 2.0 * size_px, 1])

    @torch.no_grad()
    def encode() -> object:
        moved = images.to(device).contiguous(memory_format=model.memory_format)
        return model.encoder(moved).pooled.cpu()

    found: dict[str, Callable[[], object]] = {
        "encoder alone": encode,
        "hand": lambda: predictor.predict(images, camera, batch_size=batch_size),
    }
    if "appearance" in model.outputs:
        outputs = {"hand", "appearance"}
        found["hand, texture, light"] = lambda: predictor.predict(
            images, camera, outputs=outputs, batch_size=batch_size
        )
    return found


def measure(timed: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return each call's median time, seconds."""
    times: dict[str, list[float]] = {name: [] for name in timed}
    for repeat in range(WARM_UP + repeats):
        for name, call in timed.items():
            start = time.perf_counter()
            call()
            if repeat >= WARM_UP:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
