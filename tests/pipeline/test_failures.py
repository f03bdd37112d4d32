"""Whoever types `make results` sees why a step failed."""

import re
from collections.abc import Callable

from checkout import ROOT, Checkout

from dwf_steps.pipeline.failures import LINES


def test_a_run_that_is_quiet_about_rules_shows_a_failed_steps_log(
    new_checkout: Callable[[], Checkout],
) -> None:
    quiet = re.search(r"snakemake all (--quiet [\w ]+)", (ROOT / "Makefile").read_text())
    assert quiet is not None
    checkout = new_checkout()
    step = checkout.folder / "dwf_steps/divide_data.py"
    works = step.read_text()
    lines = f"[print('line', i) for i in range({LINES + 50})]"
    failing = f"def main() -> None:\n    {lines}\n    raise RuntimeError('no such luck')\n"
    step.write_text(works.replace("def main() -> None:\n", failing))
    output = checkout.snakemake("zoos", *quiet[1].split(), check=False)
    shown = output.partition("divide_data failed. Its log, results/logs/micro/divide_data.log, ends with:\n")[
        2
    ]
    assert "RuntimeError: no such luck" in shown
    assert f"line {LINES + 49}\n" in shown and "line 10\n" not in shown
    assert "rule divide_data:" not in output  # quiet about rules it is
