"""Files that are nearly what a reader wants, for the tests that no reader fails without a word.

Whatever lies in a file, a reader returns a result or raises an error of the project's, which names
the file: never another exception, which says nothing to who has the file. It executes nothing that
the file holds, and leaves the folder as it was.

What changes a file is a function that draws the changes, and not a strategy that draws the file:
hypothesis keeps all that is drawn, and ten thousand hand models are tens of gigabytes.
"""

import copy
import json
import pickle
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from s2hand.errors import S2HandError

_CI_EXAMPLES = 200


def fuzzed(test: Callable[..., None]) -> Callable[..., None]:
    """Give a test 200 inputs, the same each time; under ``make fuzz`` 10,000, others each time."""
    wanted = settings.default.max_examples  # type: ignore[union-attr]
    is_long = wanted > _CI_EXAMPLES
    # Of a backslash in a text of Python 2; nobody but developers is shown such warnings.
    quiet = pytest.mark.filterwarnings("ignore:invalid (octal )?escape sequence:DeprecationWarning")
    return pytest.mark.fuzz(
        settings(
            max_examples=wanted if is_long else _CI_EXAMPLES,
            derandomize=not is_long,
            deadline=None,
            # The files are made once for all inputs.
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        )(quiet(test))
    )


def read_or_refused(
    read: Callable[[], Any],
    folder: Path,
    *,
    errors: type[Exception] | tuple[type[Exception], ...] = S2HandError,
    named: str = "",
    may_change: Collection[str] = (),
) -> Any:
    """Read, and check what is promised of every reader; None where the file was refused.

    Args:
        read: Reads something in the folder.
        folder: Where it lies; its files must stay as they are.
        errors: How the reader refuses.
        named: What a refusal must mention.
        may_change: Names of files that the reader may make, remove or move.
    """
    _EXECUTED.clear()
    before = _contents(folder, may_change)
    result, said = None, named
    try:
        result = read()
    except errors as error:
        said = str(error)
    assert named in said
    assert not _EXECUTED
    assert _contents(folder, may_change) == before
    return result


def _contents(folder: Path, left_out: Collection[str]) -> dict[Path, int]:
    return {
        path: path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.name not in left_out
    }


_EXECUTED: list[str] = []


def _execute() -> None:
    _EXECUTED.append("code of a file")


class Executable:
    """Pickled, a call of a function of this module."""

    def __reduce__(self) -> tuple:
        return _execute, ()


SCALARS = st.one_of(
    st.none(), st.booleans(), st.sampled_from([0, -1, 2**31, 2**64, 10**400]), st.text(max_size=3),
    st.floats(width=32), st.sampled_from([[], {}, [[]], "nan"]),
)  # fmt: skip
"""Values that JSON and TOML can hold, and that nobody expects."""


@st.composite
def _arrays(draw: st.DrawFn) -> np.ndarray:
    kind = draw(st.sampled_from(["f8", "f4", "i8", "u1", "?", "c16", "U3", "M8[s]", "O"]))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    return np.zeros(shape, kind)


OBJECTS = SCALARS | _arrays() | st.builds(Executable) | st.sampled_from([b"", (), {1}, 1j, len])
"""Values that a pickle can hold, and that nobody expects."""


def changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Change a few places of a file, or cut it, or make up another one."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=64))
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(changed)))
        changed[start : start + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    if draw(st.integers(0, 3)) == 0:
        del changed[draw(st.integers(0, len(changed))) :]
    return bytes(changed)


def changed_tree(draw: st.DrawFn, tree: Any, values: st.SearchStrategy) -> Any:
    """Change one or two places of nested dictionaries and lists."""
    for _ in range(draw(st.integers(1, 2))):
        tree = _changed(draw, copy.copy(tree), values)
    return tree


def _changed(draw: st.DrawFn, node: Any, values: st.SearchStrategy) -> Any:
    keys = list(node) if isinstance(node, dict) else range(len(node) if _is_list(node) else 0)
    action = draw(st.sampled_from(["inside", "inside", "inside", "value", "without", "more"]))
    if not keys or action == "value":
        return draw(values)
    key = draw(st.sampled_from(keys))
    if action == "without":
        del node[key]
    elif action == "more" and _is_list(node):
        node.append(node[key])
    elif action == "more":
        node[draw(st.text(max_size=3))] = draw(values)
    else:
        node[key] = _changed(draw, copy.copy(node[key]), values)
    return node


def _is_list(node: Any) -> bool:
    return isinstance(node, list)


def changed_json(draw: st.DrawFn, content: bytes) -> bytes:
    """Change a JSON file by its bytes or by its values."""
    if draw(st.booleans()):
        return changed_bytes(draw, content)
    return json.dumps(changed_tree(draw, json.loads(content), SCALARS)).encode()


def changed_pickle(draw: st.DrawFn, content: Any) -> bytes:
    """Change a pickle by its bytes or by its values, in any protocol."""
    protocol = draw(st.integers(0, pickle.HIGHEST_PROTOCOL))
    if draw(st.booleans()):
        return pickle.dumps(changed_tree(draw, content, OBJECTS), protocol)
    return changed_bytes(draw, pickle.dumps(content, protocol))
