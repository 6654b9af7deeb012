"""Read pickles of plain data without executing anything that they contain.

A pickle is a program. This reader knows only the few constructors that NumPy arrays need; SciPy
and chumpy objects become inert records of their attributes; any other name is refused.
"""

import pickle
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct, scalar

from s2hand.errors import DataError, S2HandError


class InertObject:
    """What a SciPy or chumpy object is read as: its class's name and its attributes, no behaviour.

    Constructor arguments are dropped; the state becomes attributes.
    """

    pickled_name = ""
    """``module.class`` as the file has it."""

    def __new__(cls, *_: object) -> "InertObject":
        """Ignore the arguments."""
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        """Ignore the arguments."""

    def __setstate__(self, state: object) -> None:
        """Keep the attributes, whatever the original class would have done with them."""
        if isinstance(state, dict):
            self.__dict__.update(state)


def load_restricted(
    source: str | Path | BufferedIOBase, *, what: str, error: type[S2HandError] = DataError
) -> Any:
    """Read a pickle that holds nothing but plain data.

    Python 2's pickles are read with latin1, as NumPy asks. Objects of SciPy's CSC matrices and of
    chumpy come back as :class:`InertObject`.

    Args:
        source: Path or open binary file.
        what: What the file should be ("hand model", "HO-3D meta file"), for the error's text.
        error: Class of the error to raise.

    Raises:
        DataError: (or ``error``) If the file is missing, truncated or no pickle, or if it names
            a class or function that is not plain data; the text names it.
    """
    if not isinstance(source, str | Path):
        return _load(source, str(getattr(source, "name", "stream")), what, error)
    try:
        with Path(source).open("rb") as file:
            return _load(file, str(source), what, error)
    except OSError as reason:
        raise error(
            f"{source}: the {what} cannot be read ({reason.strerror or reason}); check the path"
        ) from reason


def _load(file: BufferedIOBase, name: str, what: str, error: type[S2HandError]) -> Any:
    try:
        return _RestrictedUnpickler(file, encoding="latin1").load()
    except _RefusedNameError as refused:
        raise error(
            f"{name}: the {what} refers to {refused}, which is not plain data; a pickle can "
            "execute code while it is read, so this file is refused: use the file as its authors "
            "publish it"
        ) from None
    except (pickle.UnpicklingError, EOFError, MemoryError, LookupError, ValueError, TypeError,
            AttributeError, OverflowError) as reason:  # fmt: skip
        raise error(
            f"{name}: the {what} must be a complete pickle, but reading it failed "
            f"({type(reason).__name__}: {reason}); the file is truncated or of another kind: "
            "download it again"
        ) from reason


class _RefusedNameError(Exception):
    """A pickle asked for a class or function that is not plain data."""


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, by which Python 3 writes bytes in protocol 2."""
    if encoding != "latin1":
        raise _RefusedNameError(f"the codec {encoding!r}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    """Stand in for ``bytes``, by which Python 3 writes empty bytes in protocol 2."""
    return b""


def _reconstruct_inert(kind: object, _base: object, _state: object) -> object:
    """Stand in for ``copy_reg._reconstructor``, by which protocols 0 and 1 make objects."""
    if not (isinstance(kind, type) and issubclass(kind, InertObject)):
        raise _RefusedNameError(f"the reconstruction of {kind!r}")
    return kind()


_PLAIN: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{
        (f"numpy.{core}.multiarray", function.__name__): function
        for core in ("core", "_core")
        for function in (_reconstruct, scalar)
    },
    ("_codecs", "encode"): _latin1_bytes,
    **{(module, "_reconstructor"): _reconstruct_inert for module in ("copy_reg", "copyreg")},
    **{(module, "bytes"): _empty_bytes for module in ("__builtin__", "builtins")},
    **{(module, "object"): object for module in ("__builtin__", "builtins")},
}
"""Every constructor that a pickle may name, beside the inert ones."""

_CSC_MODULES = ("scipy.sparse.csc", "scipy.sparse._csc")


class _RestrictedUnpickler(pickle.Unpickler):
    """An unpickler whose world holds plain data only."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Look a global name up in the list; nothing is ever imported."""
        plain = _PLAIN.get((module, name))
        if plain is not None:
            return plain
        is_chumpy = module == "chumpy" or module.startswith("chumpy.")
        if is_chumpy or (module in _CSC_MODULES and name in {"csc_matrix", "csc_array"}):
            return type(name, (InertObject,), {"pickled_name": f"{module}.{name}"})
        raise _RefusedNameError(f"'{module}.{name}'")
