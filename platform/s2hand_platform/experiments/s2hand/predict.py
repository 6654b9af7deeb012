"""The commands ``s2hand predict`` and ``s2hand export``: a trained model on pictures, and as ONNX.

The model is imported by the command that needs it: help is shown without.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s2hand.files import is_file, is_folder, what_lies_at
from s2hand_platform.common_options import VerboseOption
from s2hand_platform.errors import SpecError
from s2hand_platform.paths import local_path

if TYPE_CHECKING:
    from s2hand.photos import Photo
    from s2hand_platform.experiments.s2hand.hand_files import Camera

_EXIT_FAILED_PICTURES = 1


def predict(
    picture: Annotated[Path, typer.Argument(metavar="IMAGE|FOLDER", help="What to look at.")],
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
            help="Pixels around the hand, with room; else the whole picture is the hand.",
        ),
    ] = None,
    intrinsics: Annotated[
        str | None,
        typer.Option(
            metavar="FX,FY,CX,CY",
            help="The camera, pixels; else by EXIF; else a guess, which makes depth relative.",
        ),
    ] = None,
    left: Annotated[bool, typer.Option("--left", help="It is a left hand.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Reconstruct the hand in each picture: drawings, meshes, JSON, and one Parquet of all."""
    box_px = None if box is None else _four_numbers(box, "--box")
    camera_px = None if intrinsics is None else _four_numbers(intrinsics, "--intrinsics")
    pictures = _pictures(local_path(picture, "IMAGE|FOLDER"))
    folder = _made(local_path(output, "--output"), pictures[0].parent)
    import s2hand
    from s2hand.reconstruction import reconstruct
    from s2hand_platform.experiments.s2hand.hand_files import hand_row, write_hand, write_rows

    predictor = s2hand.load(None if checkpoint is None else local_path(checkpoint, "--checkpoint"))
    typer.echo(f"model: {checkpoint or 'the one that comes with the project'}")
    if box_px is None:
        typer.echo("no --box: the whole picture is taken for the hand")
    rows, num_failed = [], 0
    for path in pictures:
        try:
            photo, camera = _looked_at(path, camera_px)
            hand = reconstruct(
                predictor, photo.pixels, camera.intrinsics_px, box_px=box_px, is_left=left
            )
            write_hand(folder / path.name, photo.pixels, hand, camera)
        except (ValueError, OSError) as error:  # also the errors of s2hand itself
            num_failed += 1
            typer.echo(f"{path.name}: left out: {error}", err=True)
            continue
        rows.append(hand_row(path.name, hand, camera))
        typer.echo(f"{path.name}: {camera.told}")
    if rows:
        write_rows(folder / "hands.parquet", rows)
    typer.echo(f"wrote {len(rows)} of {len(pictures)} hands to {output}")
    if num_failed:
        raise typer.Exit(_EXIT_FAILED_PICTURES)


def export(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]", help="A model.safetensors; else the project's own model."
        ),
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.onnx")],
    verbose: VerboseOption = False,
) -> None:
    """Write a trained model as ONNX, for programs without PyTorch (needs the extra ``onnx``)."""
    target = local_path(output, "--output")
    if target.suffix.lower() != ".onnx":
        raise SpecError([f"--output: must be a file's name that ends in .onnx, got '{output}'"])
    if not is_folder(target.parent):
        raise SpecError([f"--output: there is no folder '{target.parent}' for '{output}'; make it"])
    import s2hand
    from s2hand.onnx_export import export_onnx, is_free

    opened = s2hand.load(None if model is None else local_path(model, "MODEL")).model
    export_onnx(opened, target)
    typer.echo(f"wrote {output}: {target.stat().st_size / 1e6:.1f} MB")
    if not is_free(opened):
        typer.echo(
            "warning: this file holds MANO, whose licence does not let you pass it on; keep it to "
            "yourself (docs/licences.md)",
            err=True,
        )


def _four_numbers(text: str, option: str) -> tuple[float, float, float, float]:
    try:
        first, second, third, fourth = (float(part) for part in text.split(","))
    except ValueError as error:
        fault = f"{option}: must be four numbers with commas between them, got '{text}'"
        raise SpecError([fault]) from error
    return first, second, third, fourth


def _pictures(place: Path) -> list[Path]:
    """Return the picture, or a folder's, and say what else the folder holds."""
    if is_file(place):
        return [place]
    if not is_folder(place):
        expected = f"expected a picture or a folder of them at {place}"
        raise SpecError([f"IMAGE|FOLDER: {expected}, there is {what_lies_at(place)}"])
    from s2hand.photos import PHOTO_SUFFIXES

    files = sorted(path for path in place.iterdir() if path.is_file())
    pictures = [path for path in files if path.suffix.lower() in PHOTO_SUFFIXES]
    others = [path.name for path in files if path not in pictures]
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        typer.echo(f"no pictures by their names, left out: {', '.join(others[:5])}{more}", err=True)
    if not pictures:
        raise SpecError([f"IMAGE|FOLDER: {place} holds no picture ({', '.join(PHOTO_SUFFIXES)})"])
    return pictures


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


def _looked_at(
    path: Path, camera_px: tuple[float, float, float, float] | None
) -> tuple["Photo", "Camera"]:
    from s2hand.photos import read_photo
    from s2hand_platform.experiments.s2hand.hand_files import camera_of

    photo = read_photo(path)
    return photo, camera_of(photo, camera_px)
