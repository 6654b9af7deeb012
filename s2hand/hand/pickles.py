"""Read pickles of plain data without executing anything that they contain.

A pickle is a program. This reader knows only the few constructors that NumPy arrays need, each in
a version of its own: NumPy's would believe a file that calls numbers pointers. SciPy and chumpy
objects become inert records of their attributes; any other name is refused. Nor is memory taken
by a number that stands in a file: what is read has about the size of the file.
"""

import math
import pickle
import pickletools
import re
import sys
from collections.abc import Callable
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np

from s2hand.errors import DataError, S2HandError
from s2hand.files import HEAD_BYTES, kind_of_content, what_lies_at


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

    All protocols are read, Python 2's with latin1, as NumPy asks. Matrices of NumPy come back as
    arrays, SciPy's sparse matrices (CSC, CSR, COO) and chumpy's objects as :class:`InertObject`.

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
    path = Path(source)
    try:
        with path.open("rb") as file:
            return _load(file, str(source), what, error)
    except OSError as reason:
        raise error(
            f"{source}: the {what} cannot be read ({reason.strerror or reason}), there is "
            f"{what_lies_at(path)}; check the path"
        ) from reason


def numbers_of(value: object) -> np.ndarray:
    """Return real numbers that a pickle holds: an array as it is, a list or tuple of them as one.

    Of lists in lists there is no end: a few bytes can name one a million times.

    Raises:
        TypeError: If it is anything else.
    """
    array = np.asarray(value) if _is_flat(value) else np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"expected real numbers, got a value of type {type(value).__name__}")
    return array


def _is_flat(value: object) -> bool:
    real = int | float | np.integer | np.floating
    if isinstance(value, list | tuple):
        return all(isinstance(each, real) for each in value)
    return isinstance(value, np.ndarray | real)


def _load(file: BufferedIOBase, name: str, what: str, error: type[S2HandError]) -> Any:
    content = file.read()
    try:
        _require_modest_numbers(content)
        return _RestrictedUnpickler(BytesIO(content), encoding="latin1").load()
    except _RefusedNameError as refused:
        raise error(
            f"{name}: the {what} refers to {refused}, which is not plain data; a pickle can "
            "execute code while it is read, so this file is refused: use the file as its authors "
            "publish it"
        ) from None
    except (pickle.UnpicklingError, EOFError, MemoryError, LookupError, ValueError, TypeError,
            AttributeError, OverflowError) as reason:  # fmt: skip
        found = kind_of_content(content[:HEAD_BYTES])
        raise error(
            f"{name}: the {what} must be a complete pickle, but reading it failed "
            f"({type(reason).__name__}: {reason}); there is {found}: give the path of the right "
            "file, or download it again"
        ) from reason


def _require_modest_numbers(content: bytes) -> None:
    """Refuse to number what was read higher than a file of this length can hold entries.

    The unpickler makes its table of them as long as the number says, up to tens of gigabytes.
    """
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in _NUMBERING and (argument or 0) > len(content):
            raise ValueError(f"entry number {argument} in {len(content)} bytes")


_NUMBERING = {"PUT", "BINPUT", "LONG_BINPUT"}
"""Opcodes that give what was read a number of their own."""


class _RefusedNameError(Exception):
    """A pickle asked for a class or function that is not plain data."""


class _StandIn:
    """A function that a pickle may call, and not change: functions let anyone set their defaults.

    Only the unpickler sees it, under the name of what it stands in for.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise ValueError("a function has no state")


@_StandIn
def _latin1_bytes(text: str, encoding: object) -> bytes:
    """Stand in for ``_codecs.encode``, by which Python 3 writes bytes in protocol 2."""
    if encoding != "latin1":
        raise _RefusedNameError(f"the codec {_named(encoding)}")
    return text.encode("latin1")


@_StandIn
def _empty_bytes() -> bytes:
    """Stand in for ``bytes``, by which Python 3 writes empty bytes in protocol 2."""
    return b""


@_StandIn
def _reconstruct_inert(kind: object, _base: object, _state: object) -> object:
    """Stand in for ``copy_reg._reconstructor``, by which protocols 0 and 1 make objects."""
    if not (isinstance(kind, type) and issubclass(kind, InertObject)):
        raise _RefusedNameError(f"the reconstruction of {_named(kind)}")
    return kind()


class _Type:
    """Stands in for ``numpy.dtype``: of its state, which may say anything, the byte order counts.

    Plain are numbers, truth values, texts and bytes, and references to other objects.
    """

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[biufcSUO]\d+", code):
            raise _RefusedNameError(f"the array type {code!r}")
        self.dtype = np.dtype(object if code.startswith("O") else code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, byte_order, base, fields, *_ = state
        if base is not None or fields is not None:
            raise _RefusedNameError("an array type of several parts")
        self.dtype = self.dtype.newbyteorder(byte_order)


_ARRAY = "an array"
"""Stands in for NumPy's classes of arrays, which nobody but ``_reconstruct`` may call."""


