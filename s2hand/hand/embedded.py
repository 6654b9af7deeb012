"""The embedded hand: our own right hand with MANO's interface, read from one small file."""

import zlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Int

from s2hand.errors import HandModelError
from s2hand.hand.model_data import SHAPES, HandModelData

_ASSET = "assets/embedded_hand.npz"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HandSurface:
    """Where each point of the embedded hand's skin lies in anatomical terms.

    For textures finer than the vertices: interpolate a face's three corners at a pixel and paint
    nails, creases and mottling as functions of these coordinates. Corners rather than vertices,
    because a vertex in the web between two fingers means something else on either side.
    """

    rest_positions: Float[np.ndarray, "778 3"]
    """The template's vertices in metres, MANO's frame: coordinates for three-dimensional noise."""
    face_part: Int[np.ndarray, "1538"]
    """What a face belongs to: 0 palm and wrist, 1 thumb, 2 index, 3 middle, 4 ring, 5 little."""
    corner_along: Float[np.ndarray, "1538 3"]
    """Place along the part. Fingers: 0 at the MCP joint, 1 at PIP, 2 at DIP, 3 at the tip (thumb:
    0 CMC, 1 MCP, 2 IP, 3 tip). Palm: −1 at the wrist joint, 0 at the knuckles."""
    corner_around: Float[np.ndarray, "1538 3 2"]
    """Direction around the part's axis as (dorsal, radial), about unit length: (1, 0) is the
    nail's side, (−1, 0) the pad's, (0, 1) the side that faces the thumb. For the palm the second
    entry is the place across, −1 at the little finger's edge, 1 at the index finger's, above 1 on
    the thumb's base."""


def embedded_hand() -> HandModelData:
    """Give the embedded right hand.

    Convention:
        MANO's frame, metres, radians; 778 vertices, of which 744 and 745 lie on the thumb's tip,
        317, 320, 333 on the index finger's, 443, 444 on the middle's, 554-556 on the ring's and
        671-673 on the little finger's.

    Raises:
        HandModelError: When the package's own file is missing or damaged.
    """
    arrays = _asset()
    integers = {"faces", "kintree_table"}
    return HandModelData(
        **{
            name: arrays[name].astype(np.int64 if name in integers else np.float64)
            for name in SHAPES
        },
        source="embedded",
    )


def embedded_surface() -> HandSurface:
    """Give the embedded hand's anatomical surface coordinates.

    Raises:
        HandModelError: When the package's own file is missing or damaged.
    """
    arrays = _asset()
    return HandSurface(
        rest_positions=arrays["v_template"].astype(np.float64),
        face_part=arrays["face_part"].astype(np.int64),
        corner_along=arrays["corner_along"].astype(np.float64),
        corner_around=arrays["corner_around"].astype(np.float64),
    )


_ARRAYS = (*SHAPES, "face_part", "corner_along", "corner_around")


@cache
def _asset() -> dict[str, np.ndarray]:
    try:
        with (
            (files("s2hand.hand") / _ASSET).open("rb") as file,
            np.load(file, allow_pickle=False) as archive,
        ):
            return {name: archive[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise HandModelError(
            f"s2hand/hand/{_ASSET} must be the archive that `make hand-asset` writes, "
            f"but reading it failed ({error}); install the package again"
        ) from error
