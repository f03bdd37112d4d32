"""Fetching data: from a folder, from archives, from a mirror; and what is said where nothing helps."""

import gzip
import hashlib
import socket
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from idx_files import write_images

from dwf_steps.config.dataset import IDX_FILES, SplitsConfig
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.fetch_data import fetch_data
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import torchvision_datasets


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the mirror be a port that nothing answers at."""
    with socket.socket() as reserved:
        # Bound but not listening.
        reserved.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{reserved.getsockname()[1]}/"
        monkeypatch.setattr(torchvision_datasets().MNIST, "mirrors", [nowhere])
        yield


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the archives of a small MNIST, whose digests torchvision expects."""
    write_images(tmp_path / "original")
    folder = tmp_path / "archives"
    folder.mkdir()
    resources = []
    for name in IDX_FILES:
        packed = gzip.compress((tmp_path / "original/MNIST/raw" / name).read_bytes())
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(torchvision_datasets().MNIST, "resources", resources)
    return folder


@pytest.mark.usefixtures("unreachable")
def test_files_that_are_there_are_copied(tmp_path: Path) -> None:
    write_images(tmp_path / "mine")
    fetch_data("mnist", tmp_path / "mine", tmp_path / "fetched")
    assert contents(tmp_path / "fetched") == contents(tmp_path / "mine")
    first = Path("MNIST/raw", IDX_FILES[0])
    assert not (tmp_path / "mine" / first).samefile(tmp_path / "fetched" / first)


@pytest.mark.usefixtures("unreachable")
def test_archives_that_are_there_are_unpacked(tmp_path: Path, archives: Path) -> None:
    raw = tmp_path / "mine/MNIST/raw"
    raw.mkdir(parents=True)
    for name in IDX_FILES[1:]:
        (archives / f"{name}.gz").rename(raw / f"{name}.gz")
    original = tmp_path / "original"
    (raw / IDX_FILES[0]).write_bytes((original / "MNIST/raw" / IDX_FILES[0]).read_bytes())
    fetch_data("mnist", tmp_path / "mine", tmp_path / "fetched")
    assert contents(tmp_path / "fetched") == contents(original)


def test_an_archive_with_another_digest_is_refused(tmp_path: Path, archives: Path) -> None:
    raw = tmp_path / "mine/MNIST/raw"
    raw.mkdir(parents=True)
    (raw / f"{IDX_FILES[0]}.gz").write_bytes((archives / f"{IDX_FILES[1]}.gz").read_bytes())
    with pytest.raises(InputError, match=f"{IDX_FILES[0]}.gz is not the archive of mnist: its MD5 is not"):
        fetch_data("mnist", tmp_path / "mine", tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_what_is_nowhere_is_downloaded(
    tmp_path: Path, archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mirror(SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, directory=str(archives), **kwargs)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_address[1]}/"
        monkeypatch.setattr(torchvision_datasets().MNIST, "mirrors", [mirror])
        fetch_data("mnist", tmp_path / "nowhere", tmp_path / "fetched")
        server.shutdown()
    assert contents(tmp_path / "fetched") == contents(tmp_path / "original")
    assert len(load_dataset("mnist", SplitsConfig(), tmp_path / "fetched").test) == 50


@pytest.mark.usefixtures("unreachable")
def test_without_a_mirror_the_missing_files_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "mine")
    missing = [tmp_path / "mine/MNIST/raw" / name for name in IDX_FILES[1:3]]
    for path in missing:
        path.unlink()
    with pytest.raises(InputError, match="mnist is not on this machine and cannot be downloaded") as caught:
        fetch_data("mnist", tmp_path / "mine", tmp_path / "fetched")
    assert f"Put these files there, unpacked or in their archives: {missing[0]}, {missing[1]}. Or" in str(
        caught.value
    )
    assert not (tmp_path / "fetched").exists()


@pytest.mark.usefixtures("unreachable")
def test_a_damaged_file_is_not_fetched(tmp_path: Path) -> None:
    write_images(tmp_path / "mine")
    path = tmp_path / "mine/MNIST/raw" / IDX_FILES[2]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InputError, match=f"^mnist cannot be read from {path}: the file has 39215 bytes, expected 39216"
    ):
        fetch_data("mnist", tmp_path / "mine", tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()
