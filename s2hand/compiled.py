"""Functions compiled by numba, kept on disk under a name that changes with what any of them does.

numba itself looks for changes in the file of the function that is called, and would run the old
code of functions that it calls in other files.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba

from s2hand.source import module_digests, sha256_of

COMPILED_MODULES = (
    *("s2hand.rendering.cpu", "s2hand.rendering.outlines", "s2hand.rendering.rasterise"),
    *("s2hand.synthetic.files", "s2hand.synthetic.noise", "s2hand.synthetic.sensor"),
    *("s2hand.synthetic.shading", "s2hand.synthetic.visibility"),
    *("s2hand.rendering.topology", "s2hand.synthetic.micro_texture"),
    "s2hand.synthetic.interpenetration",
)
"""Modules with compiled functions, or with constants that such functions hold."""


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function when it is first called, or find it on disk.

    Where no folder can be written, it is compiled in each process anew.

    Args:
        options: those of ``numba.njit``, except ``cache``.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        folder = cache_folder()
        if folder is None:
            return numba.njit(**options)(function)
        # numba asks for the folder here, once, and in no other way for one that is ours alone.
        users_own, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
        try:
            return numba.njit(cache=True, **options)(function)
        finally:
            numba.config.CACHE_DIR = users_own

    return decorate


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """Return where compiled functions of this source are kept, None where nothing can be.

    That is below ``NUMBA_CACHE_DIR`` where that is set, in this package's ``__pycache__``, or in
    the user's own cache.
    """
    digests = module_digests(COMPILED_MODULES)
    if digests is None:
        return None
    name = f"numba-{sha256_of(digests)[:16]}"
    return next((place / name for place in _places() if _can_write(place / name)), None)


def _places() -> Iterator[Path]:
    if numba.config.CACHE_DIR:
        yield Path(numba.config.CACHE_DIR)
    yield Path(__file__).parent / "__pycache__"
    try:
        yield Path("~/.cache/s2hand").expanduser()
    except RuntimeError:  # this user has no home
        return


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
