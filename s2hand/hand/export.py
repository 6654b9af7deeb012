"""Write a hand model as the official MANO_RIGHT.pkl is laid out, for other projects' layers."""

import pickle
import pickletools
from pathlib import Path

import numpy as np
from scipy.sparse import csc_matrix

from s2hand.errors import HandModelError
from s2hand.files import whole_file
from s2hand.hand.model_data import HandModelData

_OLD_NAMES = {
    "numpy._core.multiarray": "numpy.core.multiarray",
    "scipy.sparse._csc": "scipy.sparse.csc",
}
"""Modules as they were called when the official file was written; old and new libraries know
these names, old ones know no others."""

_ROOT_PARENT = 2**32 - 1
"""-1 in uint32: the wrist's parent in the official file."""


def export_hand_model(data: HandModelData, path: str | Path) -> None:
    """Write a hand model as a pickle in MANO's own layout.

    Protocol 2, readable by Python 2 and 3 and by any NumPy: ``J_regressor`` is a SciPy CSC matrix,
    everything else plain arrays, indices are uint32. The file appears under its name only when it
    is complete; an existing one is replaced.

    Args:
        data: The hand model.
        path: File to write; smplx wants "RIGHT" in its name.

    Raises:
        HandModelError: If the file cannot be written.
    """
    path = Path(path)
    content = _with_old_names(pickle.dumps(official_layout(data), protocol=2))
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as reason:
        raise HandModelError(
            f"{path}: the hand model cannot be written ({reason.strerror or reason}); "
            "choose a folder that exists, is writable and has 10 MB free"
        ) from reason


def official_layout(data: HandModelData) -> dict[str, object]:
    """Return the content of MANO_RIGHT.pkl: its keys, types and shapes."""
    kintree_table = np.stack((np.array(data.parents), np.arange(16)))
    kintree_table[0, 0] = _ROOT_PARENT
    floats = {
        name: np.ascontiguousarray(getattr(data, name), dtype=np.float64)
        for name in ("hands_components", "hands_coeffs", "hands_mean", "weights", "posedirs",
                     "v_template", "shapedirs")
    }  # fmt: skip
    return {
        **floats,
        "f": data.faces.astype(np.uint32),
        "kintree_table": kintree_table.astype(np.uint32),
        "J": np.asarray(data.J_regressor @ data.v_template, dtype=np.float64),
        "J_regressor": csc_matrix(data.J_regressor.astype(np.float64)),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def _with_old_names(pickled: bytes) -> bytes:
    """Rename modules in a pickle, touching nothing but its references to classes."""
    pieces, copied = [], 0
    for opcode, argument, position in pickletools.genops(pickled):
        if opcode.name != "GLOBAL" or not isinstance(argument, str) or position is None:
            continue
        module, name = argument.split(" ")
        if module in _OLD_NAMES:
            pieces += [pickled[copied:position], f"c{_OLD_NAMES[module]}\n{name}\n".encode()]
            copied = position + len(f"c{module}\n{name}\n")
    return b"".join((*pieces, pickled[copied:]))
