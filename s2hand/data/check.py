"""What of a dataset is complete, missing or damaged: every file, never stopping at a fault."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from s2hand.data.build import Source
from s2hand.data.files import SPLITS
from s2hand.data.loader import FileCheck, loader_of
from s2hand.data.manifest import differences, find_manifest
from s2hand.data.packing import DamagedImageError, require_few
from s2hand.data.record import release
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.files import what_lies_at
from s2hand.layouts import LAYOUTS, DatasetName, Layout, Split

_MAX_THREADS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedFiles:
    """The files of one kind of a split."""

    kind: str
    needed: bool
    """Whether the split cannot be loaded without them."""
    complete: int
    missing: tuple[Path, ...]
    damaged: Mapping[Path, str]
    """Why, by file."""
    undecodable: frozenset[Path]
    """Those damaged files that are images, of which loading may leave out a few."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedSplit:
    """A split of a set, as far as it can be judged."""

    split: Split
    files: tuple[CheckedFiles, ...]
    release: str
    """The published release that it is, or why it is none; "" where files are missing."""
    faults: tuple[str, ...]
    """What is wrong with the split as a whole; of a generated set, which files were changed."""
    notes: Mapping[str, str]
    """What a result on it will say (subject → text)."""
    left_out: int = 0
    """Damaged images that a training or an evaluation, with the settings of the presets, lists and
    leaves out."""

    @property
    def has_all_needed(self) -> bool:
        """Whether every file is there that the split cannot be loaded without."""
        return not any(each.missing for each in self.files if each.needed)

    @property
    def is_usable(self) -> bool:
        """Whether a training or an evaluation accepts the split, a few damaged images left out."""
        refused = any(each.damaged.keys() - each.undecodable for each in self.files)
        return self.has_all_needed and not (self.faults or refused)

    def to_plain(self) -> dict[str, Any]:
        """Dump to JSON's types."""
        return {
            "split": self.split,
            "usable": self.is_usable,
            "left_out": self.left_out,
            "files": {
                each.kind: {
                    "needed": each.needed,
                    "complete": each.complete,
                    "missing": list(map(str, each.missing)),
                    "damaged": {str(path): why for path, why in each.damaged.items()},
                }
                for each in self.files
            },
            "release": self.release,
            "faults": list(self.faults),
            "notes": dict(self.notes),
        }


def check_set(
    folder: Path, dataset: DatasetName, *, progress: Callable[[int, int], None] | None = None
) -> list[CheckedSplit]:
    """Check every file of the splits that a folder holds something of.

    Args:
        folder: The set's folder in its official layout.
        dataset: The layout.
        progress: Is told how many files of how many of a split have been looked at.

    Raises:
        DataError: If the folder holds nothing of either split.
    """
    layout = LAYOUTS[dataset]
    every = {split: list(loader_of(layout).file_checks(folder, split)) for split in SPLITS}
    checks = {split: listed for split, listed in every.items() if listed}
    found = {split: listed for split, listed in checks.items() if _is_there(listed[0].path)}
    if not found:
        folders = " nor ".join(str(listed[0].path) for listed in checks.values())
        raise DataError(
            f"{folder}: no {layout.title} here, there is neither {folders}; give the folder that "
            "holds one of them (docs/datasets.md shows the layout)"
        )
    return [_check_split(folder, layout, split, found[split], progress) for split in found]


def _check_split(
    folder: Path,
    layout: Layout,
    split: Split,
    checks: Sequence[FileCheck],
    progress: Callable[[int, int], None] | None,
) -> CheckedSplit:
    outcomes: list[DataError | Literal["whole", "missing"]] = []
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for done, outcome in enumerate(pool.map(_fault_of, checks), start=1):
            outcomes.append(outcome)
            if progress is not None:
                progress(done, len(checks))
    files = _by_kind(checks, outcomes)
    source = Source(layout=layout, folder=folder, split=split, settings=_settings(split, files))
    whole = [check for check, outcome in zip(checks, outcomes, strict=True) if outcome == "whole"]
    checked = CheckedSplit(
        split=split, files=files, release="", faults=_changed(folder, whole), notes={}
    )
    return _judged(source, checked) if checked.is_usable else checked


