"""What of a dataset is complete, missing or damaged: every file, never stopping at a fault."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2hand.data.build import Source
from s2hand.data.files import SPLITS
from s2hand.data.loader import FileCheck, loader_of
from s2hand.data.manifest import differences, find_manifest
from s2hand.data.record import release
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

    @property
    def has_all_needed(self) -> bool:
        """Whether every file is there that the split cannot be loaded without."""
        return not any(each.missing for each in self.files if each.needed)

    @property
    def is_usable(self) -> bool:
        """Whether everything needed is there and nothing is damaged."""
        return self.has_all_needed and not (self.faults or any(each.damaged for each in self.files))

    def to_plain(self) -> dict[str, Any]:
        """Dump to JSON's types."""
        return {
            "split": self.split,
            "usable": self.is_usable,
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
    outcomes = []
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for done, outcome in enumerate(pool.map(_fault_of, checks), start=1):
            outcomes.append(outcome)
            if progress is not None:
                progress(done, len(checks))
    files = _by_kind(checks, outcomes)
    source = Source(layout=layout, folder=folder, split=split, settings=_settings(split, files))
    checked = CheckedSplit(
        split=split, files=files, release="", faults=_changed(folder, checks), notes={}
    )
    return _judged(source, checked) if checked.is_usable else checked


def _fault_of(check: FileCheck) -> str | None:
    """Return what is wrong with a file, "" for nothing, None if it is not there."""
    if not _is_there(check.path):
        return None
    try:
        check.read()
    except DataError as error:
        return str(error)
    return ""


def _is_there(path: Path) -> bool:
    """Say whether something is there; a link that leads nowhere is damage."""
    return what_lies_at(path) != "nothing"


def _by_kind(
    checks: Sequence[FileCheck], outcomes: Sequence[str | None]
) -> tuple[CheckedFiles, ...]:
    kinds: dict[str, list[tuple[FileCheck, str | None]]] = {}
    for check, outcome in zip(checks, outcomes, strict=True):
        kinds.setdefault(check.kind, []).append((check, outcome))
    return tuple(
        CheckedFiles(
            kind=kind,
            needed=found[0][0].needed,
            complete=sum(outcome == "" for _, outcome in found),
            missing=tuple(check.path for check, outcome in found if outcome is None),
            damaged={check.path: outcome for check, outcome in found if outcome},
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
    files = {
        name: manifest.files[name]
        for name in names
        if name in manifest.files and _is_there(manifest.folder / name)
    }
    return tuple(differences(manifest.folder, files, manifest.sizes, after_ns=0))


def _settings(split: Split, files: Sequence[CheckedFiles]) -> dict[str, object]:
    """Say how a split can be loaded: training frames without detections by their truth."""
    is_undetected = any(each.kind == "detections" and each.missing for each in files)
    return {"keypoints": "ground_truth"} if split == "train" and is_undetected else {}


def _judged(source: Source, checked: CheckedSplit) -> CheckedSplit:
    """Load a split whose files are all there, to see whether they fit each other."""
    version, why_none = release(source, source.survey())
    title = source.layout.title
    told: tuple[str, ...] = ()
    notes: Mapping[str, str] = {}
    try:
        notes = dict(source.load().notes)
        notes |= loader_of(source.layout).compare(source.folder, source.split)
    except DataError as error:
        told = (str(error),)
    return CheckedSplit(
        split=checked.split,
        files=checked.files,
        release=f"{title} {version}" if version else f"no published {title}: {why_none}",
        faults=told,
        notes=notes,
    )
