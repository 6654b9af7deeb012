"""Time the hand layer against smplx.MANO on the same hand and parameters, in one run.

Both get shape, 30 pose components, global rotation and translation in float32, and give vertices
and joints (smplx 16 of them, this project 21). Calls alternate, so that a busy machine slows both
alike: believe the ratios, which are medians over medians. The target is a ratio of 1.4 for
forward + backward at batch 64.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import torch
from smplx import MANO
from torch import Tensor

from s2hand.hand.embedded import embedded_hand
from s2hand.hand.export import export_hand_model
from s2hand.hand.layer import HandLayer

NUM_COMPONENTS = 30
WARM_UP = 5

Forward = Callable[[list[Tensor]], tuple[Tensor, Tensor]]


class Row(TypedDict):
    """One batch size."""

    batch_size: int
    largest_difference_m: float
    forward: dict[str, float]
    forward_backward: dict[str, float]


def main() -> None:
    """Print a table, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 64, 512])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ours, peer = build_layers()
    rows = [
        measure(ours, peer, batch_size, arguments.repeats) for batch_size in arguments.batch_sizes
    ]
    if arguments.json:
        print(json.dumps({"threads": arguments.threads, "torch": torch.__version__, "rows": rows}))
        return
    print(f"hand layer against smplx.MANO, CPU, {arguments.threads} threads, medians in ms")
    print(f"{'batch':>5}  {'pass':16}  {'smplx':>8}  {'s2hand':>8}  {'ratio':>6}")
    for row in rows:
        for name, times in (
            ("forward", row["forward"]),
            ("forward_backward", row["forward_backward"]),
        ):
            print(
                f"{row['batch_size']:>5}  {name:16}  {times['smplx_ms']:8.2f}  "
                f"{times['s2hand_ms']:8.2f}  {times['ratio']:6.2f}"
            )


def build_layers() -> tuple[Forward, Forward]:
    """Return both layers as functions of betas, global_orient, hand_pose_pca and transl."""
    layer = HandLayer(embedded_hand(), num_pose_components=NUM_COMPONENTS)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "MANO_RIGHT.pkl"
        export_hand_model(embedded_hand(), path)
        mano = MANO(str(path), use_pca=True, num_pca_comps=NUM_COMPONENTS)

    def ours(values: list[Tensor]) -> tuple[Tensor, Tensor]:
        betas, orient, posture, transl = values
        output = layer(betas=betas, global_orient=orient, hand_pose_pca=posture, transl=transl)
        return output.vertices, output.joints

    def peer(values: list[Tensor]) -> tuple[Tensor, Tensor]:
        betas, orient, posture, transl = values
        output = mano(betas=betas, global_orient=orient, hand_pose=posture, transl=transl)
        return output.vertices, output.joints

    return ours, peer


def measure(ours: Forward, peer: Forward, batch_size: int, repeats: int) -> Row:
    """Time both layers, forward alone and forward with backward."""
    generator = torch.Generator().manual_seed(0)
    values = [
        torch.randn(batch_size, size, generator=generator).requires_grad_()
        for size in (10, 3, NUM_COMPONENTS, 3)
    ]
    cotangent = torch.randn(batch_size, 778, 3, generator=generator)
    difference = (ours(values)[0] - peer(values)[0]).abs().max().item()

    def forward(layer: Forward) -> None:
        with torch.no_grad():
            layer(values)

    def forward_backward(layer: Forward) -> None:
        vertices, joints = layer(values)
        ones = torch.ones_like(joints)
        torch.autograd.grad((vertices, joints), values, grad_outputs=(cotangent, ones))

    return {
        "batch_size": batch_size,
        "largest_difference_m": difference,
        "forward": _compare(forward, ours, peer, repeats),
        "forward_backward": _compare(forward_backward, ours, peer, repeats),
    }


def _compare(
    run: Callable[[Forward], None], ours: Forward, peer: Forward, repeats: int
) -> dict[str, float]:
    times: dict[str, list[float]] = {"s2hand_ms": [], "smplx_ms": []}
    for repeat in range(WARM_UP + repeats):
        for name, layer in (("smplx_ms", peer), ("s2hand_ms", ours)):
            start = time.perf_counter()
            run(layer)
            if repeat >= WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return medians | {"ratio": medians["smplx_ms"] / medians["s2hand_ms"]}


if __name__ == "__main__":
    main()
