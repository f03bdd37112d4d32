"""How long each step imports before it works, in new processes, and which large libraries it takes along.

With `--root` of another checkout: two versions of the code are compared by running this twice.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGE = ("torch", "pandas", "scipy.optimize", "scipy.stats", "sklearn", "zarr", "matplotlib", "transformers")
MEASURE = f"""
import importlib, json, sys, time
started = time.perf_counter()
importlib.import_module("dwf_steps." + sys.argv[1])
seconds = time.perf_counter() - started
print(json.dumps([seconds, time.process_time(), [name for name in {LARGE} if name in sys.modules]]))
"""


def steps(root: Path) -> list[str]:
    """Return the modules that rules run: those at the package's top level."""
    return sorted(path.stem for path in (root / "dwf_steps").glob("*.py") if path.stem != "__init__")


def import_once(root: Path, step: str) -> tuple[float, float, list[str]]:
    """Return seconds by the clock, seconds of CPU of the whole process, and the large libraries imported."""
    command = [sys.executable, "-c", MEASURE, step]
    output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    elapsed, cpu, libraries = json.loads(output)
    return elapsed, cpu, libraries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout of the repository")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    names = steps(args.root)
    # One after the other, and all again: a busy moment then costs one sample of many steps, not all of one.
    rounds = [{name: import_once(args.root, name) for name in names} for _ in range(args.repeats)]
    print(f"seconds, medians of {args.repeats}\n{'step':22} {'clock':>6} {'CPU':>6}  large libraries")
    for name in names:
        elapsed = statistics.median(one[name][0] for one in rounds)
        cpu = statistics.median(one[name][1] for one in rounds)
        print(f"{name:22} {elapsed:6.2f} {cpu:6.2f}  {', '.join(rounds[0][name][2])}")


if __name__ == "__main__":
    main()
