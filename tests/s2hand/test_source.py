"""The fingerprint of source: blind for what it says, alert to all that it does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2hand
from s2hand.errors import SourceError
from s2hand.source import module_digests, source_digest

# Every kind of statement, expression and pattern that Python 3.11 knows, and f-strings that 3.11
# and 3.12 cut differently.
EVERYTHING = '''
import os, sys as system
from math import pi as π, tau
from . import sibling
@decorate(1)
class Thing(Base, metaclass=Meta):
    """Docstring."""
    x: int = 3
    """A field's description."""
    y: "text"
    def __init__(self, a, /, b=1, *rest, c, d=2.0, **more) -> None:
        self.x, self.y[0] = a, b
        del self.z
        return None
async def work(n):
    async with lock as held, other:
        async for item in source():
            await item
    return [i async for i in source()]
def generate():
    global counter
    yield 1
    yield from (k for k in range(3) if k if not k == 2)
def outer():
    nested = 0
    def inner():
        nonlocal nested
        nested += 1
        nested //= 2
    return inner
for index in range(10):
    if index < 3 <= 5 and index is not None or index in (1, 2):
        continue
    elif not index:
        break
    else:
        pass
else:
    raise ValueError("x") from None
while (walrus := next(it)) != -1:
    assert walrus, "why"
try:
    with open("f") as f:
        ...
except (OSError, ValueError) as error:
    print(error)
except Exception:
    raise
else:
    print()
finally:
    print(1)
try:
    pass
except* TypeError:
    pass
values = {1: 2, **others, "k": lambda p, *q: p if q else -p}
sets = {1, 2}, [*values, 3], {a for a in b}, {a: b for a, b in c}
slices = m[1:2, ::3, ..., None, True, 1j, 0x1F, b"bytes"]
ops = a + b - c * d / e // f % g ** h @ i << j >> k & l | m ^ ~n, +o
compared = a is b, c > d >= e, f not in g
text = "one" "two" f"three {values!r:>{width}} {{}} {x=} {y:}" "four" f"{z}" u"five"
nested = f"{f'{a}' + 'b'!s:{'>'}{10:d}.{p}}" "" f""
match command:
    case 1 | -2.5 | "s" | None | True:
        pass
    case [a, *b] if a:
        pass
    case {"k": v, **rest}:
        pass
    case Point(x=0, y=[_, other]) as p:
        pass
    case module.CONSTANT:
        pass
    case _:
        pass
