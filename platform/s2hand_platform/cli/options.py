"""Options that several commands have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from s2hand_platform.runs.place import HowToRun, Place

TableArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="A name in sweeps/tables, or the path of a TOML file."
    ),
]
TableNameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A table that was planned or run in the workspace.")
]
SearchArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="A name in sweeps/searches, or the path of a TOML file."
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH", help="A dataset, or its folder; else the experiment's usual one."
    ),
]
ScaleOption = Annotated[
    str | None,
    typer.Option(help="A name in sweeps/scales; else the usual one for the data."),
]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(help="What trials train on; auto: CUDA where this machine has it."),
]
SeedsOption = Annotated[
    int | None, typer.Option(min=1, help="How many seeds; else as many as the scale takes.")
]
WorkspaceOption = Annotated[
    Path | None, typer.Option(help="Folder of all results; else S2HAND_WORKSPACE or ./workspace.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AddressOption = Annotated[
    str | None,
    typer.Option(help="HOST:PORT of a Ray cluster; else RAY_ADDRESS or a Ray on this machine."),
]
TrackingOption = Annotated[
    str | None, typer.Option(help="MLflow's tracking URI; else the database in the workspace.")
]
ConcurrentOption = Annotated[
    int | None, typer.Option(min=1, help="Trials at once; else as many as fit.")
]
CpusOption = Annotated[
    float | None, typer.Option(min=1, help="CPUs (and threads) of each training worker.")
]
GpusOption = Annotated[
    float | None, typer.Option(min=0, help="GPUs of each training worker; else 1 on CUDA.")
]
WithoutRayOption = Annotated[
    bool,
    typer.Option("--without-ray", help="One trial after the other in this process."),
]


def choose_place(
    data: str | None,
    scale: str | None,
    workspace: Path | None,
    device: Literal["auto", "cpu", "cuda"],
) -> "Place":
    """Make the place that the options name."""
    from s2hand_platform.runs.place import Place

    return Place.choose(data=data, scale=scale, workspace=workspace, device=device)


def how_to_run(
    *,
    address: str | None,
    tracking_uri: str | None,
    max_concurrent: int | None,
    cpus_per_worker: float | None,
    gpus_per_worker: float | None,
    without_ray: bool,
) -> "HowToRun":
    """Gather the options of a run."""
    from s2hand_platform.execution.settings import RunSettings
    from s2hand_platform.runs.place import HowToRun

    settings = RunSettings(
        address=address,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        max_concurrent=max_concurrent,
    )
    return HowToRun(settings=settings, without_ray=without_ray, tracking_uri=tracking_uri)