def _fault_of(check: FileCheck) -> DataError | Literal["whole", "missing"]:
    """Return what is wrong with a file."""
    if not _is_there(check.path):
        return "missing"
    try:
        check.read()
    except DataError as error:
        return error
    return "whole"


def _is_there(path: Path) -> bool:
    """Say whether something is there; a link that leads nowhere is damage."""
    return what_lies_at(path) != "nothing"


def _by_kind(
    checks: Sequence[FileCheck], outcomes: Sequence[DataError | Literal["whole", "missing"]]
) -> tuple[CheckedFiles, ...]:
    kinds: dict[str, list[tuple[FileCheck, DataError | Literal["whole", "missing"]]]] = {}
    for check, outcome in zip(checks, outcomes, strict=True):
        kinds.setdefault(check.kind, []).append((check, outcome))
    return tuple(
        CheckedFiles(
            kind=kind,
            needed=found[0][0].needed,
            complete=sum(outcome == "whole" for _, outcome in found),
            missing=tuple(check.path for check, outcome in found if outcome == "missing"),
            damaged={
                check.path: str(outcome)
                for check, outcome in found
                if isinstance(outcome, DataError)
            },
            undecodable=frozenset(
                check.path for check, outcome in found if isinstance(outcome, DamagedImageError)
            ),
        )
        for kind, found in kinds.items()
    )


def _changed(folder: Path, checks: Sequence[FileCheck]) -> tuple[str, ...]:
    """Say which files of a generated set are not as they were made, of those that are read."""
    found = find_manifest(folder)
    if found is None:
        return ()
    manifest, prefix = found
    names = [prefix + str(check.path.relative_to(folder)) for check in checks]
    files = {name: manifest.files[name] for name in names if name in manifest.files}
    return tuple(differences(manifest.folder, files, manifest.sizes, after_ns=0))


def _settings(split: Split, files: Sequence[CheckedFiles]) -> dict[str, object]:
    """Say how a split can be loaded: training frames without detections by their truth."""
    is_undetected = any(each.kind == "detections" and each.missing for each in files)
    return {"keypoints": "ground_truth"} if split == "train" and is_undetected else {}


def _judged(source: Source, checked: CheckedSplit) -> CheckedSplit:
    """Load a split whose files are all there, to see whether they fit each other."""
    version, why_none = release(source, source.survey())
    title = source.layout.title
    judged = replace(
        checked, release=f"{title} {version}" if version else f"no published {title}: {why_none}"
    )
    damaged = {path: why for each in checked.files for path, why in each.damaged.items()}
    notes: dict[str, str] = {}
    try:
        table = source.load()
        notes |= table.notes
        if table.has_camera is not None:
            unknown = len(table) - int(table.has_camera.sum())
            notes["cameras"] = (
                f"not known of {unknown:,} of {len(table):,} hands: a perspective model needs "
                "data.assumed_focal"
            )
        left_out = _left_out(table, damaged)
        notes |= loader_of(source.layout).compare(source.folder, source.split)
    except DataError as error:
        return replace(judged, faults=(str(error),), notes=notes)
    unread = len(damaged) - left_out
    if unread:
        notes["damaged images"] = f"{unread:,} are not among those that are read"
    return replace(judged, notes=notes, left_out=left_out)


def _left_out(table: FrameTable, damaged: Mapping[Path, str]) -> int:
    """Count the damaged images of a table, as whoever decodes it does.

    Raises:
        DataError: If they are too many to be left out.
    """
    copies = table.copies or ((),) * len(table)
    read = [
        path
        for original, more in zip(table.image_paths, copies, strict=True)
        for path in (original, *more)
    ]
    require_few({n: damaged[path] for n, path in enumerate(read) if path in damaged}, len(read))
    return len(damaged.keys() & set(read))
