"""What a shard of work leaves behind: the arrays that the annotation files are joined from."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from s2hand.synthetic.files import write_file


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShardRecord:
    """A finished shard: its files' hashes and its part of the annotations."""

    hashes: dict[str, str]
    """SHA-256 by path relative to the benchmark's root."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def save_record(path: Path, record: ShardRecord) -> None:
    """Keep a finished shard's record, so that an interrupted run can continue behind it.

    Raises:
        DataError: When the file cannot be written.
    """
    hashes = np.frombuffer(json.dumps(record.hashes).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, hashes=hashes, **record.arrays)
    write_file(path, buffer.getvalue())


def load_record(path: Path) -> ShardRecord | None:
    """Give a finished shard's record, None if there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError):
        return None
    hashes = json.loads(arrays.pop("hashes").tobytes())
    return ShardRecord(hashes=hashes, arrays=arrays)
