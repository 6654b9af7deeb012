"""The commands ``s2hand keypoints …``: a hand detector, and files of detections.

What they need is imported by the command that is run: help is shown without.
"""

import importlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from s2hand.keypoints.names import Side
from s2hand.keypoints.track_settings import TrackSettings
from s2hand_platform.common_options import AddressOption, VerboseOption, WorkspaceOption
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.s2hand.layouts import DetectionLayout, layout_of
from s2hand_platform.paths import local_path
from s2hand_platform.workspace import Workspace

if TYPE_CHECKING:
    from s2hand.keypoints.hands import HandDetector, HandTable

keypoints_app = typer.Typer(help="Detected keypoints.", no_args_is_help=True)

OutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="What to write; a folder for openpose.")
]
SideOption = Annotated[
    Side, typer.Option("--side", help="Which hand of an image a file of layout detect holds.")
]
SourceLayoutOption = Annotated[
    DetectionLayout | None,
    typer.Option("--from", help="How it is laid out; else parquet or hands, by its name."),
]
_SHOWN_FAULTS = 5
_USUAL = TrackSettings()


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
    folder = detector_folder(place)
    if source is None:
        fetch_models(folder)
    else:
        take_models(local_path(source, "--from"), folder)
    Console().print(f"the hand detector is in {folder}")


@keypoints_app.command("detect")
def detect(
    context: typer.Context,
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of pictures, of sub-folders with pictures, or pictures: one table of all."
        ),
    ],
    *,
    output: OutputOption,
    layout: Annotated[
        DetectionLayout | None,
        typer.Option(help="How the file is laid out; else parquet or hands, by its name."),
    ] = None,
    side: SideOption = "right",
    is_crop: Annotated[
        bool,
        typer.Option(
            "--crops", help="Each picture shows one hand and little else: look harder for it."
        ),
    ] = False,
    one_confidence: Annotated[
        bool,
        typer.Option(
            "--one-confidence",
            help="Give all points of a hand its presence: half the time, without four more looks.",
        ),
    ] = False,
    detector: Annotated[
        str,
        typer.Option(
            metavar="MODULE:NAME", help="Another detector: what opens it, called without arguments."
        ),
    ] = "",
    workspace: WorkspaceOption = None,
    address: AddressOption = None,
    without_ray: Annotated[
        bool, typer.Option("--without-ray", help="One picture after the other in this process.")
    ] = False,
    verbose: VerboseOption = False,
) -> None:
    """Find hands in pictures, by MediaPipe's models or another detector. Continues after a stop.

    Pictures that cannot be read are listed, and count as without a hand. Of several folders the
    output is a .parquet, from which `convert` and `tracks` take what is of their --images.
    """
    from s2hand.keypoints.detector import mediapipe
    from s2hand.keypoints.pictures import named_pictures
    from s2hand_platform.experiments.s2hand.detecting import LookAt, detect_all

    target, layout = _free_place(output, layout, "hands")
    pictures = named_pictures([local_path(each, "IMAGES").absolute() for each in images])
    if layout != "parquet" and any("/" in name for name in pictures):
        fault = f"must end in .parquet for pictures of several folders, got '{output}'"
        raise SpecError([f"--output: {fault}; `convert` writes the other layouts folder by folder"])
    if detector and (is_crop or one_confidence):
        raise SpecError(["--detector: goes without --crops and --one-confidence; leave them out"])
    look = LookAt(
        open=other_detector(detector)
        if detector
        else partial(
            mediapipe.MediaPipeHands,
            detector_folder(Workspace.resolve(workspace)).absolute(),
            is_crop=is_crop,
            has_joint_confidence=not one_confidence,
        )
    )
    kept = target.parent / f".{target.name}.parts"
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with _writing(target), Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("pictures", total=len(pictures))
        table, faults = detect_all(
            pictures,
            look,
            kept,
            context.obj,
            lambda done: progress.update(task, completed=done),
            address=address,
            without_ray=without_ray,
        )
    _write(table, target, layout, side, faults)
    shutil.rmtree(kept)
    elsewhere = "the column fault" if layout == "parquet" else ""
    _tell_faults(list(faults.values()), elsewhere=elsewhere)


@keypoints_app.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(help="The file, or OpenPose's folder.")],
    *,
    images: Annotated[Path, typer.Option("--images", help="The pictures that it is of.")],
    output: OutputOption,
    source_layout: SourceLayoutOption = None,
    layout: Annotated[
        DetectionLayout | None,
        typer.Option("--to", help="How to write it; else parquet or detect, by its name."),
    ] = None,
    side: SideOption = "right",
    verbose: VerboseOption = False,
) -> None:
    """Write detections of some pictures in another layout; checks and counts as training does."""
    target, layout = _free_place(output, layout, "detect")
    table, _ = _read(source, source_layout, images)
    _write(table, target, layout, side, {})


