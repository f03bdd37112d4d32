"""A digest of the code that a step runs, blind to comments, docstrings and layout.

Snakemake reruns a job when its ``params`` change. Each rule therefore carries the fingerprint of its
step: a changed formula anywhere in the step's imports from this package reruns the stage, a changed
comment does not.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "dwf_steps"
# What a step says of its progress has no part in its result.
WITHOUT_EFFECT = frozenset({"dwf_steps.runtime.progress"})
ROOT = Path(__file__).resolve().parents[2]


@cache
def fingerprint(module: str) -> str:
    """Return 16 hex digits that identify the code ``module`` imports from this package.

    Parameters
    ----------
    module
        Dotted name, such as ``dwf_steps.train_zoo``.

    Raises
    ------
    ModuleNotFoundError
        If the module is not a file of this package.
    """
    if _file(module) is None:
        raise ModuleNotFoundError(f"no module {module!r} below {ROOT}")
    digest = hashlib.sha256()
    for name in sorted(_closure(module)):
        digest.update(f"{name}\n{_normalised(name)}\n".encode())
    return digest.hexdigest()[:16]


@cache
def file_fingerprint(path: Path) -> str:
    """Return 16 hex digits that identify the code in one file, wherever it lies."""
    tree = _Strip().visit(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _closure(module: str) -> set[str]:
    """Return the module, its parent packages, and everything of the package that they import."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen | WITHOUT_EFFECT or _file(name) is None:
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
    return _Strip().visit(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


@cache
def _normalised(module: str) -> str:
    return ast.dump(_tree(module))


@cache
def _imports(module: str) -> set[str]:
    names = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE}


class _Strip(ast.NodeTransformer):
    """Drop what does not run: bare strings (docstrings) and ``if TYPE_CHECKING`` blocks."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_string = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_string else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)
