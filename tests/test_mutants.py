"""The mutation tester: what it changes, and that it tells what is noticed from what is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutant_areas import AREAS
from tools.mutants import measuring
from tools.mutants.__main__ import ROOT
from tools.mutants.changes import mutants_of
from tools.mutants.measuring import Outcomes

SOURCE = '''
"""A module with ≥ 1 mutant."""

import os

class Plane:
    """Docstrings, annotations and messages tell, and do not act."""
    near: "float" = 100.0

def seen(depth, near_m, faces: "-1"):
    if depth >= near_m and depth < 5:
        return faces[-1]
    raise ValueError(f"{depth} must be {near_m + 1}")
'''

CHANGES = [
    (8, "100.0 → 97.0"),
    (11, "depth >= near_m and depth < 5 → True"),
    (11, "depth >= near_m and depth < 5 → False"),
    (11, "depth >= near_m and depth < 5 → depth >= near_m or depth < 5"),
    (11, "depth >= near_m and depth < 5 → depth < 5"),
    (11, "depth >= near_m and depth < 5 → depth >= near_m"),
    (11, "depth >= near_m → depth > near_m"),
    (11, "depth < 5 → depth <= 5"),
    (11, "5 → 6"),
    (12, "faces[-1] → faces[0]"),
    (12, "-1 → 1"),
    (12, "1 → 2"),
]


def test_what_acts_is_changed_one_place_at_a_time() -> None:
    found = mutants_of(SOURCE.encode())
    assert [(mutant.line, mutant.change) for mutant in found] == CHANGES
    lines = SOURCE.encode().splitlines()
    for mutant in found:
        changed = [a != b for a, b in zip(lines, mutant.source.splitlines(), strict=True)]
        assert [place + 1 for place, differs in enumerate(changed) if differs] == [mutant.line]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("x = {'a': 1, **rest}", ["{'a': 1, **rest} → {**rest}", "{'a': 1, **rest} → {'a': 1}",
                                  "'a' → 'a_'", "1 → 2"]),
        ("x = [a, b]", ["[a, b] → [b]", "[a, b] → [a]"]),
        ("x = f(a, key=b)", ["f(a, key=b) → f(a)"]),
        ("x = y.abs()", ["y.abs() → y"]),
        ("x = a if b else c", ["a if b else c → a", "a if b else c → c"]),
        ("x = [y for y in z if y]", ["y → True"]),
        ("x += a * b", ["x += a * b → pass", "a * b → a / b"]),
        ("f(a)", ["f(a) → pass"]),
        ("x = not True", ["not True → True", "True → False"]),
        ("(x, y) = z", []),
        ("X = Literal['a', 'b']", []),
        ("Curve = Sequence[tuple[int, float]]", []),
        ("x = FACES[1]", ["1 → 2"]),
    ],
)  # fmt: skip
def test_kinds_of_changes(code: str, changes: list[str]) -> None:
    assert [mutant.change for mutant in mutants_of(code.encode())] == changes


def test_every_area_and_its_tests_exist() -> None:
    for place, tests in AREAS.items():
        assert measuring.tests_of(place) == tests
        assert not [path for path in (place, *tests) if not (ROOT / path).exists()]
    with pytest.raises(ValueError, match=r"'s2hand/model\.py' must lie in one of platform/"):
        measuring.tests_of("s2hand/model.py")


def test_a_folder_s_modules_are_those_of_its_areas_each_with_its_own_tests() -> None:
    modules = measuring.modules_below(ROOT, "s2hand/rendering")
    assert "s2hand/rendering/topology.py" in modules
    assert not [module for module in modules if "cuda" in module or "pytorch3d" in module]
    beside = ["tests/s2hand/rendering/test_rendering_topology.py"]
    assert measuring.tests_of("s2hand/rendering/topology.py") == beside
    assert measuring.modules_below(ROOT, "s2hand/model.py") == ["s2hand/model.py"]


def test_where_modules_are_listed_one_by_one_none_is_forgotten() -> None:
    folders = {Path(place).parent for place in AREAS if place.endswith(".py")}
    for folder in folders - {Path("s2hand"), Path("platform/s2hand_platform")}:
        for path in (ROOT / folder).glob("*.py"):
            if not path.name.startswith(("__init__", "cuda", "pytorch3d")):  # none, or a GPU's
                assert measuring.tests_of(f"{folder}/{path.name}")


def test_a_killed_mutant_stays_so_and_a_survivor_is_tried_on_other_tests(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    outcomes = Outcomes(path)
    assert outcomes.is_killed("a", "tests") is None
    outcomes.note("a", "tests", killed=False)
    outcomes.note("b", "tests", killed=True)
    again = Outcomes(path)
    assert again.is_killed("a", "tests") is False
    assert again.is_killed("a", "more tests") is None
    assert again.is_killed("b", "more tests") is True


MEASURE = """
import sys
from pathlib import Path
from tools.mutants.measuring import Outcomes, measure

