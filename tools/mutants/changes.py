"""Every change of a module in one place."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

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
