"""The model's own commands: ``s2hand hand …``, ``s2hand data …`` and ``s2hand evaluate``.

The model is imported by the command that needs it: help is shown without.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from s2hand.layouts import DatasetName
from s2hand_platform.common_options import VerboseOption, WorkspaceOption
from s2hand_platform.devices import choose_device_type
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.s2hand.datasets import (
    IN_THE_WILD,
    STORED_IMAGE_SIZE_PX,
    VALIDATION,
    DetectorName,
    SizeName,
    sets_under,
    synthetic_folder,
)
from s2hand_platform.experiments.s2hand.frames import frames
from s2hand_platform.paths import local_path
from s2hand_platform.preparation import preparation_shown
from s2hand_platform.workspace import Workspace

if TYPE_CHECKING:
    from s2hand.data.check import CheckedSplit

hand_app = typer.Typer(help="The hand model.", no_args_is_help=True)
data_app = typer.Typer(help="The datasets.", no_args_is_help=True)

HandOption = Annotated[
    str, typer.Option("--hand", help="A MANO_RIGHT.pkl; else S2HAND_MANO; else the embedded hand.")
]


@hand_app.command("export")
def export_hand(
    path: Annotated[Path, typer.Argument(help="Where to write, e.g. MANO_RIGHT.pkl.")],
    *,
    verbose: VerboseOption = False,
) -> None:
    """Write the hand model as the official MANO file is laid out, for other projects' layers."""
    from s2hand.hand.export import export_hand_model
    from s2hand.hand.loader import load_hand_model
    from s2hand_platform.experiments.s2hand.configuration import hand_model

    export_hand_model(load_hand_model(hand_model()), local_path(path, "PATH"))
    Console().print(f"wrote {path}")


@hand_app.command("show")
def show_hand(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG to write.")] = Path(
        "hand.png"
    ),
    side_px: Annotated[int, typer.Option("--side", min=32, help="Pixels per picture.")] = 384,
    hand: HandOption = "",
    num_sampled: Annotated[
        int, typer.Option("--sampled", min=0, help="Add that many random shapes and postures.")
    ] = 0,
    verbose: VerboseOption = False,
) -> None:
    """Draw the hand's postures from the palm's and the back's side."""
    _check_picture_path(output)
    from PIL import Image

    from s2hand.files import whole_file
    from s2hand.hand.loader import load_hand_model
    from s2hand_platform.experiments.s2hand.configuration import hand_model
    from s2hand_platform.experiments.s2hand.hand_pictures import draw_postures

    model = load_hand_model(hand_model(hand))
    picture, names = draw_postures(model, side_px, num_sampled)
    try:
        with whole_file(local_path(output, "--output")) as file:
            Image.fromarray(picture).save(file, format="PNG")
    except OSError as error:
        raise SpecError([f"--output: {output} cannot be written ({error.strerror})"]) from error
    Console().print(f"wrote {output}: {', '.join(names)}; palm above, back below")


def _check_picture_path(path: Path) -> None:
    """Refuse a path before anything is drawn."""
    if path.suffix.lower() != ".png":
        raise SpecError([f"--output: must be a file's name that ends in .png, got '{path}'"])
    if not path.parent.is_dir():
        raise SpecError([f"--output: there is no folder '{path.parent}' for '{path}'; make it"])


