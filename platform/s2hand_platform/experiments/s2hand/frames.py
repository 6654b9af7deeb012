"""The command ``s2hand data frames``: a video's frames as pictures, named by their numbers.

What it needs is imported when it is run: help is shown without.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from s2hand.errors import DataError
from s2hand.files import whole_file
from s2hand_platform.common_options import VerboseOption
from s2hand_platform.errors import SpecError
from s2hand_platform.paths import local_path

if TYPE_CHECKING:
    from s2hand.videos import VideoReader

_QUALITY = 95
_EXIT_FAULTS = 1


def frames(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO…", help="What to take apart.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Gets a folder per video.")
    ],
    every: Annotated[int, typer.Option(min=1, help="Keep only every so-many-th frame.")] = 1,
    verbose: VerboseOption = False,
) -> None:
    """Write the frames of videos as JPEG, upright, named by the frame's number from 0.

    Exit code 1 if a frame, or the rest of a video, cannot be read: what can be read is kept.
    """
    from s2hand.videos import VideoReader

    paths = [local_path(video, "VIDEO") for video in videos]
    folder = local_path(output, "--output")
    targets = [_free(folder / path.stem) for path in paths]
    if len(set(targets)) < len(targets):
        raise SpecError(["VIDEO: the videos must have different names, as their folders do"])
    readers = [VideoReader(path) for path in paths]
    has_faults = False
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for reader, target in zip(readers, targets, strict=True):
            number = _extract(reader, target, every, progress)
            typer.echo(f"wrote {number:,} frames to {output / target.name}")
            for fault in reader.faults:
                typer.echo(f"{reader.path.name}: {fault}", err=True)
            has_faults = has_faults or bool(reader.faults)
    if has_faults:
        raise typer.Exit(_EXIT_FAULTS)


def _free(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fault = f"--output: '{folder}' must be an empty folder or not exist, name another place"
        raise SpecError([fault])
    return folder


def _extract(reader: "VideoReader", folder: Path, every: int, progress: Progress) -> int:
    from PIL import Image

    task = progress.add_task(reader.path.name, total=reader.num_frames or None)
    number = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for frame in reader.frames():
            progress.update(task, completed=frame.index + 1)
            if frame.index % every == 0:
                with whole_file(folder / f"{frame.index:06d}.jpg") as file:
                    Image.fromarray(frame.pixels).save(file, format="JPEG", quality=_QUALITY)
                number += 1
    except OSError as error:
        raise SpecError([f"--output: '{folder}' cannot be written ({error.strerror})"]) from error
    if not number:
        told = "; ".join(reader.faults) or "it holds none"
        raise DataError(f"{reader.path}: a video must have frames that can be read: {told}")
    return number
