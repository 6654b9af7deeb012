"""What a layout's module offers: the files that it reads, their table, a look at a whole set."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from s2hand.data.sample import FrameTable
from s2hand.layouts import Layout, Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What a split holds, as its lists and folders say, without reading every file."""

    sample_ids: tuple[str, ...]
    """Of every entry, in the order of the split's list, before a configuration or missing
    annotations leave some out."""
    sequences: tuple[str, ...]
    """Names, sorted; empty in collections."""
    image_files: int
    """Image files of a collection's folder; images of the listed frames of sequences."""
    image_suffixes: tuple[str, ...]
    image_size_px: tuple[int, int]
    """Width and height of the first image."""
    truth: tuple[str, ...]
    """Columns of ``FrameTable`` that hold truth: ``joints``, ``vertices``, ``rotations``."""
    detections: bool
    """Whether every image's folder has its file of detected keypoints."""
    missing_images: int = 0
    """Images that the lists name and that are not there, of layouts that load without them."""
    intrinsics: bool = True
    """Whether every frame has its camera."""

    @property
    def frames(self) -> int:
        """Number of entries."""
        return len(self.sample_ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileCheck:
    """A file that a split should have, and what reads it."""

    kind: str
    """What files are counted by: the file's own name, or what all of its kind are."""
    path: Path
    read: Callable[[], object]
    """Reads it as loading does, alone.

    Raises:
        DataError: If it is damaged.
    """
    needed: bool = True
    """Whether the split cannot be loaded without it."""


def _nothing_more(_folder: Path, _split: Split) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """How a layout is read. All take the dataset's folder and the split.

    ``files_read`` and ``load`` take the layout's ``loader_settings`` as keywords. Both find the
    files by one function of the layout's module, so that what is fingerprinted is what is read.
    """

    files_read: Callable[..., tuple[Path, ...]]
    """Name every file that ``load``, and decoding its table's images, opens."""
    load: Callable[..., FrameTable]
    survey: Callable[[Path, Split], Survey]
    file_checks: Callable[[Path, Split], Iterator[FileCheck]]
    """Name every file of the whole split with what reads it; first the one without which nothing
    of the split is there."""
    compare: Callable[[Path, Split], Mapping[str, str]] = _nothing_more
    """Return notes on what only a check compares, as training must not read it."""


def loader_of(layout: Layout) -> Loader:
    """Import what reads a layout."""
    loader: Loader = import_module(layout.loader).LOADER
    return loader
