"""Docstrings of public functions state every parameter and what is returned, by the names in the code."""

import logging
from collections.abc import Iterator
from pathlib import Path

import griffe
import pytest

logging.getLogger("griffe").setLevel(logging.CRITICAL)  # what it would warn of, the tests report
ROOT = Path(__file__).parents[1]
NONE = {"None", "NoReturn"}
LIBRARY = griffe.load("dwf_steps", search_paths=[ROOT], docstring_parser="numpy", allow_inspection=False)
MODULES = sorted(m.stem if m.is_file() else m.name for m in (ROOT / "dwf_steps").glob("[a-z]*"))


def modules_below(module: griffe.Module) -> Iterator[griffe.Module]:
    yield module
    for child in module.modules.values():
        if not child.is_alias:
            yield from modules_below(child)


def functions_of(name: str) -> Iterator[griffe.Function]:
    """Yield a module's functions, its submodules' and their classes' methods."""
    for module in modules_below(LIBRARY[name]):
        for owner in (module, *module.classes.values()):
            if not owner.is_alias:
                yield from (f for f in owner.functions.values() if not f.is_alias and is_stated(f))


def is_stated(function: griffe.Function) -> bool:
    return function.docstring is not None and "overload" not in str(function.decorators)


def sections(function: griffe.Function) -> dict[str, list[str]]:
    """Return section -> the names that it has: parameters, returned values, exceptions."""
    assert function.docstring
    kinds = {"parameters", "other parameters", "returns", "yields", "raises"}
    return {
        s.kind.value: [getattr(item, "name", "") or str(item.annotation) for item in s.value]
        for s in function.docstring.parsed
        if s.kind.value in kinds
    }


def parameters(function: griffe.Function) -> list[str]:
    bound = function.parent.is_class and "staticmethod" not in function.labels
    names = [p.name for p in function.parameters if not p.name.startswith("_")]
    return names[1:] if bound else names


def is_public(function: griffe.Function) -> bool:
    return not function.name.startswith("_") and function.parent.is_module


def gives(function: griffe.Function) -> bool:
    return function.returns is not None and str(function.returns) not in NONE


def faults(function: griffe.Function) -> Iterator[str]:
    stated, expected = sections(function), parameters(function)
    if "parameters" in stated and stated["parameters"] != expected:
        yield f"has parameters {expected}, its docstring {stated['parameters']}"
    if not is_public(function):
        return
    if expected and "parameters" not in stated:
        yield f"says nothing of its parameters {expected}"
    if gives(function) and not {"returns", "yields"} & stated.keys():
        yield "does not say what it returns"


@pytest.mark.parametrize("module", [m for m in MODULES if m in LIBRARY.modules])
def test_docstrings_name_the_parameters_and_what_functions_return(module: str) -> None:
    found = [
        f"{f.filepath.relative_to(ROOT)}:{f.lineno}: {f.name} {fault}"
        for f in functions_of(module)
        for fault in faults(f)
    ]
    assert not found, "\n".join(["", *found])


def test_a_docstring_that_leaves_out_what_it_should_say_is_found() -> None:
    source = '''
def area(width: float, height: float) -> float:
    """Return a rectangle's area."""

def volume(width: float, depth: float) -> float:
    """Return a box's volume.

    Parameters
    ----------
    width, height
        In metres.

    Returns
    -------
    In cubic metres.
    """
'''
    with griffe.temporary_visited_module(source, docstring_parser="numpy") as module:
        short, wrong = (list(faults(module[name])) for name in ("area", "volume"))
    assert short == [
        "says nothing of its parameters ['width', 'height']",
        "does not say what it returns",
    ]
    assert wrong == ["has parameters ['width', 'depth'], its docstring ['width', 'height']"]
