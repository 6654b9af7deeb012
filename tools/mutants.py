"""Changes the core one place at a time and counts how many changes its tests notice.

``python -m tools.mutants`` measures every module of ``AREAS``, or those that are named, each with
the tests of its area, in a copy of the tree and at low priority. What was measured is kept in
``.mutants/results.jsonl``: started again, it goes on where it stopped. A mutant that was killed
stays so while its module is the same; one that survived is tried again when the tests have changed.
"""

import argparse
import ast
import contextlib
import importlib
import json
import math
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from tools.mutant_areas import AREAS

ROOT = Path(__file__).resolve().parents[1]

_OPPOSITES: Mapping[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div,
    ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A module with one change."""

    line: int
    change: str
    """The code before → after."""
    source: bytes


def mutants_of(source: bytes) -> list[Mutant]:
    """Return every mutant of a module, in the order of the places.

    Annotations, also those that have a name, docstrings, f-strings and what is raised stay as they
    are: they tell, and do not act.
    """
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found: dict[bytes, Mutant] = {}
    for node, replacement in _changes(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        new = ast.unparse(replacement)
        text = new if isinstance(replacement, ast.stmt | ast.keyword) else f"({new})"
        mutated = source[:start] + text.encode() + source[end:]
        if mutated not in found and _compiles(mutated):
            change = _described(ast.unparse(node), new)
            found[mutated] = Mutant(line=node.lineno, change=change, source=mutated)
    return list(found.values())


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield pairs of a node and what can stand in its place."""
    match node:
        case ast.JoinedStr() | ast.Raise() | ast.Import() | ast.ImportFrom():
            return
        case ast.Expr(value=ast.Constant()):  # a docstring
            return
        case ast.Subscript(value=ast.Name(id=name)) if name[0].isupper() and not name.isupper():
            return  # a type: an annotation that has a name
        case ast.If(test=test):
            yield from ((test, ast.Constant(value=holds)) for holds in (True, False))
        case ast.comprehension(ifs=tests):
            yield from ((test, ast.Constant(value=True)) for test in tests)
    yield from ((node, other) for other in _replacements(node))
    for name, value in ast.iter_fields(node):
        if name not in {"annotation", "returns", "decorator_list"}:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _changes(child)


def _replacements(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0912 (one case a kind)
    match node:
        case ast.Expr() | ast.AugAssign():
            yield ast.Pass()
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(0.97 * value if value else 1.0)
        case ast.Constant(value=str(value)):
            yield ast.Constant(f"{value}_")
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(op=op) if type(op) in _OPPOSITES:
            yield _with(node, op=_OPPOSITES[type(op)]())
        case ast.BoolOp(op=op, values=values):
            yield _with(node, op=_OPPOSITES[type(op)]())
            for rest in _without_one(values):
                yield rest[0] if len(rest) == 1 else _with(node, values=rest)
        case ast.Compare(ops=[op]):
            yield _with(node, ops=[_OPPOSITES[type(op)]()])
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.Subscript(slice=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1))):
            yield _with(node, slice=ast.Constant(0))
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            if not isinstance(getattr(node, "ctx", None), ast.Store):
                yield from (_with(node, elts=rest) for rest in _without_one(items))
        case ast.Dict(keys=keys, values=values):
            for rest in _without_one(list(zip(keys, values, strict=True))):
                yield _with(node, keys=[key for key, _ in rest], values=[each for _, each in rest])
        case ast.Call(func=ast.Attribute(value=of), args=[], keywords=[]):
            yield of
        case ast.Call(keywords=keywords):
            yield from (_with(node, keywords=rest) for rest in _without_one(keywords))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _without_one(items: Sequence) -> Iterator[list]:
    return ([*items[:place], *items[place + 1 :]] for place in range(len(items)))


def _compiles(source: bytes) -> bool:
    try:
        compile(source, "<mutant>", "exec")
    except SyntaxError:
        return False
    return True


