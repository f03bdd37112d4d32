"""Patterns in which `*` stands for any text, and `{name}` for a text that is given a name."""

import re
from collections.abc import Mapping

GROUP = re.compile(r"\{([a-z][a-z0-9_]*)\}")
ANY_TEXT, WITHIN_FOLDER = ".", "[^/]"


def groups_of(pattern: str) -> list[str]:
    """Return the names in braces of a pattern.

    Parameters
    ----------
    pattern
        Such as ``runs/{seed}/epoch_{epoch}.pt``.

    Returns
    -------
    Each name once, in order.
    """
    return list(dict.fromkeys(GROUP.findall(pattern)))


def expression(
    pattern: str, character: str = ANY_TEXT, groups: Mapping[str, str] | None = None
) -> re.Pattern[str]:
    """Return a regular expression for texts that match a pattern as a whole.

    A name that occurs twice stands for the same text in both places. `**/` stands for any folders. All else
    is literal.

    Parameters
    ----------
    pattern
        With `*`, `**/` and names in braces.
    character
        What `*` and names consist of, a regular expression for one character.
    groups
        Regular expressions for the texts of certain names, instead of one or more ``character``.

    Returns
    -------
    With a group for each name.
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
    """Return the glob pattern that finds all texts a pattern may match.

    Parameters
    ----------
    pattern
        With names in braces.

    Returns
    -------
    The pattern with `*` in place of names.
    """
    folders = GROUP.sub("*", pattern).split("/")
    return "/".join(part if part == "**" else re.sub(r"\*+", "*", part) for part in folders)


def filled_in(pattern: str, texts: Mapping[str, str]) -> str:
    """Return a pattern with its names replaced.

    Parameters
    ----------
    pattern
        With names in braces.
    texts
        The text for each name.

    Returns
    -------
    A text without names in braces.
    """
    return GROUP.sub(lambda found: texts[found[1]], pattern)
