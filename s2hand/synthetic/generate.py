"""Makes the whole benchmark: shards in parallel, resumable, the manifest last."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch

from s2hand.data.manifest import MANIFEST_NAME, Manifest, manifest_content, read_manifest
from s2hand.errors import DataError
from s2hand.synthetic.annotations import (
    write_collection_annotations,
    write_sequence_annotations,
)
from s2hand.synthetic.collection import SHARD_IMAGES, make_collection_shard
from s2hand.synthetic.files import write_file
from s2hand.synthetic.seeds import named_generator
from s2hand.synthetic.sequences import make_sequence
from s2hand.synthetic.shard import load_record, save_record
from s2hand.synthetic.sizes import SIZES, SPLITS, SizeName, Split, SyntheticSize
from s2hand.synthetic.stage import Stage, build_stage

GENERATOR_VERSION = 2
"""Raised whenever the same parameters give other bytes."""
MIN_IMAGE_SIZE_PX, MAX_IMAGE_SIZE_PX = 32, 512
_WORK = ".unfinished"

Progress = Callable[[int, int], None]
"""Called with the number of finished pictures and of all pictures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A piece of work that is done or not done."""

    kind: Literal["collection", "sequence"]
    split: Split
    index: int
    count: int
    """Pictures."""

    def record_path(self, root: Path) -> Path:
        """Say where the record of the finished shard lies."""
        return root / _WORK / f"{self.kind}_{self.split}_{self.index:05d}.npz"


def make_synthetic(
    root: Path,
    *,
    size: SizeName | SyntheticSize,
    seed: int,
    image_size_px: int,
    progress: Progress | None = None,
    num_workers: int | None = None,
    verify: bool = False,
) -> Path:
    """Make the synthetic benchmark in the official layouts of FreiHAND and HO-3D.

    The same arguments give the same bytes on the same machine, whatever the number of workers. An
    interrupted run is continued by the same call; a finished set is checked and left as it is.

    Args:
        root: Folder that receives ``freihand``, ``ho3d`` and ``manifest.json``.
        size: Name of a preset or own counts.
        seed: Determines everything.
        image_size_px: Stored side of the collection's pictures and side of the sequences' crops:
            a sequence is stored as large as it must be for its crops to have this resolution, at
            224 as HO-3D's 640 × 480.
        progress: Is told how many pictures are done, from the calling thread.
        num_workers: Threads (None: one per core).
        verify: Check a finished set's files by content, instead of by size alone.

    Returns:
        The path of the manifest.

    Raises:
        DataError: When an argument is out of range, ``root`` holds another set or one whose files
            are not those that were made, or something cannot be written.
    """
    counts = SIZES[size] if isinstance(size, str) else size
    _check(seed, image_size_px, num_workers)
    parameters = {
        "generator_version": GENERATOR_VERSION,
        "seed": seed,
        "image_size_px": image_size_px,
        "size": asdict(counts),
    }
    manifest = root / MANIFEST_NAME
    if _is_finished(root, manifest, parameters):
        _check_files(read_manifest(manifest), verify=verify)
        return manifest
    write_file(root / _WORK / "parameters.json", _to_json(parameters))
    plans = {split: _plan(split, counts, seed) for split in SPLITS}
    total = sum(shard.count for shards in plans.values() for shard in shards)
    reporter = _Reporter(total, progress)
    with _single_threaded_torch(), ThreadPoolExecutor(num_workers or os.cpu_count()) as executor:
        for split, shards in plans.items():
            missing = [shard for shard in shards if load_record(shard.record_path(root)) is None]
            done = sum(shard.count for shard in shards) - sum(shard.count for shard in missing)
            reporter.add(done)
            if missing:
                stage = build_stage(split, counts.split(split), seed, image_size_px, executor)
                _work_off(root, stage, missing, image_size_px, executor, reporter)
    hashes = _finish(root, plans)
    sizes = {name: (root / name).stat().st_size for name in hashes}
    write_file(manifest, manifest_content(parameters, hashes, sizes))
    shutil.rmtree(root / _WORK)
    return manifest


class _Reporter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)


def _check(seed: int, image_size_px: int, num_workers: int | None) -> None:
    if seed < 0:
        raise DataError(f"seed must not be negative, got {seed}")
    if not MIN_IMAGE_SIZE_PX <= image_size_px <= MAX_IMAGE_SIZE_PX:
        raise DataError(
            f"image_size_px must lie in {MIN_IMAGE_SIZE_PX}..{MAX_IMAGE_SIZE_PX}, "
            f"got {image_size_px}"
        )
    if num_workers is not None and num_workers < 1:
        raise DataError(f"num_workers must be at least 1, got {num_workers}")


def _is_finished(root: Path, manifest: Path, parameters: dict[str, object]) -> bool:
    """Say whether the set is complete; refuse a folder that holds another one."""
    unfinished = root / _WORK / "parameters.json"
    for path in (manifest, unfinished):
        if path.exists():
            found = _parameters_of(path)
            if found != parameters:
                raise DataError(
                    f"{root}: holds a benchmark with other parameters, "
                    f"{_difference(found, parameters)}; choose another folder or delete this one"
                )
    return manifest.exists()


def _parameters_of(path: Path) -> Mapping[str, object]:
    if path.name == MANIFEST_NAME:
        return read_manifest(path).parameters
    try:
        parameters: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: must be what `s2hand data make synthetic` writes, could not be read "
            f"({error}); delete the folder and make the data again"
        ) from error
    return parameters


def _check_files(manifest: Manifest, *, verify: bool) -> None:
    """Refuse a finished set whose files are not those that were made."""
    differences = list(manifest.differences(verify=verify))
    if differences:
        raise DataError(
            f"{manifest.folder}: {len(differences)} of {len(manifest.files)} files are not those "
            f"that were made: {differences[0]}; delete the folder and make the data again, or "
            "keep it elsewhere as data of your own, without its manifest.json"
        )


def _difference(found: Mapping[str, object], wanted: dict[str, object]) -> str:
    return ", ".join(
        f"{name}: found {found.get(name)}, wanted {wanted[name]}"
        for name in wanted
        if found.get(name) != wanted[name]
    )


def _plan(split: Split, counts: SyntheticSize, seed: int) -> list[Shard]:
    size = counts.split(split)
    images = range(0, size.images, SHARD_IMAGES)
    shards = [
        Shard(
            kind="collection",
            split=split,
            index=index,
            count=min(SHARD_IMAGES, size.images - first),
        )
        for index, first in enumerate(images)
    ]
    for index in range(size.sequences):
        generator = named_generator(seed, split, "length", index)
        count = size.num_frames(generator)
        shards.append(Shard(kind="sequence", split=split, index=index, count=count))
    return shards


def _work_off(
    root: Path,
    stage: Stage,
    missing: list[Shard],
    image_size_px: int,
    executor: Executor,
    reporter: _Reporter,
) -> None:
    """Make the shards that are not done yet; on an error those that have not begun stay undone."""

    def work(shard: Shard) -> int:
        make = make_collection_shard if shard.kind == "collection" else make_sequence
        record = make(stage, root, shard.index, shard.count, image_size_px)
        save_record(shard.record_path(root), record)
        return shard.count

    # Long shards first, so that the last ones to finish are short.
    order = sorted(missing, key=lambda shard: -shard.count)
    futures = [executor.submit(work, shard) for shard in order]
    try:
        for future in as_completed(futures):
            reporter.add(future.result())
    finally:
        for future in futures:
            future.cancel()


def _finish(root: Path, plans: dict[Split, list[Shard]]) -> dict[str, str]:
    """Write the annotation files; return the hashes of all files of the set."""
    hashes: dict[str, str] = {}
    for split, shards in plans.items():
        paths: dict[str, list[Path]] = {"collection": [], "sequence": []}
        for shard in shards:
            path = shard.record_path(root)
            paths[shard.kind].append(path)
            record = load_record(path)
            hashes.update(record.hashes if record else {})
        hashes.update(write_collection_annotations(root, split, paths["collection"]))
        hashes.update(write_sequence_annotations(root, split, paths["sequence"]))
    return hashes


@contextmanager
def _single_threaded_torch() -> Iterator[None]:
    """Keep torch's sums in one order: the workers are the parallelism."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _to_json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode()
