"""A checkpoint that ends the run it belongs to, as a killed job would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dwf_steps.storage.checkpoint import Checkpoint


class Interrupted(Exception):
    """Stands for a killed job."""


class InterruptedCheckpoint(Checkpoint):
    """Saves every time it is asked, and ends the run after ``saves`` saves."""

    def __init__(self, path: Path, run: str, saves: int) -> None:
        super().__init__(path, run, every=0)
        self.left = saves

    def save_if_due(self, state: Callable[[], dict[str, Any]]) -> None:
        super().save_if_due(state)
        self.left -= 1
        if not self.left:
            raise Interrupted
