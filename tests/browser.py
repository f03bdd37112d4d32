"""Pages as a browser shows them."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 1500, 1200  # pixels of the window
SECONDS = 120

# Snakemake's reports carry Tailwind's script, which says so; nothing else may be said.
TAILWIND = (
    "cdn.tailwindcss.com should not be used in production. To use Tailwind CSS in production, install it as "
    "a PostCSS plugin or use the Tailwind CLI: https://tailwindcss.com/docs/installation"
)

LOOK = """
<script>
setTimeout(() => {
  const places = Object.fromEntries(SELECTORS.map((name) => {
    const found = document.querySelector(name);
    return [name, found && {top: found.getBoundingClientRect().top, naturalWidth: found.naturalWidth}];
  }));
  const seen = {places, text: document.querySelector("#app").innerText, height: window.innerHeight};
  document.body.innerHTML = "<pre id='seen'></pre>";
  document.querySelector("#seen").textContent = encodeURIComponent(JSON.stringify(seen));
}, 3000);
</script>
"""


@dataclass(frozen=True)
class Opened:
    """What a browser shows of a page.

    Attributes
    ----------
    messages
        What was written to the console: errors, warnings and all else.
    places
        By selector, the distance of the first such element from the window's top and, of images, their width.
    text
        All that can be read.
    height
        Of the window, in pixels.
    """

    messages: list[str]
    places: dict[str, dict[str, Any]]
    text: str
    height: int


def opened_in_browser(page: Path, folder: Path, selectors: tuple[str, ...]) -> Opened:
    """Open a page without a network, wait until it is drawn, and look for the ``selectors``.

    Skips the test where there is no browser.

    Parameters
    ----------
    page
        The page.
    folder
        For a copy that looks at itself, and for the browser's own files.
    selectors
        Of CSS.

    Returns
    -------
    Opened
        What is seen.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"opening a page needs a browser: one of {', '.join(BROWSERS)}")
    copy = folder / page.name
    body, end, rest = page.read_text(encoding="utf-8").rpartition("</body>")
    copy.write_text(body + LOOK.replace("SELECTORS", json.dumps(selectors)) + end + rest, encoding="utf-8")
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'browser'}"),
            *(f"--window-size={WIDTH},{HEIGHT}", copy.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    seen = re.search(r"<pre id=.seen.>([^<]*)</pre>", done.stdout)
    assert seen, done.stderr[-2000:]
    messages = re.findall(r':CONSOLE[^]]*\] "(.*)", source: ', done.stderr)
    return Opened(messages=messages, **json.loads(unquote(seen[1])))
