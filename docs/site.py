"""What MkDocs is told beyond mkdocs.yml: files outside docs/ are named on the site, not linked."""

import re

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./|docs/)[^)]*\)")


def on_page_markdown(markdown: str, **_: object) -> str:
    return OUTSIDE.sub(r"\1", markdown)