root, results = map(Path, sys.argv[1:])
measured = measure(
    root, "sums.py", ["tests/test_sums.py"], outcomes=Outcomes(results), sample=9, seed=0
)
print(measured.row, *(f"{each.line}: {each.change}" for each in measured.survivors), sep="; ")
"""

SUMS = '"""Adds."""\n\nLIMIT = 3\n\n\ndef total(first, second):\n    return first + second\n'
TEST = "from sums import total\n\n\ndef test_total():\n    assert total(2, 3) == 5\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "tests").mkdir(parents=True)
    (root / "sums.py").write_text(SUMS)
    (root / "tests/test_sums.py").write_text(TEST)
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


def measure(tree: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MEASURE, tree, tree.with_name("results.jsonl")],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_tests_notice_is_told_from_what_they_do_not(tree: Path) -> None:
    done = measure(tree)
    assert done.stdout == "| sums.py | 2 | 2 | 1 | 50% |; 3: 3 → 4\n", done.stderr
    assert (tree / "sums.py").read_text() == SUMS
    # Again, nothing is run: without git nothing could be.
    assert measure(tree, PATH="").stdout == done.stdout


def test_tests_that_tell_nothing_are_refused(tree: Path) -> None:
    (tree / "tests/test_sums.py").write_text("def test_nothing():\n    pass\n")
    assert "must import sums.py, and pass without it" in measure(tree).stderr


RULES = """
import functools

LIMIT = 3


def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper


class Rule:
    at_most = 10

    @decorated
    def holds(self, value):
        return any(value == each for each in range(self.at_most))

    @property
    def double(self):
        def twice(value):
            return 2 * value
        return twice(self.at_most)
"""

SWAP = """
import sys
from pathlib import Path
import rules
from tools.mutants.swapping import swap

class Asked:
    @property
    def __class__(self):
        raise RuntimeError("an object that nobody may ask what it is, as some of torch's warn")

asked = Asked()
rule, holds = rules.Rule(), rules.Rule().holds
source = Path(rules.__file__).read_bytes()
print(
    swap(Path(rules.__file__), source.replace(*(each.encode() for each in sys.argv[1:]))),
    holds(9), rule.double, rules.LIMIT,
)
"""


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ("LIMIT = 3", "LIMIT = 3", "False True 20 3"),  # nothing changes
        ("value == each", "value == each + 10", "True False 20 3"),  # within a generator expression
        ("2 * value", "3 * value", "True True 30 3"),  # within a function within a property
        ("return function(*arguments)", "return function and 7", "True 7 20 3"),  # of a closure
        ("LIMIT = 3", "LIMIT = 4", "False True 20 3"),  # of the module: to be imported anew
        ("at_most = 10", "at_most = 9", "False True 20 3"),  # of a class: too
        ("any(value == each for each in range(self.at_most))", "7", "False True 20 3"),
    ],
)
def test_what_is_imported_gets_the_changed_functions_or_nothing(
    tmp_path: Path, before: str, after: str, outcome: str
) -> None:
    (tmp_path / "rules.py").write_text(RULES)
    done = subprocess.run(
        [sys.executable, "-c", SWAP, before, after],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == outcome, done.stderr
