"""Laying a change into a module that is imported already: code of its functions is swapped."""

import gc
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType


def swap(path: Path, source: bytes) -> bool:
    """Give the functions of an imported module the code that they have in another source.

    Returns:
        False, with nothing changed, where the change is not (only) within functions, or where
        nothing lives that has it: then the module has to be imported anew.
    """
    changed = _changed_functions(path, source)
    if not changed:
        return False
    living = [
        (each, changed[each.__code__]) for each in _functions(path) if each.__code__ in changed
    ]
    if any(old.__code__.co_freevars != new.co_freevars for old, new in living):
        return False
    for function, code in living:
        function.__code__ = code
    return bool(living)


def _changed_functions(path: Path, source: bytes) -> dict[CodeType, CodeType]:
    """Map code of functions to that in another source; none if more than functions differ."""
    modules = [each for each in sys.modules.values() if getattr(each, "__file__", "") == str(path)]
    if not modules:
        return {}
    # The loader's own way: checks of shapes are put in when a module is compiled.
    compiled = modules[0].__spec__.loader.source_to_code
    changed: dict[CodeType, CodeType] = {}
    pairs = [(compiled(path.read_bytes(), str(path)), compiled(source, str(path)))]
    while pairs:
        old, new = pairs.pop()
        inner = list(zip_longest(_within(old), _within(new)))
        if any(None in pair or pair[0].co_name != pair[1].co_name for pair in inner):
            return {}
        if _is_function(old):
            if old != new:
                changed[old] = new
        elif _own(old) != _own(new):
            return {}
        pairs += inner
    return changed


def _functions(path: Path) -> Iterator[FunctionType]:
    # By type alone: isinstance() asks objects for their class, and some answer with a warning.
    functions = (each for each in gc.get_objects() if type(each) is FunctionType)
    return (each for each in functions if each.__code__.co_filename == str(path))


def _within(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & _NEWLOCALS)  # code of a module or of a class body lacks it


_NEWLOCALS = 0x2


def _own(code: CodeType) -> tuple[object, ...]:
    """Return what a module's or a class's own statements are made of."""
    constants = [None if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return code.co_code, code.co_names, constants
