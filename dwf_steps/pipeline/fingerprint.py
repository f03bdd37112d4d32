"""A digest of the code that a step runs, independent of comments, docstrings and layout.

Snakemake reruns a job when its ``params`` change. Each rule therefore carries the fingerprint of its step: a
changed formula anywhere in the modules that the step imports from this package reruns the stage, a changed
comment does not. Steps that import modules by name add the fingerprints of these.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from dwf_steps.runtime.plugins import is_installed

PACKAGE = "dwf_steps"
# A step's progress messages do not affect its result.
WITHOUT_EFFECT = frozenset({"dwf_steps.runtime.progress"})
# Settings travel as params; of the configuration, only what steps import is code that they run.
PIPELINE = "dwf_steps.pipeline"
PLANNING = "planning"  # the decorator of `dwf_steps.config.section`
ROOT = Path(__file__).resolve().parents[2]


def fingerprint(*modules: str, files: Sequence[Path] = ()) -> str:
    """Return a digest of the code that ``modules`` import from this package, and of ``files``.

    Parameters
    ----------
    modules
        Dotted names, such as ``dwf_steps.train_zoo``.
    files
        Code outside the package.

    Returns
    -------
    16 hexadecimal digits.

    Raises
    ------
    ModuleNotFoundError
        If a module is not a file of this package.
    """
    return _fingerprint(modules, tuple(map(file_fingerprint, files)))


@cache
def _fingerprint(modules: tuple[str, ...], others: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    names = set[str]().union(*map(_closure, modules))
    for name in sorted(name for name in names if not f"{name}.".startswith(f"{PIPELINE}.")):
        digest.update(f"{name}\n{_normalised(name)}\n".encode())
    for other in others:
        digest.update(f"{other}\n".encode())
    return digest.hexdigest()[:16]


@cache
def file_fingerprint(path: Path) -> str:
    """Return a digest of the code in a file outside the package.

    It covers the modules that the file imports from its own folder or package. For a file of an installed
    package, it covers this file alone.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    16 hexadecimal digits.
    """
    files = [path] if is_installed(path) else _own_files(path)
    return hashlib.sha256("\n".join(_written(_stripped(file)) for file in files).encode()).hexdigest()[:16]


def _own_files(path: Path) -> list[Path]:
    """Return a user's file, and all files that it imports from its folder or package."""
    found = [path]
    for file in found:
        found.extend(imported for imported in sorted(_imported_files(file)) if imported not in found)
    return found


def _imported_files(file: Path) -> set[Path]:
    package = file.parent
    while (package / "__init__.py").is_file():
        package = package.parent
    found = set[Path]()
    for node in _statements(_stripped(file)):
        if isinstance(node, ast.Import):
            names, folders = [alias.name for alias in node.names], [file.parent, package]
        elif isinstance(node, ast.ImportFrom):
            stated = [node.module] if node.module else []
            names = [".".join([*stated, alias.name]) for alias in node.names]
            folders = [file.parents[node.level - 1]] if node.level else [file.parent, package]
        else:
            continue
        for name, folder in product(names, folders):
            parts = name.split(".")
            bases = [folder.joinpath(*parts[: i + 1]) for i in range(len(parts))]
            found.update(base.with_name(f"{base.name}.py") for base in bases)
            found.update(base / "__init__.py" for base in (folder, *bases))
    return {path for path in found if path.is_file()} - {file}


def _stripped(file: Path) -> ast.Module:
    tree: ast.Module = _Strip().visit(ast.parse(file.read_text(encoding="utf-8"), filename=str(file)))
    return tree


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _closure(module: str) -> set[str]:
    """Return the module, its parent packages, and all modules of this package that they import."""
    if _file(module) is None:
        raise ModuleNotFoundError(f"no module {module!r} below {ROOT}")
    seen: set[str] = set()
    missing: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name in WITHOUT_EFFECT or name in missing:
            continue
        if _file(name) is None:
            missing.add(name)
            continue
        seen.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        waiting.extend(_imports(name))
    return seen


@cache
def _tree(module: str) -> ast.Module:
    path = _file(module)
    if path is None:
        raise ModuleNotFoundError(module)
    return _stripped(path)


@cache
def _normalised(module: str) -> str:
    return _written(_tree(module))


def _written(node: object) -> str:
    """Return a syntax tree as text that is the same in every version of Python.

    ``ast.dump`` writes empty fields in some versions.
    """
    if isinstance(node, list):
        return f"[{', '.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, getattr(node, name)) for name in node._fields)
    stated = [f"{name}={_written(value)}" for name, value in fields if value is not None and value != []]
    return f"{type(node).__name__}({', '.join(stated)})"


@cache
def _imports(module: str) -> set[str]:
    names = set()
    for node in _statements(_tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements below a node.

    Expressions are skipped: they contain no statements, and make up most of a tree.
    """
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield child
            yield from _statements(child)


class _Strip(ast.NodeTransformer):
    """Drops what does not run in a step.

    These are docstrings and other bare strings, ``if TYPE_CHECKING`` blocks, and functions that only plan a
    run.
    """

    def visit(self, node: ast.AST) -> Any:
        return node if isinstance(node, ast.expr) else super().visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_string = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_string else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        plans = any(isinstance(mark, ast.Name) and mark.id == PLANNING for mark in node.decorator_list)
        return None if plans else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)
