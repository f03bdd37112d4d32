"""Training checkpoints within a job, which only an identical run resumes."""

import hashlib
import logging
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Self

import torch

from dwf_steps.runtime.errors import TERMINATED, InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.torch_files import load_tensors

logger = logging.getLogger(__name__)

DIGEST_BYTES = hashlib.sha256().digest_size


def identity(*parts: str | bytes) -> str:
    """Hash everything that determines a run's result.

    Parameters
    ----------
    parts
        Settings, code fingerprint, data and the like, in a fixed order.

    Returns
    -------
    SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class Checkpoint:
    """A training state on disk, saved every ``every`` seconds at most, and on SIGTERM.

    Used as a context manager, it handles SIGTERM, which a cluster sends before it kills a job: the next
    `save_if_due` saves the state and ends the process with status 143.

    Parameters
    ----------
    path
        The checkpoint file, which ends with its own SHA-256. `discard` removes it when the run is complete.
    run
        `identity` of the run. The state of another run is never resumed.
    every
        Minimum time between two saves, in seconds.
    """

    def __init__(self, path: Path, run: str, every: float = 20.0) -> None:
        self.path, self.run, self.every = path, run, every
        self._saved_at = time.monotonic()
        self._terminating = False

    def __enter__(self) -> Self:
        self._handler = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._handler)

    def _request(self, _signal: int, _frame: FrameType | None) -> None:
        self._terminating = True

    def load(self) -> dict[str, Any] | None:
        """Return the saved state; None if there is none, if it is damaged or if it belongs to another run."""
        if not self.path.is_file():
            return None
        try:
            _verify(self.path)
            content = load_tensors(self.path)
        except InputError as error:
            logger.warning("%s is damaged (%s); starting from the beginning", self.path, error)
            return None
        if content.get("run") != self.run:
            logger.info("%s belongs to a run with other settings, code or data; not used", self.path)
            return None
        return content["state"]

    def save_if_due(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save ``state()`` if the last save is ``every`` seconds ago, or if SIGTERM has arrived.

        Raises
        ------
        SystemExit
            After saving, if SIGTERM has arrived.
        """
        if not self._terminating and time.monotonic() - self._saved_at < self.every:
            return
        with replacing(self.path) as partial, partial.open("w+b") as file:
            torch.save({"run": self.run, "state": state()}, file)
            file.seek(0)
            file.write(hashlib.file_digest(file, "sha256").digest())
        self._saved_at = time.monotonic()
        if self._terminating:
            logger.warning("terminated; the state is in %s, and the next attempt resumes from it", self.path)
            raise SystemExit(TERMINATED)

    def discard(self) -> None:
        """Remove the state from disk."""
        self.path.unlink(missing_ok=True)

    def phase(self, name: str, finished: Mapping[str, Any] = MappingProxyType({})) -> "Phase":
        """Return the checkpoint of one phase of the run, stored in the same file.

        ``finished`` has the results of earlier phases by name; they are saved along with the state.
        """
        return Phase(self, name, finished)


class Phase(Checkpoint):
    """The checkpoint of one phase of a run, in the file of the ``whole`` run, which handles SIGTERM."""

    def __init__(self, whole: Checkpoint, name: str, finished: Mapping[str, Any]) -> None:
        super().__init__(whole.path, whole.run, whole.every)
        self._whole, self._name, self._finished = whole, name, finished

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: the whole run's checkpoint handles SIGTERM."""

    def load(self) -> dict[str, Any] | None:
        return (self._whole.load() or {}).get(self._name)

    def save_if_due(self, state: Callable[[], dict[str, Any]]) -> None:
        self._whole.save_if_due(lambda: {**self._finished, self._name: state()})


def _verify(path: Path) -> None:
    """Raise `InputError` unless the file ends with the SHA-256 of what comes before."""
    left = path.stat().st_size - DIGEST_BYTES
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, 2**22))):
            digest.update(block)
            left -= len(block)
        if digest.digest() != file.read():
            raise InputError("its SHA-256 is not the one it was written with")
