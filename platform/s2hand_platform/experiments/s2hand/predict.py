"""The command ``s2hand predict``: a trained model on people's pictures and videos.

The model is imported when the command is run: help is shown without.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from s2hand.files import is_file, is_folder, what_lies_at
from s2hand_platform.common_options import VerboseOption, WorkspaceOption
from s2hand_platform.devices import choose_device_type
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.s2hand.keypoints import detector_folder, other_detector
from s2hand_platform.paths import local_path
from s2hand_platform.workspace import Workspace

if TYPE_CHECKING:
    from s2hand_platform.experiments.s2hand.prediction import Outcome, Setup

_EXIT_FAULTS = 1
_FORMAT = "s2hand-predict/1"
_SHOWN_FAULTS = 5


def predict(
    place: Annotated[Path, typer.Argument(metavar="IMAGE|VIDEO|FOLDER", help="What to look at.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A model.safetensors; else the project's own model."),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="Pixels around the one hand, with room; else the detector finds all hands.",
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME", help="Another detector: what opens it, called without arguments."
        ),
    ] = None,
    no_detector: Annotated[
        bool,
        typer.Option("--no-detector", help="Without --box the whole picture is the hand."),
    ] = False,
    left: Annotated[
        bool | None,
        typer.Option("--left/--right", help="All are left or right hands; else by the detector."),
    ] = None,
    intrinsics: Annotated[
        str | None,
        typer.Option(
            metavar="FX,FY,CX,CY",
            help="The camera, pixels; else by EXIF; else a guess, which makes depth relative.",
        ),
    ] = None,
    meshes: Annotated[
        bool, typer.Option("--meshes", help="Of a video, a PLY of every hand in every frame.")
    ] = False,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option()] = "auto",
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Reconstruct the hands in pictures and videos: drawings, meshes, JSON and Parquet.

    The detector is MediaPipe's (`s2hand keypoints get-detector`), or another.
    """
    box_px = None if box is None else _four_numbers(box, "--box")
    camera_px = None if intrinsics is None else _four_numbers(intrinsics, "--intrinsics")
    if detector and (no_detector or box_px is not None):
        raise SpecError(["--detector: goes without --no-detector and --box; leave one out"])
    pictures, videos = _files(local_path(place, "IMAGE|VIDEO|FOLDER"))
    folder = _made(local_path(output, "--output"), [*pictures, *videos][0].parent)
    import s2hand
    from s2hand_platform.experiments.s2hand.finding import choose_finder
    from s2hand_platform.experiments.s2hand.prediction import Setup

    finder, told = choose_finder(
        detector_folder(Workspace.resolve(workspace)),
        box_px=box_px,
        is_left=left,
        other=other_detector(detector)() if detector else None,
        use_detector=not no_detector,
    )
    model = None if checkpoint is None else local_path(checkpoint, "--checkpoint")
    setup = Setup(
        predictor=s2hand.load(model, device=choose_device_type(device)),
        finder=finder,
        camera_px=camera_px,
        folder=folder,
    )
    typer.echo(f"model: {checkpoint or 'the one that comes with the project'}")
    typer.echo(told)
    outcomes = {
        "pictures": _predict_pictures(setup, pictures),
        "videos": [_predict_video(setup, path, with_meshes=meshes) for path in videos],
    }
    _finish(setup, outcomes, None if checkpoint is None else str(checkpoint))
    typer.echo(f"wrote them to {output}")
    if any(outcome.faults for each in outcomes.values() for outcome in each):
        raise typer.Exit(_EXIT_FAULTS)


def _predict_pictures(setup: "Setup", pictures: list[Path]) -> list["Outcome"]:
    from s2hand_platform.experiments.s2hand.hand_files import PICTURE_SCHEMA, open_table
    from s2hand_platform.experiments.s2hand.prediction import predict_pictures

    if not pictures:
        return []
    outcomes = []
    with open_table(setup.folder / "hands.parquet", PICTURE_SCHEMA) as add_rows:
        for rows, outcome in predict_pictures(setup, pictures):
            add_rows(rows)
            outcomes.append(outcome)
            _tell(outcome)
    return outcomes


