"""Fetching data without internet says what to copy."""

import socket
from pathlib import Path

import pytest

from dwf_steps.datasets.torchvision_import import torchvision_datasets
from dwf_steps.errors import InputError
from dwf_steps.fetch_data import fetch


def test_without_a_mirror_the_missing_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as reserved:
        # Bound but not listening: nothing answers there.
        reserved.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{reserved.getsockname()[1]}/"
        monkeypatch.setattr(torchvision_datasets().MNIST, "mirrors", [nowhere])
        with pytest.raises(InputError, match="mnist could not be downloaded") as caught:
            fetch("mnist", tmp_path)
    for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        assert str(tmp_path / "MNIST/raw" / name) in str(caught.value)
