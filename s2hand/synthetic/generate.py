"""Makes the whole benchmark: shards in parallel, resumable, each set's manifest last."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from s2hand.data.manifest import (
    GENERATOR_VERSION,
    MANIFEST_NAME,
    differences,
    manifest_content,
)
from s2hand.errors import DataError
from s2hand.files import exclusive
from s2hand.synthetic.annotations import (
    write_collection_annotations,
    write_sequence_annotations,
    write_video_annotations,
)
from s2hand.synthetic.collection import SHARD_IMAGES, make_collection_shard
from s2hand.synthetic.detector import DETECTORS, Detector, DetectorName
from s2hand.synthetic.existing import UNFINISHED, is_finished
from s2hand.synthetic.files import unwritable, write_file
from s2hand.synthetic.namespaces import ROLES, Namespace
from s2hand.synthetic.seeds import named_generator
from s2hand.synthetic.sequences import make_sequence
from s2hand.synthetic.shard import load_record, save_record
from s2hand.synthetic.sizes import SIZES, NamespaceSize, SizeName, SyntheticSize
from s2hand.synthetic.stage import Stage, build_stage
from s2hand.synthetic.videos import make_video

_LOCK_NAME = ".lock"
_MAKERS = {
    "collection": make_collection_shard,
    "sequence": make_sequence,
    "video": make_video,
}
MIN_IMAGE_SIZE_PX, MAX_IMAGE_SIZE_PX = 32, 512

Progress = Callable[[int, int], None]
"""Called with the number of finished pictures and of all pictures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A piece of work that is done or not done."""

    kind: Literal["collection", "sequence", "video"]
    namespace: Namespace
    index: int
    count: int
    """Pictures."""

    def record_path(self, root: Path) -> Path:
        """Say where the record of the finished shard lies."""
        return root / UNFINISHED / f"{self.kind}_{self.namespace}_{self.index:05d}.npz"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Set:
    """The namespaces that share a root and its manifest."""

    root: Path
    parameters: Mapping[str, Any]
    plans: Mapping[Namespace, list[Shard]]

    @property
    def num_pictures(self) -> int:
        return sum(shard.count for shards in self.plans.values() for shard in shards)


def make_synthetic(
    root: Path,
    *,
    size: SizeName | SyntheticSize,
    seed: int,
    image_size_px: int,
    detections: DetectorName = "simulated",
    progress: Progress | None = None,
    num_workers: int | None = None,
    verify: bool = False,
) -> None:
    """Make the synthetic benchmark in the official layouts of FreiHAND and HO-3D.

    With one of ``IN_THE_WILD_SIZES`` only videos in YouTube-3D-Hands' layout are made, as a set of
    their own in the folder ``in_the_wild``.

    The same arguments give the same bytes on the same machine, whatever the number of workers. An
    interrupted run is continued by the same call; a finished set is checked and left as it is. Of
    calls that make a set at once, one works and the others say that they wait for it.

    Args:
        root: Folder that receives ``freihand``, ``ho3d`` and ``manifest.json``; a folder
            ``validation`` in it receives the same of the validation set.
        size: Name of a preset or own counts.
        seed: Determines everything but the division into namespaces, which is fixed.
        image_size_px: Stored side of the collection's pictures and side of the sequences' crops:
            a sequence is stored as large as it must be for its crops to have this resolution, at
            224 as HO-3D's 640 × 480.
        detections: Which detector's errors the detected keypoints have, see
            :data:`~s2hand.synthetic.detector.DETECTORS`; the pictures are the same.
        progress: Is told how many pictures are done, from the calling thread.
        num_workers: Threads (None: one per core).
        verify: Check all of a finished set's files by content, instead of by size and time of
            change.

    Raises:
        DataError: When an argument is out of range, ``root`` holds another set or one whose files
            are not those that were made, or something cannot be written.
    """
    counts = SIZES[size] if isinstance(size, str) else size
    _check(seed, image_size_px, detections, num_workers)
    sets = _unfinished(_sets(root, counts, seed, image_size_px, detections), verify=verify)
    if not sets:
        return
    with _alone_in(root):
        sets = _unfinished(sets, verify=False)  # another call may have made them meanwhile
        reporter = _Reporter(sum(each.num_pictures for each in sets), progress)
        workers = num_workers or os.cpu_count()
        with _single_threaded_torch(), ThreadPoolExecutor(workers) as executor:
            for each in sets:
                _make_set(each, counts, seed, image_size_px, executor, reporter)


def _unfinished(sets: Sequence[_Set], *, verify: bool) -> list[_Set]:
    return [each for each in sets if not is_finished(each.root, each.parameters, verify=verify)]


@contextmanager
def _alone_in(root: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(root / _LOCK_NAME, work=f"makes the set in {root}"))
        except OSError as error:
            raise DataError(unwritable(root, error)) from error
        yield


def _sets(
    root: Path, counts: SyntheticSize, seed: int, image_size_px: int, detections: DetectorName
) -> list[_Set]:
    """Group the namespaces by the root that they are written to."""
    sets = []
    for folder in dict.fromkeys(ROLES[namespace].folder for namespace in counts):
        own = {name: size for name, size in counts.items() if ROLES[name].folder == folder}
        parameters = {
            "generator_version": GENERATOR_VERSION,
            "seed": seed,
            "image_size_px": image_size_px,
            "detections": detections,
            "size": {namespace: asdict(size) for namespace, size in own.items()},
        }
        plans = {namespace: _plan(namespace, size, seed) for namespace, size in own.items()}
        sets.append(_Set(root=root / folder, parameters=parameters, plans=plans))
    return sets


def _make_set(
    made: _Set,
    counts: SyntheticSize,
    seed: int,
    image_size_px: int,
    executor: Executor,
    reporter: "_Reporter",
) -> None:
    """Make what is missing of one set, then its annotations and its manifest."""
    root, detector = made.root, DETECTORS[made.parameters["detections"]]
    write_file(root / UNFINISHED / "parameters.json", _to_json(made.parameters))
    for namespace, shards in made.plans.items():
        missing = [shard for shard in shards if not _is_done(shard, root)]
        reporter.add(sum(shard.count for shard in set(shards) - set(missing)))
        if missing:
            stage = build_stage(namespace, counts[namespace], seed, image_size_px)
            _work_off(root, stage, missing, image_size_px, detector, executor, reporter)
    hashes = _finish(made)
    sizes = {name: (root / name).stat().st_size for name in hashes}
    write_file(root / MANIFEST_NAME, manifest_content(made.parameters, hashes, sizes))
    shutil.rmtree(root / UNFINISHED)


def _is_done(shard: Shard, root: Path) -> bool:
    """Say whether a shard was made and its files, written before its record, are still the same."""
    path = shard.record_path(root)
    record = load_record(path)
    if record is None:
        return False
    return not any(differences(root, record.hashes, {}, after_ns=path.stat().st_mtime_ns))


class _Reporter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)


def _check(seed: int, image_size_px: int, detections: str, num_workers: int | None) -> None:
    if seed < 0:
        raise DataError(f"seed must not be negative, got {seed}")
    if not MIN_IMAGE_SIZE_PX <= image_size_px <= MAX_IMAGE_SIZE_PX:
        raise DataError(
            f"image_size_px must lie in {MIN_IMAGE_SIZE_PX}..{MAX_IMAGE_SIZE_PX}, "
            f"got {image_size_px}"
        )
    if detections not in DETECTORS:
        raise DataError(f"detections must be one of {', '.join(DETECTORS)}, got {detections!r}")
    if num_workers is not None and num_workers < 1:
        raise DataError(f"num_workers must be at least 1, got {num_workers}")


def _plan(namespace: Namespace, size: NamespaceSize, seed: int) -> list[Shard]:
    images = range(0, size.images, SHARD_IMAGES)
    shards = [
        Shard(
            kind="collection",
            namespace=namespace,
            index=index,
            count=min(SHARD_IMAGES, size.images - first),
        )
        for index, first in enumerate(images)
    ]
    for index in range(size.sequences):
        count = size.num_frames(named_generator(seed, namespace, "length", index))
        kind: Literal["sequence", "video"] = "video" if namespace == "in_the_wild" else "sequence"
        shards.append(Shard(kind=kind, namespace=namespace, index=index, count=count))
    return shards


def _work_off(
    root: Path,
    stage: Stage,
    missing: list[Shard],
    image_size_px: int,
    detector: Detector,
    executor: Executor,
    reporter: _Reporter,
) -> None:
    """Make the shards that are not done yet; on an error those that have not begun stay undone."""

    def work(shard: Shard) -> int:
        record = _MAKERS[shard.kind](stage, root, shard.index, shard.count, image_size_px, detector)
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


def _finish(made: _Set) -> dict[str, str]:
    """Write the annotation files; return the hashes of all files of the set."""
    hashes: dict[str, str] = {}
    for namespace, shards in made.plans.items():
        role = ROLES[namespace]
        paths: dict[str, list[Path]] = {kind: [] for kind in _MAKERS}
        for shard in shards:
            path = shard.record_path(made.root)
            paths[shard.kind].append(path)
            record = load_record(path)
            hashes.update(record.hashes if record else {})
        if paths["collection"]:
            hashes.update(write_collection_annotations(made.root, role, paths["collection"]))
        if paths["sequence"]:
            hashes.update(write_sequence_annotations(made.root, role, paths["sequence"]))
        if paths["video"]:
            hashes.update(write_video_annotations(made.root, paths["video"]))
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
