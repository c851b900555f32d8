"""Which modules `importlib.import_module` may load, read off the source."""

import ast
from collections.abc import Iterator
from itertools import product

from edsr_int8.errors import InputError

READING = ("get", "items", "keys", "values")  # methods that leave a table as it is
REMEDY = (
    "imports a module whose name cannot be read off the source, so that a stage could miss an edit of it; "
    "write import_module(f'edsr_int8.PACKAGE.{name}')"
)


def lazily_imported(tree: ast.Module) -> set[str]:
    """Patterns of dotted names: 'edsr_int8.targets.vacc', or 'edsr_int8.targets.*' where a part is not known.

    InputError, beginning with the line: a name of which not even the first package can be read.
    """
    nodes = list(ast.walk(tree))
    names = {name for node in nodes for name in _aliases(node)}
    uses = [node for node in nodes if isinstance(node, ast.expr) and _is_import(node, names)]
    calls = [node for node in nodes if isinstance(node, ast.Call) and node.func in uses]
    if passed_on := set(uses) - {call.func for call in calls}:
        raise InputError(f"{min(node.lineno for node in passed_on)}: {REMEDY}")
    found: set[str] = set()
    for call in calls:
        patterns = {"".join(parts) for parts in product(*_parts(call.args[0], tree))} if call.args else {"*"}
        if not all(_tells_its_package(pattern) for pattern in patterns):
            raise InputError(f"{call.lineno}: {REMEDY}")
        found |= patterns
    return found


def _tells_its_package(pattern: str) -> bool:
    known, star, _ = pattern.partition("*")
    return not known.startswith(".") and ("." in known or not star)


def _aliases(node: ast.AST) -> Iterator[str]:
    """What `from importlib import import_module` is called here."""
    if isinstance(node, ast.ImportFrom) and node.module == "importlib":
        for alias in node.names:
            if alias.name in ("import_module", "__import__"):
                yield alias.asname or alias.name


def _is_import(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names or node.id == "__import__"
    return isinstance(node, ast.Attribute) and node.attr in ("import_module", "__import__")


def _parts(name: ast.expr, tree: ast.Module) -> list[tuple[str, ...]]:
    """The texts that stand one after the other in a module's name, each with all that it may be."""
    match name:
        case ast.Constant(value=str(text)):
            return [(text,)]
        case ast.JoinedStr(values=values):
            return [part for value in values for part in _parts(value, tree)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _parts(left, tree) + _parts(right, tree)
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _parts(value, tree)
        case ast.Subscript(value=ast.Name(id=table)):
            return [_table(table, tree) or ("*",)]
    return [("*",)]


def _table(name: str, tree: ast.Module) -> tuple[str, ...]:
    """The values of the dict that `name` is bound to once and for all; () where it is anything else."""
    stores = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name and not _reads(n)]
    if len(stores) != 1 or any(_changes(node, name) for node in ast.walk(tree)):
        return ()
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if targets == stores:
            try:
                return tuple(map(str, ast.literal_eval(node.value).values()))  # type: ignore[attr-defined]
            except (ValueError, TypeError, AttributeError):  # made by code
                return ()
    return ()


def _reads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _changes(node: ast.AST, name: str) -> bool:
    """Whether `node` puts something into the dict `name`, or may."""
    match node:
        case ast.Subscript(value=ast.Name(id=table), ctx=ast.Store() | ast.Del()):
            return table == name
        case ast.Attribute(value=ast.Name(id=table), attr=method):
            return table == name and method not in READING
    return False
