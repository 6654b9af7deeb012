"""The model's own commands: ``s2hand hand …`` and ``s2hand data …``."""

import math
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from s2hand.hand.angle_limits import anatomical_frames
from s2hand.hand.export import export_hand_model
from s2hand.hand.layer import HandLayer
from s2hand.hand.loader import load_hand_model
from s2hand.hand.postures import POSTURES, named_posture
from s2hand.rendering.pictures import PALM_VIEW, draw_meshes, tile, turn_about_vertical
from s2hand.synthetic import SizeName, make_synthetic
from s2hand_platform.spec.loader import load_scale
from s2hand_platform.workspace import Workspace

hand_app = typer.Typer(help="The hand model.", no_args_is_help=True)
data_app = typer.Typer(help="The datasets.", no_args_is_help=True)

HandOption = Annotated[
    str, typer.Option("--hand", help="A MANO_RIGHT.pkl; else S2HAND_MANO; else the embedded hand.")
]


@hand_app.command("export")
def export_hand(
    path: Annotated[Path, typer.Argument(help="Where to write, e.g. MANO_RIGHT.pkl.")],
) -> None:
    """Write the hand model as the official MANO file is laid out, for other projects' layers."""
    export_hand_model(load_hand_model(), path)
    Console().print(f"wrote {path}")


@hand_app.command("show")
def show_hand(
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG to write.")] = Path(
        "hand.png"
    ),
    side_px: Annotated[int, typer.Option("--side", min=32, help="Pixels per picture.")] = 384,
    hand: HandOption = "",
    sampled: Annotated[
        int, typer.Option(min=0, help="Add that many random shapes and postures.")
    ] = 0,
) -> None:
    """Draw the hand's postures from the palm's and the back's side."""
    model = load_hand_model(hand or None)
    with torch.no_grad():
        flat = HandLayer(model, use_mean_pose=False)
        frames = anatomical_frames(flat.rest_joints)
        postures = torch.stack([named_posture(name, frames) for name in POSTURES])
        palm = _pose(flat, hand_pose=postures)
        generator = torch.Generator().manual_seed(0)
        coefficients = torch.randn(1 + sampled, 30, generator=generator)
        betas = torch.randn(1 + sampled, 10, generator=generator)
        coefficients[0], betas[0] = 0, 0
        others = _pose(HandLayer(model), hand_pose_pca=coefficients, betas=betas)
        meshes = torch.cat([palm, others])
        views = [meshes, turn_about_vertical(meshes, math.pi)]
    pictures = np.concatenate([draw_meshes(view, model.faces, side_px) for view in views])
    Image.fromarray(tile(pictures, columns=len(meshes))).save(output)
    names = [*POSTURES, "mean", *["sampled"] * sampled]
    Console().print(f"wrote {output}: {', '.join(names)}; palm above, back below")


@data_app.command("make")
def make_data(
    kind: Annotated[Literal["synthetic"], typer.Argument(help="Which data to make.")],
    size: Annotated[SizeName, typer.Option()] = "demo",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    image_size_px: Annotated[
        int | None, typer.Option("--image-size", min=32, help="Pixels; else what the scale uses.")
    ] = None,
    workspace: Annotated[Path | None, typer.Option("--workspace")] = None,
) -> None:
    """Make the synthetic benchmark in the official layouts; continues where it stopped."""
    root = Workspace.resolve(workspace).data_dir / f"{kind}-{size}"
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task(f"{kind} benchmark, {size}", total=None)
        make_synthetic(
            root,
            size=size,
            seed=seed,
            image_size_px=image_size_px or load_scale(size).image_size_px,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    Console().print(f"{root} holds the sets freihand and ho3d")


def _pose(
    layer: HandLayer,
    *,
    hand_pose: torch.Tensor | None = None,
    hand_pose_pca: torch.Tensor | None = None,
    betas: torch.Tensor | None = None,
) -> torch.Tensor:
    given = hand_pose if hand_pose is not None else hand_pose_pca
    count = len(given) if given is not None else 0
    output = layer(
        betas=torch.zeros(count, 10) if betas is None else betas,
        global_orient=torch.tensor(PALM_VIEW).expand(count, 3),
        hand_pose=hand_pose,
        hand_pose_pca=hand_pose_pca,
    )
    vertices: torch.Tensor = output.vertices
    return vertices
