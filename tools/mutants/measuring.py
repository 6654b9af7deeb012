"""How many mutants of a module its tests notice, kept from run to run."""

import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tools.mutant_areas import AREAS
from tools.mutants.changes import Mutant, mutants_of
from tools.mutants.tree import CollectedTests, TreeCopy


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
        self._known[mutant, tests] = killed
        if killed:
            self._killed.add(mutant)
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
    possible = mutants_of((root / module).read_bytes())
    chosen = random.Random(f"{seed} {module}").sample(possible, min(sample, len(possible)))
    digest_of_tests = _digest(root, tests)
    names = {each: sha256(module.encode() + b"\0" + each.source).hexdigest() for each in chosen}
    survivors = []
    unknown = [each for each in chosen if outcomes.is_killed(names[each], digest_of_tests) is None]
    if unknown:
        with _judge(root, module, tests) as judge:
            for mutant in unknown:
                killed = not judge.passes(mutant.source)
                outcomes.note(names[mutant], digest_of_tests, killed=killed)
    for mutant in sorted(chosen, key=lambda mutant: mutant.line):
        if not outcomes.is_killed(names[mutant], digest_of_tests):
            survivors.append(mutant)
    return Measured(module=module, possible=len(possible), tried=len(chosen), survivors=survivors)


class _Judge:
    """Tells whether a module's tests pass with other sources in its place."""

    def __init__(self, tree: TreeCopy, module: str, tests: Sequence[str]) -> None:
        """Check that the tests pass as the module is, and fail where they must."""
        self._tree, self._module, self._tests = tree, module, tests
        source = (tree.folder / module).read_bytes()
        started = time.monotonic()
        if not tree.passes(tests, module, source):
            raise RuntimeError(
                f"{' '.join(tests)} must pass before {module} is changed, and do not"
            )
        tree.keep_compiled()
        self._limit_s = 30 + 3 * (time.monotonic() - started)
        if tree.passes(tests, module, b"raise ImportError\n"):
            raise RuntimeError(f"{' '.join(tests)} must import {module}, and pass without it")
        self.collected = CollectedTests(tree, tests)
        self._are_quick = self.collected.passes(module, None, self._limit_s) is True

    def passes(self, source: bytes) -> bool:
        """Tell whether the tests pass.

        What fails in the imported module fails. What passes there is tried in one that is imported
        anew: the change may act at import.
        """
        if self._are_quick:
            quick = self.collected.passes(self._module, source, self._limit_s)
            if quick is False:
                return False
        return self._tree.passes(self._tests, self._module, source, self._limit_s)


@contextmanager
def _judge(root: Path, module: str, tests: Sequence[str]) -> Iterator[_Judge]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        judge = _Judge(TreeCopy(root, Path(folder)), module, tests)
        try:
            yield judge
        finally:
            judge.collected.close()


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