def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(help="A trained model.safetensors, or 's2hand': the project's own.")
    ] = "",
    *,
    data: Annotated[
        str,
        typer.Option(
            metavar="SET=PATH", help="freihand=, ho3d= or youtube3d=PATH: what to predict."
        ),
    ],
    split: Annotated[
        Literal["test", "val", "train"], typer.Option(help="Of youtube3d: which list.")
    ] = "test",
    predictions: Annotated[
        Path | None, typer.Option(help="Score this pred.json or pred.zip instead of a model.")
    ] = None,
    submission: Annotated[
        Path | None, typer.Option(help="Write predictions for the set's server, e.g. pred.zip.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for scores.json, curves.json.")
    ] = None,
    hand: HandOption = "",
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option()] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print scores as JSON.")] = False,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Score a trained model on a set as its official script does, or write what its server takes.

    YouTube-3D-Hands is measured in pixels, against its annotated vertices. Without truth a
    submission is written: to --submission, else into --output or the current folder.
    """
    is_annotated = data.startswith("youtube3d=")
    _check_evaluation(
        checkpoint, predictions, submission, is_annotated=is_annotated, has_split=split != "test"
    )
    if is_annotated:
        _evaluate_annotated(
            checkpoint, data, split, hand=hand, device=device, output=output, as_json=as_json
        )
        return
    from s2hand_platform.experiments.s2hand import official

    source = official.evaluation_set(data)
    if predictions is not None:
        scored = official.score_file(local_path(predictions, "--predictions"), source)
    else:
        with preparation_shown(Console(stderr=True)) as progress:
            scored = official.score_model(
                checkpoint,
                source,
                workspace=Workspace.resolve(workspace),
                hand=hand,
                device=choose_device_type(device),
                progress=progress,
            )
    written = [] if output is None else scored.write_files(local_path(output, "--output"))
    if submission is None and scored.evaluation is None:
        submission = (output or Path()) / official.SUBMISSION_NAME
    if submission is not None:
        written.append(local_path(submission, "--submission"))
        scored.write_submission(written[-1])
    if as_json:
        typer.echo(json.dumps(scored.to_plain() | {"written": list(map(str, written))}, indent=1))
        return
    for line in (*scored.lines(), *(f"wrote {path}" for path in written)):
        typer.echo(line)


def _check_evaluation(
    checkpoint: str,
    predictions: Path | None,
    submission: Path | None,
    *,
    is_annotated: bool,
    has_split: bool,
) -> None:
    """Refuse arguments that do not go together, before anything is opened."""
    if bool(checkpoint) == bool(predictions):
        raise SpecError(
            ["give a CHECKPOINT to predict with, or --predictions to score, one of both"]
        )
    if is_annotated and (predictions is not None or submission is not None):
        raise SpecError(["--data youtube3d: scores a CHECKPOINT; there is no server for it"])
    if has_split and not is_annotated:
        raise SpecError(["--split: only youtube3d has several splits with truth; leave it out"])
    if predictions is not None and submission is not None:
        raise SpecError(["--submission: is written of a model's predictions, give a CHECKPOINT"])
    if submission is not None and not submission.parent.is_dir():
        raise SpecError([f"--submission: there is no folder for '{submission}'; make it"])


def _evaluate_annotated(
    checkpoint: str,
    data: str,
    split: Literal["test", "val", "train"],
    *,
    hand: str,
    device: Literal["auto", "cpu", "cuda"],
    output: Path | None,
    as_json: bool,
) -> None:
    from s2hand_platform.experiments.s2hand.annotated import score_annotated

    place = data.partition("=")[2]
    scored = score_annotated(checkpoint, place, split, hand=hand, device=choose_device_type(device))
    written = [] if output is None else scored.write_files(local_path(output, "--output"))
    if as_json:
        typer.echo(json.dumps(scored.to_plain() | {"written": list(map(str, written))}, indent=1))
        return
    for line in (*scored.lines(), *(f"wrote {path}" for path in written)):
        typer.echo(line)


@data_app.command("check")
def check_data(
    kind: Annotated[
        Literal["freihand", "ho3d", "youtube3d", "folder", "synthetic"],
        typer.Argument(metavar="SET"),
    ],
    *,
    root: Annotated[Path, typer.Option(help="Its folder, or the one above.")],
    as_json: Annotated[bool, typer.Option("--json", help="Name every file, as JSON.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Say file by file what of a SET is complete, missing or damaged.

    SET is freihand, ho3d, youtube3d, folder or synthetic. Exit code 1 if a training or an
    evaluation would refuse it: up to one in a hundred of the images may be damaged, and is left
    out.
    """
    from s2hand_platform.experiments.s2hand import checked

    sets = sets_under(kind, local_path(root, "--root"))
    with _progress(to_stderr=True) as progress:
        found = {folder: _check(name, folder, progress) for name, folder in sets}
    if as_json:
        plain = {str(path): [each.to_plain() for each in splits] for path, splits in found.items()}
        typer.echo(json.dumps(plain, indent=1))
    else:
        for folder, splits in found.items():
            for line in checked.lines(folder, splits):
                typer.echo(line)
    if not all(each.is_usable for splits in found.values() for each in splits):
        raise typer.Exit(1)


def _check(name: DatasetName, folder: Path, progress: Progress) -> "list[CheckedSplit]":
    from s2hand.data.check import check_set

    task = progress.add_task(str(folder), total=None)
    return check_set(
        folder,
        name,
        progress=lambda done, total: progress.update(task, completed=done, total=total),
    )


def _progress(*, to_stderr: bool = False) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=to_stderr))


data_app.command("frames")(frames)


@data_app.command("make")
def make_data(
    kind: Annotated[
        Literal["synthetic", "in-the-wild"], typer.Argument(help="Which data to make.")
    ],
    *,
    size: Annotated[SizeName, typer.Option()] = "demo",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    image_size_px: Annotated[
        int | None, typer.Option("--image-size", min=32, help="Pixels; else what the size uses.")
    ] = None,
    detections: Annotated[
        DetectorName, typer.Option(help="Whose errors the detected keypoints have.")
    ] = "simulated",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check all of a finished set's files by content.")
    ] = False,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Make the synthetic benchmark in the official layouts; continues where it stopped.

    In-the-wild data are videos in YouTube-3D-Hands' layout, to train on beside the benchmark; they
    come into a folder of its own.
    """
    from s2hand.synthetic import IN_THE_WILD_SIZES, SIZES, make_synthetic

    sizes = SIZES if kind == "synthetic" else IN_THE_WILD_SIZES
    if size not in sizes:
        raise SpecError([f"--size: {kind} data are of size {' or '.join(sizes)}, got {size}"])
    root = synthetic_folder(Workspace.resolve(workspace), size, detections)
    with _progress() as progress:
        task = progress.add_task(f"{kind} data, {size}", total=None)
        make_synthetic(
            root,
            size=sizes[size],
            seed=seed,
            image_size_px=image_size_px or STORED_IMAGE_SIZE_PX[size],
            detections=detections,
            verify=verify,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    folders = (root, root / VALIDATION) if kind == "synthetic" else (root / IN_THE_WILD,)
    made = [str(path) for path in folders if path.is_dir()]
    Console().print(f"made {' and '.join(made)}")
