"""Detection of many pictures in parts, each kept until all are done: a stop loses little."""

import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from s2hand.errors import DataError
from s2hand.files import is_folder, what_lies_at
from s2hand.keypoints.hands import FoundHand, HandDetector, HandTable, require_hand, table_of
from s2hand.keypoints.pictures import read_picture
from s2hand_platform.experiments.protocol import MapParts
from s2hand_platform.experiments.s2hand.detections import (
    SCHEMA,
    hands_by_sample,
    read_rows,
    rows_of,
    write_rows,
)
from s2hand_platform.experiments.s2hand.layouts import SUFFIX

PART = 64
"""Pictures of a part: some seconds of work, lost when it is interrupted."""
_STAMP = pa.field("stamp", pa.string(), nullable=False)
_KEPT_SCHEMA = SCHEMA.append(_STAMP)


@dataclass(frozen=True, kw_only=True, slots=True)
class LookedAt:
    """What a detector found in a picture."""

    name: str
    """The sample's."""
    stamp: str
    """Tells the file's content from one that takes its place later: size and time of change."""
    hands: Sequence[FoundHand]
    fault: str | None
    """Why it could not be looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LookAt:
    """Looks at the pictures of a part; what a worker is sent."""

    open: Callable[[], HandDetector]
    """Opens the detector; picklable."""

    def __call__(self, pictures: Sequence[tuple[str, Path]]) -> list[LookedAt]:
        """Find the hands of each named picture; one that cannot be read has none, and a fault.

        Raises:
            DataError: If a picture's folder is not there, the detector cannot be opened, or finds
                what is no hand.
        """
        detector = self.open()
        return [_look(detector, name, path) for name, path in pictures]


def detect_all(
    pictures: Mapping[str, Path],
    look: LookAt,
    kept: Path,
    map_parts: MapParts,
    progress: Callable[[int], None],
    *,
    address: str | None,
    without_ray: bool,
) -> tuple[HandTable, Mapping[str, str]]:
    """Find the hands of all pictures but those that an interrupted call has looked at.

    Args:
        pictures: By the names that their samples get.
        look: The detector, and how it looks.
        kept: Folder of the parts that are done; made if need be, and left there.
        map_parts: Does the work.
        progress: Told how many pictures are done, in all.
        address: Ray's.
        without_ray: In this process.

    Returns:
        What was found; and of each picture that could not be looked at, why.

    Raises:
        DataError: If the pictures' folder is not there, the detector cannot be opened, or finds
            what is no hand.
        OSError: If a part cannot be kept.
    """
    detector = look.open()
    kept.mkdir(parents=True, exist_ok=True)
    done = {each.name: each for each in _found_before(pictures, kept, detector)}
    progress(len(done))

    def keep(part: Sequence[LookedAt]) -> None:
        _write_part(kept / f"{uuid.uuid4().hex}{SUFFIX}", part, detector)
        done.update((each.name, each) for each in part)
        progress(len(done))

    left = [each for each in pictures.items() if each[0] not in done]
    parts = [left[start : start + PART] for start in range(0, len(left), PART)]
    map_parts(look, parts, keep, address=address, without_ray=without_ray)
    return _table([done[name] for name in pictures], detector)


def _look(detector: HandDetector, name: str, path: Path) -> LookedAt:
    if not is_folder(path.parent):
        raise DataError(
            f"{path.parent}: the pictures' folder is not there on {socket.gethostname()}, there is "
            f"{what_lies_at(path.parent)}; all machines of a cluster must see it, or run with "
            "--without-ray"
        )
    stamp = _stamp(path)  # before it is read: what takes its place meanwhile comes again
    try:
        picture = read_picture(path)
    except DataError as error:
        return LookedAt(name=name, stamp=stamp, hands=(), fault=str(error))
    hands = detector.find_hands(picture)
    for number, hand in enumerate(hands):
        require_hand(f"{detector.name}: hand {number} that it finds in {path}", hand)
    return LookedAt(name=name, stamp=stamp, hands=hands, fault=None)


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _table(
    looked_at: Sequence[LookedAt], detector: HandDetector
) -> tuple[HandTable, Mapping[str, str]]:
    faults = {each.name: each.fault for each in looked_at if each.fault is not None}
    table = table_of(
        {each.name: each.hands for each in looked_at},
        detector=detector.name,
        version=detector.version,
        num_missing=len(faults),
    )
    return table, faults


def _write_part(path: Path, part: Sequence[LookedAt], detector: HandDetector) -> None:
    table, faults = _table(part, detector)
    stamps = {each.name: each.stamp for each in part}
    column = pa.array([stamps[sample] for sample in table.samples], pa.string())
    path.parent.mkdir(exist_ok=True)
    write_rows(path, rows_of(table, faults).append_column(_STAMP, column))


def _found_before(
    pictures: Mapping[str, Path], kept: Path, detector: HandDetector
) -> Iterator[LookedAt]:
    """Yield what the same detector found in files that are still the same."""
    by_name: dict[str, LookedAt] = {}
    for path in sorted(kept.glob(f"*{SUFFIX}")):
        try:
            rows = read_rows(path, _KEPT_SCHEMA)
        except DataError:
            continue  # cut short by a full disk, or of another program: its pictures come again
        by_name |= _looked_at(path, rows, detector)
    for name, path in pictures.items():
        before = by_name.get(name)
        if before is not None and before.stamp == _stamp(path):
            yield before


def _looked_at(path: Path, rows: pa.Table, detector: HandDetector) -> dict[str, LookedAt]:
    is_same = pc.and_(
        pc.equal(rows["detector"], detector.name), pc.equal(rows["version"], detector.version)
    )
    rows = rows.filter(is_same)
    hands = hands_by_sample(path, rows)
    columns = (rows[name].to_pylist() for name in ("sample", "stamp", "fault"))
    return {
        name: LookedAt(name=name, stamp=stamp, hands=hands[name], fault=fault)
        for name, stamp, fault in zip(*columns, strict=True)
    }
