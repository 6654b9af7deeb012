"""What numba keeps on disk is used again for the same source, and for no other."""

import ast
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import s2hand.compiled
from s2hand.compiled import COMPILED_MODULES, cache_folder, compiled

HELPER = """
from s2hand.compiled import compiled
@compiled()
def helper(x):
    return x + STEP
STEP = 1
"""
CALLER = """
from s2hand.compiled import compiled
from s2hand.rendering.outlines import helper
@compiled()
def caller(x):
    return 10 * helper(x)
"""
SCRIPT = """
from s2hand.rendering.cpu import caller
print(caller(2), sum(caller.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of this package whose compiled functions are one that calls one of another file."""
    source = Path(s2hand.compiled.__file__).parent
    folder = tmp_path / "s2hand"
    for name in COMPILED_MODULES:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for place in (path, path.parent / "__init__.py", folder / "__init__.py"):
            place.touch()
    for name in ("compiled.py", "source.py", "errors.py"):
        shutil.copy(source / name, folder / name)
    (folder / "rendering" / "outlines.py").write_text(HELPER)
    (folder / "rendering" / "cpu.py").write_text(CALLER)
    return folder


def run(package, **environment):
    """Return what the caller returns in a fresh process, and how often it was found on disk."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    # Python's own bytecode would hide an edit of the same length within a second.
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    shown = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=False,
        cwd=package.parent,
        env=kept | environment,
        capture_output=True,
        text=True,
    )
    assert not shown.stderr
    result, hits = shown.stdout.split()
    return int(result), int(hits)


def test_a_helper_that_is_edited_in_another_file_acts(package):
    assert run(package) == (30, 0)
    assert run(package) == (30, 1)
    helper = package / "rendering" / "outlines.py"
    helper.write_text(HELPER.replace("x + STEP", "x - STEP"))
    assert run(package) == (10, 0)
    helper.write_text(HELPER.replace("STEP = 1", "STEP = 2"))
    assert run(package) == (40, 0)
    helper.write_text("# Nothing that acts.\n" + HELPER)
    assert run(package) == (30, 1)


def test_the_cache_can_lie_elsewhere(package, tmp_path):
    assert run(package, NUMBA_CACHE_DIR=str(tmp_path / "elsewhere")) == (30, 0)
    assert run(package, NUMBA_CACHE_DIR=str(tmp_path / "elsewhere")) == (30, 1)
    assert list((tmp_path / "elsewhere").glob("numba-*/*/*.nbi"))
    assert not list(package.rglob("*.nbi"))


def test_where_the_package_cannot_be_written_the_user_s_cache_is(package, tmp_path):
    (package / "__pycache__").touch()  # a file, so that no folder can be there
    home = str(tmp_path / "home")
    assert run(package, HOME=home) == (30, 0)
    assert run(package, HOME=home) == (30, 1)


def test_where_nothing_can_be_written_functions_are_compiled_anew(package):
    (package / "__pycache__").touch()
    assert run(package, HOME="/dev/null") == (30, 0)
    assert run(package, HOME="/dev/null") == (30, 0)


def test_the_user_s_own_setting_of_numba_is_left_alone(monkeypatch):
    monkeypatch.setattr(s2hand.compiled.numba.config, "CACHE_DIR", "/users/own")
    compiled()(lambda x: x)
    assert s2hand.compiled.numba.config.CACHE_DIR == "/users/own"


def test_the_folder_s_name_follows_from_every_compiled_module(monkeypatch):
    names = []
    for changed in (None, *COMPILED_MODULES):
        digests = {name: "changed" if name == changed else "same" for name in COMPILED_MODULES}
        monkeypatch.setattr(s2hand.compiled, "module_digests", lambda _, found=digests: found)
        cache_folder.cache_clear()
        names.append(cache_folder().name)
        cache_folder().rmdir()
    cache_folder.cache_clear()
    assert len(set(names)) == len(names)


def test_every_module_that_compiled_code_is_made_of_is_listed():
    root = Path(s2hand.compiled.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_bytes())
        name = ".".join(("s2hand", *path.relative_to(root).with_suffix("").parts))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules = {node.module for node in imports}
        assert "numba" not in modules or all(
            alias.name != "njit" for node in imports for alias in node.names
        ), f"{name} must use s2hand.compiled"
        if "s2hand.compiled" not in modules:
            continue
        found.add(name)
        for node in imports:
            if node.module.startswith("s2hand."):
                module = import_module(node.module)
                values = [getattr(module, alias.name) for alias in node.names]
                if any(isinstance(value, int | float | tuple) for value in values):
                    found.add(node.module)
    assert found == set(COMPILED_MODULES)
