"""The commands ``s2hand keypoints …``: a hand detector, and files of detections.

What they need is imported by the command that is run: help is shown without.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from s2hand.errors import DataError
from s2hand.keypoints.names import LayoutName, Side
from s2hand_platform.common_options import VerboseOption, WorkspaceOption
from s2hand_platform.errors import SpecError
from s2hand_platform.paths import local_path
from s2hand_platform.workspace import Workspace

if TYPE_CHECKING:
    from s2hand.keypoints.hands import FoundHand, HandDetector, HandTable

keypoints_app = typer.Typer(help="Detected keypoints.", no_args_is_help=True)

OutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="What to write; a folder for openpose.")
]
SideOption = Annotated[
    Side, typer.Option("--side", help="Which hand of an image a file of layout detect holds.")
]
_SHOWN_FAULTS = 5


@keypoints_app.command("get-detector")
def get_detector(
    *,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Folder with the two models, or mediapipe's wheel."),
    ] = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Fetch MediaPipe's two hand models into the workspace, through pip (36 MB) or from a path."""
    from s2hand.keypoints.detector.models import fetch_models, take_models

    place = Workspace.resolve(workspace)
    place.require_writable()
    folder = _detector_folder(place)
    if source is None:
        fetch_models(folder)
    else:
        take_models(local_path(source, "--from"), folder)
    Console().print(f"the hand detector is in {folder}")


@keypoints_app.command("detect")
def detect(
    images: Annotated[Path, typer.Argument(help="A folder of pictures, or one picture.")],
    *,
    output: OutputOption,
    layout: Annotated[LayoutName, typer.Option(help="How the file is laid out.")] = "hands",
    side: SideOption = "right",
    is_crop: Annotated[
        bool,
        typer.Option(
            "--crops", help="Each picture shows one hand and little else: look harder for it."
        ),
    ] = False,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Find hands in pictures by MediaPipe's models; pictures that cannot be read are listed."""
    from s2hand.keypoints.detector.mediapipe import MediaPipeHands
    from s2hand.keypoints.hands import table_of
    from s2hand.keypoints.pictures import list_pictures

    target = _free_place(output, layout)
    paths = list_pictures(local_path(images, "IMAGES"))
    folder = _detector_folder(Workspace.resolve(workspace))
    detector = MediaPipeHands(folder, is_crop=is_crop)
    found, faults = _find_in_all(detector, paths)
    table = table_of(
        found, detector=detector.name, version=detector.version, num_missing=len(faults)
    )
    _write(table, target, layout, side)
    for fault in faults[:_SHOWN_FAULTS]:
        typer.echo(f"skipped {fault}", err=True)
    if len(faults) > _SHOWN_FAULTS:
        typer.echo(f"and {len(faults) - _SHOWN_FAULTS} more", err=True)


@keypoints_app.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(help="The file, or OpenPose's folder.")],
    *,
    images: Annotated[Path, typer.Option("--images", help="The pictures that it is of.")],
    output: OutputOption,
    source_layout: Annotated[LayoutName, typer.Option("--from", help="How SOURCE is laid out.")],
    layout: Annotated[LayoutName, typer.Option("--to", help="How to write it.")] = "detect",
    side: SideOption = "right",
    verbose: VerboseOption = False,
) -> None:
    """Write detections of some pictures in another layout; checks and counts as training does."""
    from s2hand.keypoints.pictures import list_pictures, picture_sizes
    from s2hand.keypoints.tables import read_table

    target = _free_place(output, layout)
    sizes = picture_sizes(list_pictures(local_path(images, "--images")))
    table = read_table(local_path(source, "SOURCE"), source_layout, sizes)
    _write(table, target, layout, side)


def _detector_folder(workspace: Workspace) -> Path:
    return workspace.root / "detector"


def _free_place(output: Path, layout: LayoutName) -> Path:
    """Refuse before anything is done a place that nothing can be written to."""
    target = local_path(output, "--output")
    wants_folder = layout == "openpose"
    if target.exists() if wants_folder else target.is_dir():
        what = "a folder that does not exist yet" if wants_folder else "a file"
        raise SpecError([f"--output: must be {what} for the layout {layout}, got '{output}'"])
    return target


def _find_in_all(
    detector: "HandDetector", paths: list[Path]
) -> tuple[Mapping[str, list["FoundHand"]], list[str]]:
    """Return what is in each picture, nothing in those that cannot be read, and their faults."""
    from s2hand.keypoints.pictures import read_picture

    found: dict[str, list[FoundHand]] = {}
    faults = []
    for path in track(paths, "pictures", console=Console(stderr=True)):
        found[path.name] = []
        try:
            found[path.name] = list(detector.find_hands(read_picture(path)))
        except DataError as error:
            faults.append(str(error))
    return found, faults


def _write(table: "HandTable", target: Path, layout: LayoutName, side: Side) -> None:
    from s2hand.keypoints.tables import write_table

    try:
        write_table(target, layout, table, side)
    except OSError as error:
        fault = f"--output: '{target}' cannot be written ({error.strerror}); name another place"
        raise SpecError([fault]) from error
    typer.echo(f"wrote {target}: {_told(table)}")


def _told(table: "HandTable") -> str:
    import numpy as np

    rows = np.flatnonzero(table.confidence.any(axis=1))
    with_hand = {table.samples[row] for row in rows}
    told = f"{len(rows):,} hands in {len(with_hand):,} of {len(set(table.samples)):,} images"
    counts = {
        "without an entry or unreadable": table.num_missing,
        "left out, as there is no such image": table.num_unknown,
        "confidences above 1 count as 1": table.num_clipped,
    }
    return "; ".join([told, *(f"{count:,} {what}" for what, count in counts.items() if count)])
