"""Small pictures of what trained models make of a few samples: a file per attempt and split."""

from pathlib import Path

import pyarrow as pa

from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.store.beside import path_beside, write_all
from s2hand_platform.store.files import read_whole
from s2hand_platform.store.schema import PICTURES

FOLDER = "pictures"
MAX_BYTES = 65_536
"""Of one picture: a store is read by many, and a page holds dozens."""

_WEBP = (b"RIFF", b"WEBP")


def write_pictures(
    store: Path, trial_id: str, attempt: int, commit: str, evaluation: Evaluation
) -> list[Path]:
    """Write the pictures of an evaluation, a line each.

    Returns:
        The paths; the files mean nothing before the attempt is written.

    Raises:
        StoreError: if a picture is no small WebP or of a sample that was not evaluated, or a file
            cannot be written; then none is left behind.
    """
    _check(evaluation)
    return write_all(
        {
            path_beside(store / FOLDER, trial_id, attempt, commit, split): pa.Table.from_pylist(
                [
                    {"sample_id": sample_id, "kind": kind, "webp": webp}
                    for sample_id, kinds in pictures.items()
                    for kind, webp in kinds.items()
                ],
                schema=PICTURES,
            )
            for split, pictures in evaluation.pictures.items()
        }
    )


def read_pictures(
    store: Path, trial_id: str, attempt: int, commit: str, split: str
) -> dict[str, dict[str, bytes]]:
    """Read what ``write_pictures`` wrote: sample → kind → WebP; empty if there is nothing.

    Raises:
        UnusableFile: if the file is damaged, foreign or newer.
        StoreError: if the disk does not give it.
    """
    path = path_beside(store / FOLDER, trial_id, attempt, commit, split)
    found: dict[str, dict[str, bytes]] = {}
    try:
        for line in read_whole(path, PICTURES).to_pylist():
            found.setdefault(line["sample_id"], {})[line["kind"]] = line["webp"]
    except FileNotFoundError:
        return {}
    return found


def _check(evaluation: Evaluation) -> None:
    for split, pictures in evaluation.pictures.items():
        unknown = set(pictures) - set(evaluation.sample_ids.get(split, ()))
        if unknown:
            raise StoreError(
                f"pictures of '{split}' must be of samples that were evaluated, got also "
                f"'{min(unknown)}'"
            )
        for sample_id, kinds in pictures.items():
            for kind, webp in kinds.items():
                if (webp[:4], webp[8:12]) != _WEBP or len(webp) > MAX_BYTES:
                    raise StoreError(
                        f"the picture '{kind}' of '{split}/{sample_id}' must be WebP of at most "
                        f"{MAX_BYTES} bytes, got {len(webp)} bytes that begin with {webp[:4]!r}"
                    )