class _Array(np.ndarray):
    """What ``_reconstruct`` makes: an array whose state is checked before NumPy believes it."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *_, shape, kind, is_fortran, data = state
        dtype = _dtype_of(kind)
        if dtype.hasobject and len(data) != math.prod(shape):
            raise ValueError(f"an array of shape {shape} has {len(data)} entries")
        super().__setstate__((1, shape, dtype, is_fortran, data))
        _require_characters(self)


@_StandIn
def _reconstruct(kind: object, _shape: object, _code: object) -> _Array:
    """Stand in for NumPy's function of this name: an empty array, whose state comes later."""
    if kind != _ARRAY:
        raise _RefusedNameError(f"the reconstruction of {_named(kind)}")
    return _Array(0)


@_StandIn
def _from_buffer(
    data: bytes | bytearray,
    kind: object,
    shape: tuple[int, ...],
    order: Literal["C", "F", "K"],
    axes: tuple[int, ...] | None = None,
) -> np.ndarray:
    """Stand in for ``_frombuffer``, by which protocol 5 writes arrays.

    Arrays that are contiguous in neither order come in that of memory, with ``axes``.
    """
    values = np.frombuffer(data, _dtype_of(kind))
    _require_characters(values)
    if axes is not None:
        return values.reshape(shape).transpose(axes).copy()
    return values.reshape(shape, order="F" if order == "F" else "C").copy()


@_StandIn
def _scalar(kind: object, data: str | bytes) -> object:
    """Stand in for NumPy's function of this name."""
    content = data.encode("latin1") if isinstance(data, str) else data  # Python 2's bytes
    values = np.frombuffer(content, _dtype_of(kind), count=1)
    _require_characters(values)
    return values[0]


def _require_characters(array: np.ndarray) -> None:
    """Refuse texts with numbers that are no characters: reading such a text is no usual error."""
    if array.dtype.kind != "U":
        return
    number = np.dtype(np.uint32).newbyteorder(array.dtype.byteorder)
    if np.frombuffer(array.tobytes(), number).max(initial=0) > sys.maxunicode:
        raise ValueError("a text holds what is no character")


def _dtype_of(kind: object) -> np.dtype[Any]:
    if not isinstance(kind, _Type):
        raise TypeError(f"the type of an array must be a NumPy type, got {_named(kind)}")
    return kind.dtype


def _named(found: object) -> str:
    """Name what was found, mostly by its type: written out it may be far longer than the file."""
    is_short = isinstance(found, str | type)
    return f"{found!r:.80}" if is_short else f"a value of type {type(found).__name__}"


_PLAIN: dict[tuple[str, str], object] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _ARRAY,
    **{
        (module, "matrix"): _ARRAY
        for module in ("numpy", "numpy.matrixlib.defmatrix", "numpy.core.defmatrix")
    },
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _latin1_bytes,
    **{(module, "_reconstructor"): _reconstruct_inert for module in ("copy_reg", "copyreg")},
    **{(module, "bytes"): _empty_bytes for module in ("__builtin__", "builtins")},
    **{(module, "object"): object for module in ("__builtin__", "builtins")},
}
"""Everything that a pickle may name, beside the inert classes."""

_SPARSE_CLASSES = {
    f"{layout}_{kind}" for layout in ("csc", "csr", "coo") for kind in ("matrix", "array")
}


class _RestrictedUnpickler(pickle.Unpickler):
    """An unpickler whose world holds plain data only."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Look a global name up in the list; nothing is ever imported."""
        plain = _PLAIN.get((module, name))
        if plain is not None:
            return plain
        is_chumpy = module == "chumpy" or module.startswith("chumpy.")
        if is_chumpy or (module.startswith("scipy.sparse") and name in _SPARSE_CLASSES):
            return type(name, (InertObject,), {"pickled_name": f"{module}.{name}"})
        raise _RefusedNameError(f"'{module}.{name}'")