def _predict_video(setup: "Setup", path: Path, *, with_meshes: bool) -> "Outcome":
    from s2hand_platform.experiments.s2hand.prediction import Outcome
    from s2hand_platform.experiments.s2hand.video_prediction import predict_video

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(path.name, total=None)
        try:
            outcome = predict_video(
                setup,
                path,
                with_meshes=with_meshes,
                step=lambda done, total: progress.update(task, advance=done, total=total),
            )
        except (ValueError, OSError) as error:  # also the errors of s2hand itself
            outcome = Outcome(name=path.name, faults=[str(error)])
    _tell(outcome)
    return outcome


def _tell(outcome: "Outcome") -> None:
    if outcome.told:
        typer.echo(f"{outcome.name}: {outcome.told}")
    for fault in outcome.faults[:_SHOWN_FAULTS]:
        typer.echo(f"{outcome.name}: left out: {fault}", err=True)
    if len(outcome.faults) > _SHOWN_FAULTS:
        typer.echo(f"{outcome.name}: and {len(outcome.faults) - _SHOWN_FAULTS} more", err=True)


def _finish(setup: "Setup", outcomes: Mapping[str, list["Outcome"]], model: str | None) -> None:
    """Write ``summary.json`` and say what is in it."""
    from s2hand_platform.experiments.s2hand.hand_files import write_json

    plain = {kind: [each.to_plain() for each in some] for kind, some in outcomes.items()}
    content = {
        "format": _FORMAT,
        "model": model or "s2hand",
        "found_by": setup.finder.found_by,
        "detector": setup.finder.detector_name,
        **plain,
    }
    write_json(setup.folder / "summary.json", content)
    for kind, some in outcomes.items():
        if some:
            num_hands = sum(outcome.num_hands for outcome in some)
            with_hands = sum(outcome.num_hands > 0 for outcome in some)
            typer.echo(f"{num_hands:,} hands in {with_hands:,} of {len(some):,} {kind}")


def _four_numbers(text: str, option: str) -> tuple[float, float, float, float]:
    try:
        first, second, third, fourth = (float(part) for part in text.split(","))
    except ValueError as error:
        fault = f"{option}: must be four numbers with commas between them, got '{text}'"
        raise SpecError([fault]) from error
    return first, second, third, fourth


def _files(place: Path) -> tuple[list[Path], list[Path]]:
    """Return the pictures and the videos of a place, and say what else a folder holds."""
    from s2hand.photos import PHOTO_SUFFIXES
    from s2hand.videos import VIDEO_SUFFIXES

    def is_video(path: Path) -> bool:
        return path.suffix.lower() in VIDEO_SUFFIXES

    if is_file(place):
        return ([], [place]) if is_video(place) else ([place], [])
    if not is_folder(place):
        expected = f"expected a picture, a video or a folder of them at {place}"
        raise SpecError([f"IMAGE|VIDEO|FOLDER: {expected}, there is {what_lies_at(place)}"])
    files = sorted(path for path in place.iterdir() if path.is_file())
    pictures = [path for path in files if path.suffix.lower() in PHOTO_SUFFIXES]
    videos = [path for path in files if is_video(path)]
    others = [path.name for path in files if path not in {*pictures, *videos}]
    if others:
        more = f" and {len(others) - _SHOWN_FAULTS} more" if len(others) > _SHOWN_FAULTS else ""
        named = ", ".join(others[:_SHOWN_FAULTS])
        typer.echo(f"no pictures or videos by their names, left out: {named}{more}", err=True)
    if not pictures and not videos:
        known = ", ".join((*PHOTO_SUFFIXES, *VIDEO_SUFFIXES))
        raise SpecError([f"IMAGE|VIDEO|FOLDER: {place} holds no picture or video ({known})"])
    return pictures, videos


def _made(folder: Path, of_pictures: Path) -> Path:
    """Make the folder of results, which get folders named as the pictures."""
    if folder.resolve() == of_pictures.resolve():
        raise SpecError(
            [f"--output: must be another folder than the pictures' own, got '{folder}'"]
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(
            [f"--output: cannot make the folder '{folder}' ({error.strerror})"]
        ) from error
    return folder
