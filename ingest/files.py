"""Originals and page images, content-addressed.

An original is stored once under the sha256 of its bytes, in a folder or on S3 (`ingest.originals`); its file name is
metadata and never a path here. Page images are rendered from the original when asked for and cached in the data
folder by content, page and size; the cache may be deleted any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from folioscope.errors import EmptyFile, TooLarge
from folioscope.settings import Settings
from ingest.database import Database
from ingest.folder import storage_errors
from ingest.originals import PARTIAL, Folder, Originals, SharedFolder

CHUNK = 1 << 20
JPEG_QUALITY = 90


def open_originals(settings: Settings, root: Path, database: Database) -> Originals:
    """Where the settings want originals. Raises `ConfigError`, `StorageError`."""
    if not settings.files_url:
        return Folder(root / "originals")
    if settings.files_url.startswith("file://"):
        return SharedFolder(settings.files_url, owner=database.identity())
    from ingest.bucket import Bucket

    cache_bytes = settings.files_cache_mb << 20
    return Bucket(
        settings.files_url, settings.files_endpoint, root / "cache", cache_bytes=cache_bytes, owner=database.identity()
    )


@dataclass(frozen=True, slots=True)
class Staged:
    """A copy of a file's bytes on its way into storage: its path, hash and size in bytes."""

    path: Path
    sha256: str
    size: int


class Files:
    """``root``: the folder that holds ``pages``, the cache of page images."""

    def __init__(self, root: Path, originals: Originals, *, max_bytes: int, cache_bytes: int) -> None:
        self.originals = originals
        self.pages = root / "pages"
        self._max_bytes = max_bytes
        self._cache_bytes = cache_bytes
        self._guard = threading.Lock()
        self._cached: int | None = None  # bytes in the cache, counted at first use
        with storage_errors(root):
            self.pages.mkdir(parents=True, exist_ok=True)
            for path in self.pages.glob(f"*/{PARTIAL}*"):  # of a process that was killed
                path.unlink(missing_ok=True)

    @contextmanager
    def stage(self, source: Path) -> Iterator[Staged]:
        """A durable copy of a file, for `keep`; read in chunks, gone at the end unless it was kept.

        Raises `EmptyFile`, `TooLarge`, `DiskFull`, and `OSError` when the source can't be read.
        """
        folder = self.originals.folder
        with storage_errors(folder):
            copy = tempfile.NamedTemporaryFile(dir=folder, prefix=PARTIAL, delete=False)  # noqa: SIM115
        try:
            with copy:
                sha256, size = self._copy(source, copy, folder)
            yield Staged(Path(copy.name), sha256, size)
        finally:
            Path(copy.name).unlink(missing_ok=True)

    def _copy(self, source: Path, copy: IO[bytes], folder: Path) -> tuple[str, int]:
        digest = hashlib.sha256()
        size = 0
        with source.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if size > self._max_bytes:
                    raise TooLarge(f"{source.name} has more than {self._max_bytes:,} bytes.", hint="Raise max_file_mb.")
                with storage_errors(folder):
                    copy.write(chunk)
        if size == 0:
            raise EmptyFile(f"{source.name} is empty (0 bytes).")
        with storage_errors(folder):
            copy.flush()
            os.fsync(copy.fileno())
        return digest.hexdigest(), size

    def keep(self, staged: Staged) -> None:
        """Store the bytes for good; once is enough. Raises `StorageError`."""
        self.originals.keep(staged.path, staged.sha256)

    def tidy(self, unwanted: Callable[[str], AbstractContextManager[bool]]) -> None:
        """Remove what a killed process left: originals that nothing refers to, their images.

        ``unwanted``: whether nothing refers to an original, which stays so within the context.
        """
        for sha256 in {*self.originals.hashes(), *(path.name for path in self.pages.iterdir())}:
            with unwanted(sha256) as yes:
                if yes:
                    self.remove(sha256)

    def remove(self, sha256: str) -> None:
        """Delete an original and its page images."""
        shutil.rmtree(self.pages / sha256, ignore_errors=True)
        self._cached = None
        self.originals.remove(sha256)

    def image(
        self, sha256: str, page: int, long_edge: int, render: Callable[[], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        """The page's image, uint8 [h, w, 3] RGB; ``render`` makes it when it is not cached."""
        from PIL import Image

        cached = self.pages / sha256 / f"{page}-{long_edge}.jpg"
        with contextlib.suppress(FileNotFoundError):
            with Image.open(cached) as picture:
                kept = np.asarray(picture.convert("RGB"))
            os.utime(cached)
            return kept
        pixels = render()
        if self._cache_bytes:
            with storage_errors(cached):
                cached.parent.mkdir(exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=cached.parent, prefix=PARTIAL, delete=False) as partial:
                    Image.fromarray(pixels).save(partial, format="JPEG", quality=JPEG_QUALITY)
                    size = partial.tell()
                Path(partial.name).replace(cached)
            self._trim(size)
        return pixels

    def _trim(self, added: int) -> None:
        """Drop the images that were not asked for the longest once the cache is over its size."""
        with self._guard:
            if self._cached is not None and self._cached + added <= self._cache_bytes:
                self._cached += added
                return
            images = []
            for path in self.pages.glob("*/*.jpg"):
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    images.append((stat.st_mtime, stat.st_size, path))
            self._cached = sum(size for _, size, _ in images)
            if self._cached <= self._cache_bytes:
                return
            for _, size, path in sorted(images):
                if self._cached <= self._cache_bytes * 9 // 10:
                    break
                self._cached -= size
                path.unlink(missing_ok=True)
