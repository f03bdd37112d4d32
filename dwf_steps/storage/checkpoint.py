"""Checkpoints of training inside a job: written whole, used only by the run they belong to."""

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dwf_steps.errors import InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.torch_files import load_tensors

logger = logging.getLogger(__name__)


def identity(*parts: str | bytes) -> str:
    """Return a digest of everything that decides a run's result: settings, code, data."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class Checkpoint:
    """A training state on disk, saved at most once every ``every`` seconds.

    Parameters
    ----------
    path
        Where the state lies; removed by `discard` when the run is complete.
    run
        `identity` of the run. A state of another run is never resumed.
    every
        Seconds between two saves.
    """

    def __init__(self, path: Path, run: str, every: float = 20.0) -> None:
        self.path, self.run, self.every = path, run, every
        self._saved_at = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return the saved state of this very run, or None."""
        if not self.path.is_file():
            return None
        try:
            content = load_tensors(self.path)
        except InputError as error:
            logger.warning("%s is damaged (%s); starting from the beginning", self.path, error)
            return None
        if content.get("run") != self.run:
            logger.info("%s belongs to other settings, code or data; not used", self.path)
            return None
        return content["state"]

    def save_if_due(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save ``state()`` when the last save is long enough ago."""
        if time.monotonic() - self._saved_at >= self.every:
            with replacing(self.path) as partial:
                torch.save({"run": self.run, "state": state()}, partial)
            self._saved_at = time.monotonic()

    def discard(self) -> None:
        """Remove the state from disk."""
        self.path.unlink(missing_ok=True)