call(1, *args, key=2, **kwargs)
'''

SAME = {
    "a comment": ("x = 1", "x = 1  # one"),
    "blank lines and spaces": ("x = 1\ny = [1, 2]", "\n\nx=1\n\ny = [\n    1,\n    2,\n]\n"),
    "a module's docstring": ("x = 1", '"""About x."""\nx = 1'),
    "a function's docstring": ("def f():\n  return 1", "def f():\n  'one'\n  return 1"),
    "a class's docstring": ("class A:\n  x = 1", "class A:\n  '''A.'''\n  x = 1"),
    "a field's description": ("class A:\n  x: int = 1", "class A:\n  x: int = 1\n  'the x'"),
    "a bare string in a branch": ("if a:\n  b()", "if a:\n  'why'\n  b()\n  'and then'"),
    "quotes": ("x = 'a'", 'x = """a"""'),
    "brackets": ("x = a + b * c", "x = (a + (b * c))"),
    "elif": ("if a: b()\nelif c: d()", "if a:\n  b()\nelse:\n  if c:\n    d()"),
    "the way a number is written": ("x = 255, 1.0, 1e3", "x = 0xFF, 1.00, 1_000.0"),
    "the way a text is written": ("x = 'ab'", "x = 'a' '\\x62'"),
    "joined texts in an f-string": ("x = f'ab{c}d'", "x = 'a' f'b{c}' 'd'"),
    "an empty format": ("x = f'{c}'", "x = f'{c:}'"),
    "line ends": ("x = 1\ny = '''a\nb'''", "x = 1\r\ny = '''a\r\nb'''"),
}

DIFFERENT = {
    "int, float and bool": ("x = 1", "x = 1.0", "x = True", "x = '1'", "x = b'1'", "x = 1j"),
    "none and its name": ("x = None", "x = 'None'", "x = False", "x = ..."),
    "sign": ("x = 1", "x = -1", "x = +1"),
    "names": ("x = a", "x = b", "y = a", "x.a", "x.b"),
    "operators": ("x = a + b", "x = a - b", "x = a @ b", "x = b + a", "x += a", "x -= a"),
    "comparison": ("a < b", "a <= b", "a > b", "a < b < c", "a is b", "a is not b"),
    "logic": ("a and b", "a or b", "not a", "b and a"),
    "order of statements": ("a()\nb()", "b()\na()", "a()", "a()\nb()\nb()"),
    "a used string": ("f('a')", "f('b')", "f()"),
    "decorators": ("def f(): 1", "@d\ndef f(): 1", "@e\ndef f(): 1", "@d()\ndef f(): 1"),
    "defaults": ("def f(a): 1", "def f(a=1): 1", "def f(a=2): 1", "def f(*, a=1): 1"),
    "kinds of parameters": ("def f(a): 1", "def f(a, /): 1", "def f(*a): 1", "def f(**a): 1"),
    "async": ("def f(): 1", "async def f(): 1"),
    "annotations": ("x: int = 1", "x: float = 1", "x = 1"),
    "f-strings": ("f'{a}'", "f'{b}'", "f'{a!r}'", "f'{a:d}'", "f'{a} '", "f'{a}{b}'", "'{a}'"),
    "an f-string's text": ("x = f'a{b}'", "x = f'{b}a'", "x = f'ab'", "x = 'ab'"),
    "patterns": tuple(
        f"match a:\n  case {pattern}: 1"
        for pattern in ("b", "_", "1", "None", "[b]", "[b, *_]", "{'k': b}", "A(b)", "A(k=b)")
    ),
    "a guard": ("match a:\n  case 1: 1", "match a:\n  case 1 if b: 1"),
    "what is imported": ("import a", "import a as b", "from a import b", "from .a import b"),
    "containers": ("x = [1]", "x = (1,)", "x = {1}", "x = {1: 1}", "x = [*a]", "x = {**a}"),
    "gaps": ("x = {**a, b: c}", "x = {a: b, **c}", "def f(*, a, b=1): 1", "def f(*, a=1, b): 1"),
    "slices": ("a[1:]", "a[:1]", "a[::1]", "a[1]", "a[1,]"),
    "else": ("for a in b: c()", "for a in b: c()\nelse: d()", "while b: c()"),
    "nesting": ("if a:\n  b()\nc()", "if a:\n  b()\n  c()"),
    "where a text is bare": ("x: int\n'b'", "x: 'b'"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_what_does_nothing_does_not_enter(name):
    before, after = SAME[name]
    assert source_digest(before) == source_digest(after.encode())


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_does_something_enters(name):
    sources = DIFFERENT[name]
    assert len({source_digest(source) for source in sources}) == len(sources)


def test_the_digest_is_the_same_on_every_supported_python():
    """Its value is what Python 3.11, 3.12 and 3.13 give; CI runs this test on each."""
    digest = "73c6b549a563fa0cd675bd16e84c3195b514323402d7fc6d5d3b125c16adc219"
    assert source_digest(EVERYTHING) == digest


def test_the_sample_holds_every_kind_of_syntax():
    found = {type(node).__name__ for node in ast.walk(ast.parse(EVERYTHING))}
    known = {
        name
        for name, kind in vars(ast).items()
        if isinstance(kind, type)
        and issubclass(kind, ast.AST)
        and kind.__module__ == "ast"
        and not kind.__subclasses__()
    }
    since_3_12 = {"TypeAlias", "TypeVar", "ParamSpec", "TypeVarTuple"}
    unused = {
        *("Expression", "Interactive", "FunctionType", "TypeIgnore"),  # other modes of parsing
        *("AugLoad", "AugStore", "Param", "Suite", "Index", "ExtSlice"),  # no parser makes these
        *("Num", "Str", "Bytes", "NameConstant", "Ellipsis"),
    }
    assert known - found - since_3_12 - unused == set()


MODULES = sorted(Path(s2hand.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_real_code_without_comments_and_formatting_is_the_same(path):
    source = path.read_bytes()
    assert source_digest(ast.unparse(ast.parse(source))) == source_digest(source)


@given(st.sampled_from(MODULES), st.data())
@settings(deadline=None)
def test_every_changed_constant_and_name_of_real_code_enters(path, data):
    tree = ast.parse(path.read_bytes())
    bare = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    before = source_digest(path.read_bytes())
    places = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.arg | ast.Attribute | ast.FunctionDef)
        or (isinstance(node, ast.Constant) and type(node.value) in (int, float, str))
    ]
    node = data.draw(st.sampled_from(places or [tree]))
    match node:
        case ast.Name():
            node.id += "_"
        case ast.arg():
            node.arg += "_"
        case ast.Attribute():
            node.attr += "_"
        case ast.FunctionDef():
            node.name += "_"
        case ast.Constant(value=value):
            node.value = value + ("_" if isinstance(value, str) else 1)
    changed = source_digest(ast.unparse(tree)) != before
    assert changed == (node is not tree and id(node) not in bare)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose import would fail."""
    folder = tmp_path / "fingerprinted" / "inner"
    folder.mkdir(parents=True)
    for place in (folder.parent, folder):
        (place / "__init__.py").write_text("raise ImportError('imported')")
    (folder / "kernel.py").write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_modules_are_hashed_by_name_and_not_imported(package):
    digests = module_digests(["fingerprinted.inner.kernel", "fingerprinted"])
    assert digests == {
        "fingerprinted": source_digest("raise ImportError('imported')"),
        "fingerprinted.inner.kernel": source_digest("x = 1"),
    }
    (package / "kernel.py").write_text("x = 22")
    assert module_digests(["fingerprinted.inner.kernel"]) == {
        "fingerprinted.inner.kernel": source_digest("x = 22")
    }


def test_a_file_is_hashed_once(package, monkeypatch):
    names = ["fingerprinted.inner.kernel", "fingerprinted"]
    first = module_digests(names)
    monkeypatch.setattr(Path, "read_bytes", lambda _path: pytest.fail("read again"))
    assert module_digests(names) == first


def test_the_file_that_is_imported_counts(package, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text("x = 3")
    module = type(sys)("fingerprinted.inner.kernel")
    module.__file__ = str(elsewhere)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert module_digests([module.__name__]) == {module.__name__: source_digest("x = 3")}


@pytest.mark.parametrize(
    "name", ["fingerprinted.absent", "fingerprinted.inner.kernel.deeper", "absent_package", "a.b"]
)
def test_an_unknown_module_is_named(package, name):
    with pytest.raises(SourceError, match=f"'{name}' must exist to be fingerprinted"):
        module_digests([name])


def test_source_that_is_no_python_is_named(package):
    (package / "kernel.py").write_text("x = = 1")
    with pytest.raises(SourceError, match=r"kernel\.py: the module .* must be Python source"):
        module_digests(["fingerprinted.inner.kernel"])


def test_a_module_without_source_has_no_digest(package, monkeypatch):
    assert module_digests(["math"]) is None
    module = type(sys)("fingerprinted.inner.kernel")
    module.__file__ = str(package / "compiled.pyc")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert module_digests(["fingerprinted", module.__name__]) is None
    module.__file__ = str(package / "removed.py")
    assert module_digests(["fingerprinted", module.__name__]) is None


def test_it_needs_neither_torch_nor_numba():
    script = "import sys, s2hand.source; print({'torch', 'numba', 'numpy'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert shown.stdout == b"set()\n"
