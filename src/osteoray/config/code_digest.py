"""A digest of what a script means, so that a rule reruns when its code changes and not otherwise.

Snakemake compares a script's time stamp (a fresh clone would retrain everything) and never looks into imported
modules. The digest covers the syntax trees, without docstrings and comments, of the script and of every module of the
package that it imports, directly or not, and the C file beside a module that bears its name.
"""

from __future__ import annotations

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

PACKAGE = "osteoray"


def code_digest(script: str | Path, source: str | Path) -> str:
    """Digest of a script and of the package modules that it imports, and of their C files.

    Args:
        script: the program's file.
        source: folder that holds the package.

    Returns:
        16 hexadecimal digits.
    """
    source = Path(source)
    pending, seen = [Path(script)], set()
    while pending:
        path = pending.pop()
        if path not in seen:
            seen.add(path)
            pending += _imports(path, source, path.stat().st_mtime_ns)
    meanings = sorted(_meaning(path, path.stat().st_mtime_ns) for path in seen)
    return hashlib.sha256("\n".join(meanings).encode()).hexdigest()[:16]


@cache
def _tree(path: Path, _mtime_ns: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _meaning(path: Path, mtime_ns: int) -> str:
    if path.suffix == ".c":
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        return f"{path.name} {hashlib.sha256(' '.join(text.split()).encode()).hexdigest()}"
    tree = _tree(path, mtime_ns)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # Docstrings, of modules, classes, functions and attributes, are bare string expressions.
            body[:] = [n for n in body if not (isinstance(n, ast.Expr) and _is_string(n.value))] or [ast.Pass()]
    return f"{path.name} {hashlib.sha256(ast.dump(tree).encode()).hexdigest()}"


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@cache
def _imports(path: Path, source: Path, mtime_ns: int) -> list[Path]:
    if path.suffix == ".c":
        return []
    names: set[str] = set()
    for node in ast.walk(_tree(path, mtime_ns)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    native = path.with_suffix(".c")
    found = [native] if native.is_file() else []
    for name in names:
        if name.split(".")[0] == PACKAGE:
            place = source.joinpath(*name.split("."))
            found += [p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()]
    return found
