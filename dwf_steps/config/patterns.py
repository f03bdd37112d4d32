"""Patterns in which `*` stands for any text and `{name}` for text that has a name."""

import re
from collections.abc import Mapping

GROUP = re.compile(r"\{([a-z][a-z0-9_]*)\}")
ANY_TEXT, WITHIN_FOLDER = ".", "[^/]"


def groups_of(pattern: str) -> list[str]:
    """Return the names in braces, each once, in order."""
    return list(dict.fromkeys(GROUP.findall(pattern)))


def expression(
    pattern: str, character: str = ANY_TEXT, groups: Mapping[str, str] | None = None
) -> re.Pattern[str]:
    """Return the regular expression of a whole text that fits a pattern.

    A name that stands twice has the same text in both places. `**/` stands for any folders. All else is
    literal.

    Parameters
    ----------
    character
        What `*` and names consist of, a regular expression of one character.
    groups
        The regular expression of some names' texts, instead of one or more of these characters.
    """
    seen: set[str] = set()

    def of_name(name: str) -> str:
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{(groups or {}).get(name, f'{character}+')})"

    literal_or_name = GROUP.split(pattern)  # literals at even places, names between them
    parts = [
        of_name(part) if place % 2 else _literal(part, character)
        for place, part in enumerate(literal_or_name)
    ]
    return re.compile("".join(parts), re.DOTALL)


def _literal(text: str, character: str) -> str:
    return re.escape(text).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", f"{character}*")


def glob_of(pattern: str) -> str:
    """Return a glob pattern, in which names are `*`."""
    folders = GROUP.sub("*", pattern).split("/")
    return "/".join(part if part == "**" else re.sub(r"\*+", "*", part) for part in folders)


def filled_in(pattern: str, texts: Mapping[str, str]) -> str:
    """Return a pattern with a text for each of its names."""
    return GROUP.sub(lambda found: texts[found[1]], pattern)