def _described(before: str, after: str) -> str:
    """Show what differs of two pieces of code, and a little around."""
    pairs = enumerate(zip(before, after, strict=False))
    same = next((place for place, (one, other) in pairs if one != other), 0)
    start = max(same - _WIDTH // 2, 0)
    return " → ".join(
        f"{'…' if start else ''}{code[start : start + _WIDTH]}"
        f"{'…' if len(code) > start + _WIDTH else ''}"
        for code in (" ".join(before.split()), " ".join(after.split()))
    )


_WIDTH = 60


class TreeCopy:
    """A copy of a tree, in which modules are changed and tests are run."""

    def __init__(self, root: Path, folder: Path) -> None:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
        for name in filter(None, listing.stdout.split("\0")):
            if (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)
        for place in [path for path in folder.rglob("*") if path.is_dir()]:
            # Valid in the copy, where the sources have their times: nothing is compiled again.
            for path in (root / place.relative_to(folder) / "__pycache__").glob("*.pyc"):
                (place / "__pycache__").mkdir(exist_ok=True)
                shutil.copy2(path, place / "__pycache__")
        self._folder = folder
        self._compiled = set[Path]()

    def passes(
        self, tests: Sequence[str], module: str, source: bytes, limit_s: float | None = None
    ) -> bool:
        """Tell whether tests pass with a module as given, within a time; restore the module."""
        path = self._folder / module
        original = path.read_bytes()
        path.write_bytes(source)
        try:
            return self._run(tests, limit_s) == 0
        finally:
            path.write_bytes(original)
            self._forget(path)

    def keep_compiled(self) -> None:
        """Keep what numba has compiled so far, which is the unchanged code."""
        self._compiled = set(self._folder.rglob("numba-*"))

    def _run(self, tests: Sequence[str], limit_s: float | None) -> int | None:
        """Return the exit code of pytest in a fork, which is killed when it takes too long.

        The limit is of the processor's time, so that a busy machine kills none that would pass;
        what waits, and takes none, has ten times as long.
        """
        process = multiprocessing.get_context("fork").Process(
            target=_run_pytest, args=(self._folder, tests, limit_s)
        )
        process.start()
        process.join(10 * limit_s if limit_s else None)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with all that the tests have started
        process.join()
        return process.exitcode

    def _forget(self, path: Path) -> None:
        """Remove what Python, numba and Hypothesis keep of a changed module."""
        for kept in path.parent.glob(f"__pycache__/{path.stem}.*"):
            kept.unlink()
        for folder in {*self._folder.rglob("numba-*")} - self._compiled:
            shutil.rmtree(folder)
        shutil.rmtree(self._folder / ".hypothesis", ignore_errors=True)


def _run_pytest(folder: Path, tests: Sequence[str], limit_s: float | None) -> None:
    """Run tests in this process and end it; what they print is dropped."""
    os.setsid()
    if limit_s:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit_s),) * 2)
    os.chdir(folder)
    paths = [str(folder), str(folder / "platform")]
    sys.path[:0] = paths
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    # A limit of each test's time would, on a busy machine, pass for a change that was noticed.
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--timeout=0"]
    os._exit(pytest.main([*options, *tests]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """How many mutants of a module survived."""

    module: str
    possible: int
    tried: int
    survivors: Sequence[Mutant]

    @property
    def row(self) -> str:
        """A line of the table."""
        killed = self.tried - len(self.survivors)
        share = f"{killed / self.tried:.0%}" if self.tried else "–"
        return f"| {self.module} | {self.possible} | {self.tried} | {killed} | {share} |"


class Outcomes:
    """What was measured so far, a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._known = {
            (each["mutant"], each["tests"]): each["killed"] for each in map(json.loads, lines)
        }
        self._killed = {mutant for (mutant, _), killed in self._known.items() if killed}

    def is_killed(self, mutant: str, tests: str) -> bool | None:
        """Tell what is known of a mutant: one that was killed stays so, whatever the tests."""
        return True if mutant in self._killed else self._known.get((mutant, tests))

    def note(self, mutant: str, tests: str, *, killed: bool) -> None:
        """Append an outcome."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"mutant": mutant, "tests": tests, "killed": killed}) + "\n")


def measure(
    root: Path, module: str, tests: Sequence[str], *, outcomes: Outcomes, sample: int, seed: int
) -> Measured:
    """Try a seeded sample of a module's mutants on tests.

    Raises:
        RuntimeError: if the tests fail as the tree is, or pass with a module that cannot be
            imported: they could tell nothing.
    """
    source = (root / module).read_bytes()
    possible = mutants_of(source)
    chosen = random.Random(f"{seed} {module}").sample(possible, min(sample, len(possible)))
    digest_of_tests = _digest(root, tests)
    survivors = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree, limit_s = None, 0.0
        for mutant in sorted(chosen, key=lambda mutant: mutant.line):
            name = sha256(module.encode() + b"\0" + mutant.source).hexdigest()
            killed = outcomes.is_killed(name, digest_of_tests)
            if killed is None:
                if tree is None:
                    tree = TreeCopy(root, Path(folder))
                    limit_s = _time_limit_s(tree, tests, module, source)
                killed = not tree.passes(tests, module, mutant.source, limit_s)
                outcomes.note(name, digest_of_tests, killed=killed)
            if not killed:
                survivors.append(mutant)
    return Measured(module=module, possible=len(possible), tried=len(chosen), survivors=survivors)


def _time_limit_s(tree: TreeCopy, tests: Sequence[str], module: str, source: bytes) -> float:
    """Check that the tests pass, and fail where they must; return when a mutant hangs."""
    started = time.monotonic()
    if not tree.passes(tests, module, source):
        raise RuntimeError(f"{' '.join(tests)} must pass before {module} is changed, and do not")
    tree.keep_compiled()
    limit_s = 30 + 3 * (time.monotonic() - started)
    if tree.passes(tests, module, b"raise ImportError\n"):
        raise RuntimeError(f"{' '.join(tests)} must import {module}, and pass without it")
    return limit_s


def _digest(root: Path, tests: Sequence[str]) -> str:
    paths = (path for test in tests for path in [root / test, *sorted((root / test).rglob("*.py"))])
    return sha256(b"\0".join(path.read_bytes() for path in paths if path.is_file())).hexdigest()


def modules_below(root: Path, place: str) -> list[str]:
    """Return a module, or all in a folder that are to be measured, relative to the root.

    Those are all that belong to an area and have something to change.
    """
    if place.endswith(".py"):
        return [place]
    paths = sorted((root / place).rglob("*.py"))
    names = [str(path.relative_to(root)) for path in paths if mutants_of(path.read_bytes())]
    return [name for name in names if _area_of(name)]


def tests_of(module: str) -> Sequence[str]:
    """Return the tests of the area to which a module belongs.

    Raises:
        ValueError: if it belongs to none.
    """
    area = _area_of(module)
    if area is None:
        raise ValueError(f"'{module}' must lie in one of {', '.join(AREAS)}")
    return AREAS[area]


def _area_of(module: str) -> str | None:
    """Name the first place that a module lies in."""
    places = (place for place in AREAS if module == place or module.startswith(f"{place}/"))
    return next(places, None)


_LIBRARIES = ("torch", "numba", "scipy.stats", "pandas", "pyarrow.parquet", "beartype")
"""Imported once, before forking; pytest wants to import its plugins itself."""


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table and what survived."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument(
        "places", nargs="*", default=list(AREAS), help="modules, or folders of them"
    )
    parser.add_argument("--sample", type=int, default=100, help="mutants a module, at most")
    parser.add_argument("--seed", type=int, default=0, help="chooses the sample")
    options = parser.parse_args(arguments)
    os.nice(19)
    for library in _LIBRARIES:
        importlib.import_module(library)
    outcomes = Outcomes(ROOT / ".mutants" / "results.jsonl")
    rows = ["| module | mutants | tried | killed | share |", "| --- | --: | --: | --: | --: |"]
    modules = (each for place in options.places for each in modules_below(ROOT, place))
    for module in dict.fromkeys(modules):
        measured = measure(
            ROOT, module, tests_of(module), outcomes=outcomes, sample=options.sample,
            seed=options.seed,
        )  # fmt: skip
        rows.append(measured.row)
        survived = (f"{module}:{each.line}: {each.change}\n" for each in measured.survivors)
        sys.stdout.write("".join([f"{measured.row}\n", *survived]))
        sys.stdout.flush()
    sys.stdout.write("\n".join(["", *rows, ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
