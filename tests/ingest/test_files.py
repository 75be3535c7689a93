import hashlib
from pathlib import Path

import numpy as np
import pytest

from folioscope.errors import EmptyFile, TooLarge
from ingest.files import Files
from ingest.originals import Folder


@pytest.fixture
def files(tmp_path: Path) -> Files:
    root = tmp_path / "data"
    return Files(root, Folder(root / "originals"), max_bytes=1 << 20, cache_bytes=60_000)


def test_an_original_is_stored_once_by_its_bytes(files: Files, tmp_path: Path) -> None:
    for name in ("a.pdf", "../b.pdf"):
        source = tmp_path / "data" / name
        source.write_bytes(b"same bytes")
        with files.stage(source) as staged:
            files.keep(staged)
        sha256 = staged.sha256
        assert (sha256, staged.size) == (hashlib.sha256(b"same bytes").hexdigest(), 10)
    stored = [path for path in files.originals.folder.rglob("*") if path.is_file()]
    assert list(files.originals.hashes()) == [sha256]
    with files.originals.open(sha256) as path:
        assert stored == [path]
    assert stored[0].read_bytes() == b"same bytes"
    files.remove(sha256)
    assert not files.originals.has(sha256)


def test_empty_and_too_large_files_leave_nothing_behind(files: Files, tmp_path: Path) -> None:
    source = tmp_path / "x"
    source.write_bytes(b"")
    with pytest.raises(EmptyFile), files.stage(source):
        pass
    source.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(TooLarge, match="1,048,576"), files.stage(source):
        pass
    assert not any(path.is_file() for path in files.originals.folder.rglob("*"))


def test_page_images_are_rendered_once_and_the_cache_stays_within_its_size(files: Files) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (100, 80, 3), np.uint8)
    calls = []

    def render() -> np.ndarray:
        calls.append(1)
        return noise

    first = files.image("ab" * 32, 1, 100, render)
    second = files.image("ab" * 32, 1, 100, render)
    assert len(calls) == 1
    assert first.shape == second.shape == (100, 80, 3)
    for page in range(2, 20):
        files.image("ab" * 32, page, 100, render)
    kept = list(files.pages.glob("*/*.jpg"))
    assert sum(path.stat().st_size for path in kept) <= 60_000
    assert files.pages / ("ab" * 32) / "19-100.jpg" in kept
    assert files.pages / ("ab" * 32) / "1-100.jpg" not in kept


def test_threads_that_ask_for_the_same_page_all_get_it(files: Files) -> None:
    from concurrent.futures import ThreadPoolExecutor

    noise = np.random.default_rng(0).integers(0, 255, (50, 40, 3), np.uint8)
    with ThreadPoolExecutor(4) as threads:
        got = list(threads.map(lambda page: files.image("cd" * 32, page % 3, 50, lambda: noise), range(60)))
    assert all(image.shape == (50, 40, 3) for image in got)
