"""The arrays of one parametric hand, under MANO's own names and in MANO's own shapes."""

import hashlib
from dataclasses import dataclass, fields

import numpy as np

from s2hand.errors import HandModelError

SHAPES: dict[str, tuple[int, ...]] = {
    "v_template": (778, 3),
    "faces": (1538, 3),
    "J_regressor": (16, 778),
    "shapedirs": (778, 3, 10),
    "posedirs": (778, 3, 135),
    "weights": (778, 16),
    "hands_components": (45, 45),
    "hands_mean": (45,),
    "hands_coeffs": (1554, 45),
    "kintree_table": (2, 16),
}
"""Every array and its shape, in the order in which the fingerprint reads them."""

_INTEGER_ARRAYS = ("faces", "kintree_table")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HandModelData:
    """One right hand in MANO's layout: template, faces, directions, skinning weights, pose space.

    Convention:
        Metres and radians in MANO's frame (fingers towards −x, palm towards −y, thumb towards
        +z). ``faces`` are counter-clockwise seen from outside. Joints: 0 wrist, 1-3 index,
        4-6 middle, 7-9 little, 10-12 ring, 13-15 thumb; ``kintree_table[0]`` holds the parents
        (the root's own entry is not used). ``hands_components`` has its rows scaled so that
        coefficients have unit variance. Shapes are those of ``SHAPES``; they are checked here
        rather than by annotations, so that a user's file gets an error that says what to do.

    Raises:
        HandModelError: When an array has another shape, holds NaN or infinity, or an index
            points outside the mesh or the skeleton.

    References:
        Romero et al., "Embodied Hands", 2017.
    """

    v_template: np.ndarray
    """Vertices of the mean shape at rest."""
    faces: np.ndarray
    """Triangles, as vertex indices."""
    J_regressor: np.ndarray
    """Joints as weighted means of the shaped, unposed vertices."""
    shapedirs: np.ndarray
    """Displacement of each vertex per unit of each shape coefficient."""
    posedirs: np.ndarray
    """Displacement per entry of (R_j − I), row by row, joints 1 to 15."""
    weights: np.ndarray
    """Linear blend skinning weights."""
    hands_components: np.ndarray
    """Rows: principal directions of the 15 axis-angle vectors, times their standard deviation."""
    hands_mean: np.ndarray
    """Mean posture, axis-angle."""
    hands_coeffs: np.ndarray
    """Coefficients of the postures that the components were computed from."""
    kintree_table: np.ndarray
    """Parents and joint numbers."""
    source: str
    """Where the model comes from: ``embedded`` or the file's path."""

    def __post_init__(self) -> None:
        """Check every array, and report all faults of one model together."""
        faults = [fault for name in SHAPES if (fault := _fault(name, getattr(self, name)))]
        if not faults:
            faults = _index_faults(self.faces, self.kintree_table)
        if faults:
            raise HandModelError(
                f"{self.source}: not a hand in MANO's layout: {'; '.join(faults)}; "
                "use the file MANO_RIGHT.pkl as it is distributed, or the embedded hand"
            )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names, shapes and values of all arrays, not over the source."""
        digest = hashlib.sha256()
        for name, shape in SHAPES.items():
            dtype = "<i8" if name in _INTEGER_ARRAYS else "<f8"
            digest.update(f"{name}{shape}".encode())
            digest.update(np.ascontiguousarray(getattr(self, name), dtype=dtype).tobytes())
        return digest.hexdigest()

    @property
    def parents(self) -> tuple[int, ...]:
        """The parent of each joint; −1 for the wrist."""
        return (-1, *(int(parent) for parent in self.kintree_table[0, 1:]))


def _fault(name: str, array: np.ndarray) -> str | None:
    expected = SHAPES[name]
    if array.shape != expected:
        return f"{name} must have shape {expected}, got {array.shape}"
    kind, kinds = ("integer", "iu") if name in _INTEGER_ARRAYS else ("float", "f")
    if array.dtype.kind not in kinds:
        return f"{name} must be an {kind} array, got {array.dtype}"
    if not np.isfinite(array).all():
        return f"{name} must be finite, {np.count_nonzero(~np.isfinite(array))} entries are not"
    return None


def _index_faults(faces: np.ndarray, kintree_table: np.ndarray) -> list[str]:
    faults = []
    if faces.min() < 0 or faces.max() >= 778:
        faults.append(f"faces must name vertices 0 to 777, got {faces.min()} to {faces.max()}")
    if any(not 0 <= int(parent) < joint for joint, parent in enumerate(kintree_table[0]) if joint):
        faults.append("kintree_table[0] must name each joint's parent before the joint itself")
    return faults


assert tuple(field.name for field in fields(HandModelData))[:-1] == tuple(SHAPES)
