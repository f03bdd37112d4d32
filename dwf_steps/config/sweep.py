"""Sweeps: one definition that stands for several, which differ in a few values."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from dwf_steps.runtime.errors import InputError

SECTIONS = ("zoos", "canonicalizations", "representations", "subspaces", "generators", "recalibrations")
REPEATED = ("seed", "reference")  # keys whose values are repetitions rather than the subject of a study


@dataclass(frozen=True)
class Member:
    """One of the definitions that a sweep stands for.

    Attributes
    ----------
    family
        Name of the definition with the sweep.
    values
        The member's value for each swept key, by dotted path.
    """

    family: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def setting(self) -> dict[str, Any]:
        """The values that the study varies; members that share them are repetitions."""
        return {key: value for key, value in self.values.items() if _last(key) not in REPEATED}


Members = dict[str, dict[str, Member]]


def expand(raw: Mapping[str, Any]) -> tuple[dict[str, Any], Members]:
    """Replace every definition that has a ``sweep`` by its members, also in the experiments.

    ``noise: {kind: noise, sweep: {std: [0.01, 0.1]}}`` becomes ``noise_std_0_01`` and ``noise_std_0_1``;
    several keys make a grid. A definition that is a list of methods is written as ``{methods: [git_rebasin],
    sweep: {git_rebasin.reference: [0, 1]}}``.

    Parameters
    ----------
    raw
        The merged configuration, before validation.

    Returns
    -------
    The configuration without sweeps, and the members by section and name.

    Raises
    ------
    InputError
        If a sweep is not a mapping of lists, or creates a name that is already defined.
    """
    expanded, members = dict(raw), {}
    for section in SECTIONS:
        definitions = raw.get(section)
        if isinstance(definitions, Mapping):
            expanded[section], members[section] = _expand_section(section, definitions)
    experiments = raw.get("experiments")
    if isinstance(experiments, list):
        expanded["experiments"] = [_expand_experiment(item, members) for item in experiments]
    return expanded, members


def _expand_section(section: str, definitions: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Member]]:
    expanded: dict[str, Any] = {}
    members: dict[str, Member] = {}
    for family, definition in definitions.items():
        if not (isinstance(definition, Mapping) and "sweep" in definition):
            expanded[family] = definition
            continue
        where = f"{section}.{family}.sweep"
        rest = {key: value for key, value in definition.items() if key != "sweep"}
        for values in _grid(definition["sweep"], where):
            name = f"{family}_{_slug(values)}"
            if name in definitions or name in expanded:
                raise InputError(
                    f"{where}: it creates the name {name!r}, which is already defined; rename one"
                )
            expanded[name] = _with(rest, values, where)
            members[name] = Member(family, values)
    return expanded, members


def _expand_experiment(experiment: Any, members: Members) -> Any:
    if not isinstance(experiment, Mapping):
        return experiment
    expanded = dict(experiment)
    for section in SECTIONS:
        if isinstance(names := experiment.get(section), list):
            expanded[section] = [name for asked in names for name in _names(asked, members.get(section, {}))]
    return expanded


def _names(asked: Any, members: dict[str, Member]) -> list[Any]:
    """Return the members of a family; a name that is not a family is returned alone."""
    return [name for name, member in members.items() if member.family == asked] or [asked]


def _grid(sweep: Any, where: str) -> Iterator[dict[str, Any]]:
    if not isinstance(sweep, Mapping) or not sweep:
        raise InputError(
            f"{where}: found {sweep!r}; expected keys with lists of values, like {{std: [1, 2]}}"
        )
    for key, values in sweep.items():
        if not isinstance(key, str):
            raise InputError(f"{where}: the key {key!r} is not a text; put it in quotes")
        if not isinstance(values, list) or not values:
            raise InputError(f"{where}.{key}: found {values!r}; expected a list of values")
    for values in product(*sweep.values()):
        yield dict(zip(sweep, values, strict=True))


def _with(definition: Mapping[str, Any], values: dict[str, Any], where: str) -> Any:
    """Return the definition with values at dotted paths; a list of methods is addressed by method."""
    changed = deepcopy(dict(definition))
    if "methods" in changed:
        methods = changed["methods"]
        if not isinstance(methods, list) or not all(_is_method(method) for method in methods):
            raise InputError(
                f"{where.removesuffix('.sweep')}.methods: found {methods!r}; expected a list of methods, "
                "each a name or a mapping with a key `method`"
            )
        changed = {
            method["method"]: method
            for method in ({"method": m} if isinstance(m, str) else dict(m) for m in methods)
        }
    for path, value in values.items():
        *parents, last = path.split(".")
        place = changed
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise InputError(
                    f"{where}.{path}: {parent!r} is not a section but {place!r}; correct the path"
                )
        place[last] = value
    return list(changed.values()) if "methods" in definition else changed


def _is_method(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Mapping) and isinstance(value.get("method"), str))


def _slug(values: dict[str, Any]) -> str:
    lasts = [_last(key) for key in values]
    names = lasts if len(set(lasts)) == len(lasts) else list(values)
    text = "_".join(f"{name}_{value}" for name, value in zip(names, values.values(), strict=True))
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _last(path: str) -> str:
    return path.rpartition(".")[2]
