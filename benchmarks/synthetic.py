"""Speed of the synthetic benchmark on two cores, against the target of 100 pictures a second.

Run: python benchmarks/synthetic.py [--size-px 128] [--threads 2]
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np

from s2hand.hand.embedded import embedded_hand
from s2hand.rendering import rasterise
from s2hand.synthetic import NamespaceSize, make_synthetic
from s2hand.synthetic.collection import SHARD_IMAGES, make_collection_shard
from s2hand.synthetic.detector import DETECTORS
from s2hand.synthetic.stage import build_stage

TARGET_PER_S = 100.0
REPEATS = 3


def rasterised_per_s(size_px: int) -> float:
    """Hands per second through ``rasterise`` alone, best of some runs."""
    hand = embedded_hand()
    vertices = np.repeat(hand.v_template[None] + [0, 0, 0.45], 64, axis=0)
    centre = (size_px - 1) / 2
    intrinsics = np.array([[2.1 * size_px, 0, centre], [0, 2.1 * size_px, centre], [0, 0, 1]])
    batch = np.repeat(intrinsics[None], 64, axis=0)
    best = 0.0
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        rasterise(vertices, batch, hand.faces, height=size_px, width=size_px)
        best = max(best, 64 / (time.perf_counter() - start))
    return best


def pictures_per_s(size_px: int, threads: int) -> tuple[float, float]:
    """Finished pictures per second: posed, painted, developed, compressed and written.

    The second number is what the processor time would allow if no one else used the cores.
    """
    size = NamespaceSize(
        images=1, sequences=1, min_frames=1, max_frames=1, subjects=4, backgrounds=8, objects=4
    )
    count, best, best_alone = 2 * threads * SHARD_IMAGES, 0.0, 0.0
    with ThreadPoolExecutor(threads) as executor, tempfile.TemporaryDirectory() as folder:
        stage = build_stage("training", size, 0, size_px)

        def make(shard: int) -> None:
            make_collection_shard(
                stage, Path(folder), shard, SHARD_IMAGES, size_px, DETECTORS["simulated"]
            )

        for _ in range(REPEATS):
            start, cpu = time.perf_counter(), time.process_time()
            list(executor.map(make, range(2 * threads)))
            best = max(best, count / (time.perf_counter() - start))
            best_alone = max(best_alone, threads * count / (time.process_time() - cpu))
    return best, best_alone


def whole_set_s(size_px: int, threads: int) -> tuple[float, int]:
    """Seconds and pictures of a small whole set, the making of people and things included."""
    split = NamespaceSize(
        images=128, sequences=2, min_frames=60, max_frames=60, subjects=4, backgrounds=8, objects=4
    )
    size = {"training": split, "test": split}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        make_synthetic(Path(folder), size=size, seed=0, image_size_px=size_px, num_workers=threads)
        return time.perf_counter() - start, 2 * (128 + 120)


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-px", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    numba.set_num_threads(min(arguments.threads, numba.config.NUMBA_NUM_THREADS))
    size_px, threads = arguments.size_px, arguments.threads
    print(f"{size_px} px, {threads} threads, best of {REPEATS}")
    pictures, alone = pictures_per_s(size_px, threads)
    for label, rate in (
        ("rasterise alone, hands/s", rasterised_per_s(size_px)),
        ("collection, pictures/s", pictures),
        ("  by processor time", alone),
    ):
        print(f"{label:28} {rate:9.0f}   {rate / TARGET_PER_S:6.2f} x target")
    seconds, count = whole_set_s(size_px, threads)
    print(f"{'whole small set':28} {seconds:7.1f} s   {count} pictures, {count / seconds:.0f}/s")


if __name__ == "__main__":
    main()
