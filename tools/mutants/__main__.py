"""``python -m tools.mutants``: measure modules, print a table and what survived."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tools.mutants
from tools.mutant_areas import AREAS
from tools.mutants.measuring import Outcomes, measure, modules_below, tests_of

ROOT = Path(__file__).resolve().parents[2]

_LIBRARIES = ("torch", "numba", "scipy.stats", "pandas", "pyarrow.parquet", "beartype")
"""Imported once, before forking; pytest wants to import its plugins itself."""


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table and what survived."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutants", description=tools.mutants.__doc__
    )
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
