"""What MkDocs does besides what mkdocs.yml says: formulas become MathML, which needs no script from another
server, and files outside docs/ are named, not linked."""

import re
from html import unescape

from latex2mathml.converter import convert

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./|docs/)[^)]*\)")
FORMULA = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)


def on_page_markdown(markdown: str, **_: object) -> str:
    return OUTSIDE.sub(r"\1", markdown)


def on_page_content(html: str, **_: object) -> str:
    return FORMULA.sub(lambda formula: convert(unescape(formula[1])), html)