@keypoints_app.command("tracks")
def tracks(
    source: Annotated[Path, typer.Argument(help="Detections of one video's frames.")],
    *,
    images: Annotated[Path, typer.Option("--images", help="The folder of its frames.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")
    ],
    source_layout: SourceLayoutOption = None,
    min_confidence: Annotated[
        float, typer.Option(help="Least mean confidence of a hand's points.")
    ] = _USUAL.min_confidence,
    max_step: Annotated[
        float, typer.Option(help="Farthest move from frame to frame, in extents of the hand.")
    ] = _USUAL.max_step,
    max_gap: Annotated[
        int, typer.Option(help="Pictures in a row in which a hand may be missing.")
    ] = _USUAL.max_gap,
    min_frames: Annotated[int, typer.Option(help="Fewest frames of a track.")] = _USUAL.min_frames,
    verbose: VerboseOption = False,
) -> None:
    """Follow each hand through a video; drop what is unsure, jumps, or is seen too briefly."""
    from dataclasses import asdict

    from s2hand.keypoints.track_report import report_tracks
    from s2hand.keypoints.tracks import track_hands
    from s2hand_platform.experiments.s2hand.track_files import report_lines, write_track_files

    settings = TrackSettings(
        min_confidence=min_confidence, max_step=max_step, max_gap=max_gap, min_frames=min_frames
    )
    folder = local_path(output, "--output")
    table, pictures = _read(source, source_layout, images)
    found = track_hands(table, settings)
    report = report_tracks(table, found, settings)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_track_files(folder, table, found, report, pictures, asdict(settings))
    for line in report_lines(report, max_step):
        typer.echo(line)
    typer.echo(f"wrote tracks.parquet, report.json and contact-sheet.jpg to {output}")


def detector_folder(workspace: Workspace) -> Path:
    """Return where the detector's models are kept."""
    return workspace.root / "detector"


def other_detector(place: str) -> "Callable[[], HandDetector]":
    """Find what opens a detector of the user's own, by MODULE:NAME.

    Raises:
        SpecError: If nothing is there.
    """
    from s2hand.keypoints.hands import HandDetector

    module, _, name = place.partition(":")
    expected = f"--detector: must be MODULE:NAME of what opens a hand detector, got '{place}'"
    try:
        found: Callable[[], HandDetector] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SpecError(
            [f"{expected} ({error}); PYTHONPATH names the folders of modules of your own"]
        ) from error
    if not callable(found) or not isinstance(found(), HandDetector):
        raise SpecError([f"{expected}; what it opens needs name, version and find_hands"])
    return found


def _free_place(
    output: Path, layout: DetectionLayout | None, usual: DetectionLayout
) -> tuple[Path, DetectionLayout]:
    """Choose the layout; refuse a place that cannot be written to before anything is done."""
    target = local_path(output, "--output")
    layout = layout or layout_of(target, usual)
    wants_folder = layout == "openpose"
    if target.exists() if wants_folder else target.is_dir():
        what = "a folder that does not exist yet" if wants_folder else "a file"
        raise SpecError([f"--output: must be {what} for the layout {layout}, got '{output}'"])
    return target, layout


def _read(
    source: Path, layout: DetectionLayout | None, images: Path
) -> tuple["HandTable", Mapping[str, Path]]:
    """Read detections of some pictures; return them with the pictures by name."""
    from s2hand.keypoints.pictures import list_pictures, picture_sizes
    from s2hand_platform.experiments.s2hand.detections import read_detections

    path = local_path(source, "SOURCE")
    place = local_path(images, "--images").absolute()
    paths = list_pictures(place)
    sizes, faults = picture_sizes(paths)
    _tell_faults(faults)
    folder = place if place.is_dir() else place.parent
    table = read_detections(path, layout or layout_of(path, "hands"), sizes, folder=folder)
    return table, {each.name: each for each in paths}


def _write(
    table: "HandTable",
    target: Path,
    layout: DetectionLayout,
    side: Side,
    faults: Mapping[str, str],
) -> None:
    from s2hand_platform.experiments.s2hand.detections import write_detections

    with _writing(target):
        write_detections(target, layout, table, side=side, faults=faults)
    typer.echo(f"wrote {target}: {_told(table)}")


def _tell_faults(faults: Sequence[str], *, elsewhere: str = "") -> None:
    for fault in faults[:_SHOWN_FAULTS]:
        typer.echo(f"skipped {fault}", err=True)
    if len(faults) > _SHOWN_FAULTS:
        all_of_them = f", all of them in {elsewhere}" if elsewhere else ""
        typer.echo(f"and {len(faults) - _SHOWN_FAULTS} more{all_of_them}", err=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Say of what cannot be written that another place is needed."""
    try:
        yield
    except OSError as error:
        fault = f"--output: '{target}' cannot be written ({error.strerror}); name another place"
        raise SpecError([fault]) from error


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
