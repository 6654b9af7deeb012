"""What ``s2hand data check`` says of a set, in lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from s2hand.data.check import CheckedFiles, CheckedSplit
from s2hand.data.files import SPLITS

_SHOWN = 20
"""So many files of a kind are named; JSON names all."""


def lines(folder: Path, splits: Sequence[CheckedSplit]) -> Iterator[str]:
    """Say of each split what is complete, missing or damaged."""
    found = {checked.split: checked for checked in splits}
    for split in SPLITS:
        if split not in found:
            yield f"{folder}, {split}: not here"
            continue
        checked = found[split]
        yield f"{folder}, {split}: {_judgement(checked)}"
        for files in checked.files:
            yield from _of_kind(files)
        yield from (f"  wrong: {fault}" for fault in checked.faults)
        yield from (f"  note: {subject}: {text}" for subject, text in checked.notes.items())
        if checked.release:
            yield f"  {checked.release}"


def _judgement(checked: CheckedSplit) -> str:
    if not checked.is_usable:
        return "NOT usable as it is"
    if not checked.left_out:
        return "usable"
    images = "image" if checked.left_out == 1 else "images"
    return f"usable, with {checked.left_out:,} damaged {images} left out"


def _of_kind(files: CheckedFiles) -> Iterator[str]:
    counts = {"complete": files.complete, "missing": len(files.missing)}
    counts["damaged"] = len(files.damaged)
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    yield f"  {files.kind}: {told}{'' if files.needed else ' (optional)'}"
    yield from _first([f"    missing: {path}" for path in files.missing if files.needed])
    yield from _first([f"    damaged: {why}" for why in files.damaged.values()])


def _first(texts: Sequence[str]) -> Iterator[str]:
    yield from texts[:_SHOWN]
    if len(texts) > _SHOWN:
        yield f"    and {len(texts) - _SHOWN:,} more; --json names all"
