"""Load a hand model: the embedded one, or a user's own MANO_RIGHT.pkl."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2hand.errors import HandModelError
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.model_data import SHAPES, HandModelData
from s2hand.hand.pickles import InertObject, load_restricted, numbers_of

ENVIRONMENT_VARIABLE = "S2HAND_MANO"
"""Names the hand model's file where no path is given."""

EMBEDDED = "embedded"
"""Names the embedded hand, whatever the environment says."""

_FLOAT_KEYS = (
    "v_template", "J_regressor", "shapedirs", "posedirs", "weights", "hands_components",
    "hands_mean", "hands_coeffs",
)  # fmt: skip
_KEYS = (*_FLOAT_KEYS, "f", "kintree_table")


def load_hand_model(path: str | Path | None = None) -> HandModelData:
    """Load a right hand.

    Args:
        path: A file in the layout of MANO_RIGHT.pkl, or ``embedded``. None or an empty string
            means the file that the environment variable ``S2HAND_MANO`` names, or else the
            embedded hand.

    Raises:
        HandModelError: If the file is missing, truncated, asks for anything but plain data, lacks
            a key, holds an array of another shape, or is a left hand.
    """
    chosen = str(path or "") or os.environ.get(ENVIRONMENT_VARIABLE) or EMBEDDED
    if chosen == EMBEDDED:
        return embedded_hand()
    content = load_restricted(chosen, what="hand model", error=HandModelError)
    if not isinstance(content, dict):
        raise HandModelError(
            f"{chosen}: a hand model must be a dictionary, got {type(content).__name__}; "
            "use MANO_RIGHT.pkl as it is distributed"
        )
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise HandModelError(
            f"{chosen}: the keys {', '.join(missing)} are missing, found "
            f"{', '.join(sorted(map(str, content))) or 'none'}; "
            "use MANO_RIGHT.pkl as it is distributed"
        )
    arrays = {key: _dense(content[key], f"{chosen}: {key}") for key in _KEYS}
    faults = [fault for key in _KEYS if (fault := _fault(key, arrays[key]))]
    if faults:
        raise HandModelError(
            f"{chosen}: {'; '.join(faults)}; use MANO_RIGHT.pkl as it is distributed"
        )
    kintree_table = arrays["kintree_table"].astype(np.int64)
    kintree_table[0, 0] = 0  # unused; official files have -1 as uint32, the embedded hand has 0
    if not arrays["J_regressor"].any(axis=1).all():
        raise HandModelError(
            f"{chosen}: J_regressor must give every joint some vertices, got a row of zeros; "
            "use MANO_RIGHT.pkl as it is distributed"
        )
    data = HandModelData(
        **{key: arrays[key].astype(np.float64) for key in _FLOAT_KEYS},
        faces=arrays["f"].astype(np.int64),
        kintree_table=kintree_table,
        source=chosen,
    )
    _refuse_left_hand(data)
    return data


def _fault(key: str, array: NDArray[Any]) -> str | None:
    expected = SHAPES["faces" if key == "f" else key]
    if array.shape != expected:
        return f"{key} must have shape {expected}, got {array.shape}"
    kind, kinds = ("numbers", "iuf") if key in _FLOAT_KEYS else ("integers", "iu")
    if array.dtype.kind not in kinds:
        return f"{key} must hold {kind}, got the type {array.dtype}"
    return None


def _dense(value: object, where: str) -> NDArray[Any]:
    """Return the array that a pickled value stands for."""
    try:
        if isinstance(value, np.ndarray):
            return np.asarray(value)
        if isinstance(value, InertObject) and value.pickled_name.startswith("scipy."):
            return _dense_regressor(value)
        if isinstance(value, InertObject):
            return _dense_chumpy(vars(value), where)
    except (KeyError, IndexError, TypeError, ValueError) as reason:
        raise HandModelError(
            f"{where} cannot be turned into an array ({type(reason).__name__}: {reason}); "
            "the file is damaged: download it again"
        ) from reason
    raise HandModelError(f"{where} must be an array, got {type(value).__name__}")


def _dense_chumpy(state: dict[str, Any], where: str) -> NDArray[Any]:
    """Evaluate the two chumpy expressions that the official file holds.

    ``Ch`` wraps an array ``x``; ``Select`` picks the flat indices ``idxs`` of ``a`` and shapes
    them as ``preferred_shape``.
    """
    if "idxs" in state:
        whole = _dense(state["a"], where)
        return whole.ravel()[numbers_of(state["idxs"])].reshape(state["preferred_shape"])
    return _dense(state["x"], where)


def _dense_regressor(matrix: InertObject) -> NDArray[Any]:
    """Write out a SciPy matrix, the joint regressor, from its arrays, by NumPy's checked indexing.

    COO has the row and the column of every value. CSC has its rows, column by column, and where
    each column begins; CSR the same with rows and columns exchanged.
    """
    state = vars(matrix)
    shape = tuple(state["_shape"] if "_shape" in state else state["shape"])
    dense = np.zeros(SHAPES["J_regressor"])
    if shape != dense.shape:
        raise ValueError(f"shape must be {dense.shape}, got {shape}")
    layout = matrix.pickled_name.rpartition(".")[2][:3]
    if layout == "coo":
        places = state["coords"] if "coords" in state else (state["row"], state["col"])
    else:
        inner, lengths = numbers_of(state["indices"]), np.diff(numbers_of(state["indptr"]))
        is_usual = (lengths >= 0) & (lengths <= inner.size)
        if not is_usual.all() or lengths.sum() != inner.size:
            raise ValueError(f"indptr does not divide {inner.size} indices")
        outer = np.repeat(np.arange(lengths.size), lengths)
        places = (inner, outer) if layout == "csc" else (outer, inner)
    rows, columns = map(numbers_of, places)
    if min(rows.min(initial=0), columns.min(initial=0)) < 0:
        raise IndexError("an index is negative")
    np.add.at(dense, (rows, columns), numbers_of(state["data"]))
    return dense


def _refuse_left_hand(data: HandModelData) -> None:
    """Tell MANO_LEFT.pkl, whose fingers point to +x, from the right hand with the same shapes."""
    joints = data.J_regressor @ data.v_template
    if joints[4, 0] > joints[0, 0]:
        raise HandModelError(
            f"{data.source}: the fingers must point to -x, as in MANO_RIGHT.pkl, but the middle "
            f"finger's joint lies at x = {joints[4, 0]:.3f} m and the wrist at {joints[0, 0]:.3f} "
            "m; this is a left hand: give the path of MANO_RIGHT.pkl"
        )
