"""Which datasets recipes may name, where they lie, and what the synthetic benchmark is made as."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from s2hand.files import is_folder, what_lies_at
from s2hand.layouts import LAYOUTS, DatasetName
from s2hand_platform.errors import SpecError, nearest
from s2hand_platform.paths import local_path
from s2hand_platform.workspace import Workspace

SYNTHETIC = "synthetic"
VALIDATION = "validation"
"""Folder of the synthetic benchmark's validation set, below the benchmark's own."""
IN_THE_WILD = "in_the_wild"
"""Folder of its videos in YouTube-3D-Hands' layout, a set of their own likewise."""
OFFICIAL = tuple(LAYOUTS)
"""Datasets that ``--data`` may name; each lies in the workspace under its name."""

SizeName = Literal["demo", "compact", "small", "full", "pretraining"]
DetectorName = Literal["simulated", "calibrated"]

STORED_IMAGE_SIZE_PX: dict[SizeName, int] = {
    "demo": 96,
    "compact": 96,
    "small": 96,
    "full": 224,
    "pretraining": 96,
}
"""Size of the synthetic benchmark → side of its stored pictures. A scale names the size that was
made for it, which bears its name."""

SCALE_SIZES = tuple(size for size in STORED_IMAGE_SIZE_PX if size != "pretraining")
"""Sizes that a scale may name: those that can be measured on."""


def usual_scale(data: Sequence[str]) -> str:
    """Name the scale that data is measured at unless told otherwise."""
    return "demo" if SYNTHETIC in data else "full"


def place_of(data: Sequence[str], dataset: str) -> str:
    """Choose the word or folder that ``--data`` gives for a dataset.

    A word is ``NAME=FOLDER``, the NAME alone of a set that lies in the workspace, or what stands
    for every set that is not named: ``synthetic``, or a folder.

    Raises:
        SpecError: if there is none for it, several for one set, or a name is unknown.
    """
    named: dict[str, list[str]] = {}
    for word in data:
        name, equals, folder = word.partition("=")
        if word in OFFICIAL:
            named.setdefault(word, []).append(word)
        elif equals and name in OFFICIAL and folder:
            named.setdefault(name, []).append(folder)
        elif equals and name.isidentifier():
            expected = f"NAME=FOLDER, NAME one of {', '.join(OFFICIAL)}"
            raise SpecError(
                [f"data: must be {expected}, got {word!r}; a folder of this name is ./{word}"]
            )
        else:
            named.setdefault("", []).append(word)
    for words in named.values():
        if len(words) > 1:
            fault = f"{words[0]!r} and {words[1]!r} are both given for one set"
            raise SpecError([f"data: {fault}; leave one out, or say NAME=FOLDER of each"])
    found = named.get(dataset) or named.get("")
    if found is None:
        given = ", ".join(sorted(named))
        raise SpecError([f"data: {dataset} is read, and only {given} named; add {dataset}=FOLDER"])
    return found[0]


def synthetic_folder(
    workspace: Workspace, size: str, detections: DetectorName = "simulated"
) -> Path:
    """Return where the synthetic benchmark of a size lies, one folder per layout in it.

    That with other detections than the usual ones is a set of its own, given as ``--data PATH``.
    """
    suffix = "" if detections == "simulated" else f"-{detections}"
    return workspace.data_dir / f"{SYNTHETIC}-{size}{suffix}"


def scale_data_faults(data: Mapping[str, Any]) -> list[str]:
    """Check a scale's ``data``: it holds ``size``, the size of the synthetic benchmark."""
    faults = [
        f"{key}: unknown key '{key}'; {nearest(key, ['size'])}" for key in data if key != "size"
    ]
    size = data.get("size")
    if size is None:
        faults.append("size: is missing")
    elif size not in SCALE_SIZES:
        hint = nearest(str(size), SCALE_SIZES)
        faults.append(f"size: unknown size {size!r}; {hint}")
    return faults


def find_dataset(data: str, dataset: str, workspace: Workspace, size: str) -> Path:
    """Find the folder of a dataset.

    Args:
        data: ``synthetic``, the dataset's own name, or a folder in its official layout, from
            ``place_of``.
        dataset: the layout that the recipe asks for.
        workspace: where synthetic and official sets lie.
        size: the synthetic benchmark's size.

    Raises:
        SpecError: if it is not there, with what to do.
    """
    if data == SYNTHETIC:
        place = synthetic_folder(workspace, size)
        root = (place / IN_THE_WILD if dataset == "youtube3d" else place) / dataset
        remedy = _how_to_make(size, "in-the-wild" if dataset == "youtube3d" else SYNTHETIC)
    elif data in OFFICIAL:
        root = workspace.data_dir / data
        remedy = "put the official download there, or give its folder in the place of the name"
    else:
        root, remedy = local_path(data, "data"), "give a folder in the dataset's official layout"
    if not is_folder(root):
        expected = f"data {data}: expected the {dataset} set at {root}"
        raise SpecError([f"{expected}, there is {what_lies_at(root)}; {remedy}"])
    if data == SYNTHETIC:
        _refuse_other_version(root, remedy)
    return root.resolve()


def find_validation(data: str, dataset: str, workspace: Workspace, size: str) -> Path | None:
    """Find the set that searches are validated on, where data comes with one of its own.

    Raises:
        SpecError: if it is not there, with what to do.
    """
    if data != SYNTHETIC:
        return None
    root = synthetic_folder(workspace, size) / VALIDATION / dataset
    if not is_folder(root):
        expected = f"data {data}: expected the {dataset} validation set at {root}"
        raise SpecError([f"{expected}, there is {what_lies_at(root)}; {_how_to_make(size)}"])
    return root.resolve()


def sets_under(kind: str, root: Path) -> list[tuple[DatasetName, Path]]:
    """Find the sets that ``s2hand data check`` looks at.

    Args:
        kind: a layout, or ``synthetic``: every layout that the benchmark has, validation and
            videos in the wild included.
        root: the set's folder, or that above it; of the benchmark, the folder of its manifest.

    Raises:
        SpecError: if the benchmark is not there.
    """
    if kind != SYNTHETIC:
        (name,) = (name for name in LAYOUTS if name == kind)
        return [(name, root / name if is_folder(root / name) else root)]
    folders = (root, root / VALIDATION, root / IN_THE_WILD)
    places = [(name, place / name) for place in folders for name in LAYOUTS]
    found = [(name, place) for name, place in places if is_folder(place)]
    if not found:
        wanted = " or ".join(map(str, LAYOUTS))
        raise SpecError([f"--root: expected a folder with {wanted} in it, {root} has none"])
    return found


def _how_to_make(size: str, kind: str = SYNTHETIC) -> str:
    return f"make it with: s2hand data make {kind} --size {size}"


def _refuse_other_version(root: Path, remedy: str) -> None:
    """Refuse a synthetic set of another generator: the documents speak of this one's pictures."""
    from s2hand.data.manifest import GENERATOR_VERSION, find_manifest

    found = find_manifest(root)
    if found is not None and found[0].generator_version != GENERATOR_VERSION:
        version = found[0].generator_version
        fault = (
            f"data {SYNTHETIC}: {root} is of version {version} of the benchmark, and version "
            f"{GENERATOR_VERSION} is measured on now; delete {root.parent} or keep it elsewhere, "
            f"then {remedy}"
        )
        raise SpecError([fault])
