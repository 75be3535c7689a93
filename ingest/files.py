"""Originals and page images, content-addressed.

An original is stored once under the sha256 of its bytes; its file name is metadata and never a path here. Page images
are rendered from the original when asked for and cached by content, page and size; the cache may be deleted any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folioscope.errors import EmptyFile, TooLarge
from ingest.folder import storage_errors

CHUNK = 1 << 20
JPEG_QUALITY = 90
PARTIAL = ".part-"


class Files:
    """``root``: the folder that holds ``originals`` and ``pages``."""

    def __init__(self, root: Path, *, max_bytes: int, cache_bytes: int) -> None:
        self.originals = root / "originals"
        self.pages = root / "pages"
        self._max_bytes = max_bytes
        self._cache_bytes = cache_bytes
        self._guard = threading.Lock()
        self._cached: int | None = None  # bytes in the cache, counted at first use
        with storage_errors(root):
            self.originals.mkdir(parents=True, exist_ok=True)
            self.pages.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the original with this hash lies."""
        return self.originals / sha256[:2] / sha256

    def put(self, source: Path) -> tuple[str, int]:
        """Store a file's bytes; returns (sha256, size). Read in chunks, durable on return.

        Raises `EmptyFile`, `TooLarge`, `DiskFull`, and `OSError` when the source can't be read.
        """
        digest = hashlib.sha256()
        size = 0
        with storage_errors(self.originals):
            copy = tempfile.NamedTemporaryFile(dir=self.originals, prefix=PARTIAL, delete=False)  # noqa: SIM115
        try:
            with copy, source.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    if size > self._max_bytes:
                        raise TooLarge(
                            f"{source.name} has more than {self._max_bytes:,} bytes.", hint="Raise max_file_mb."
                        )
                    with storage_errors(self.originals):
                        copy.write(chunk)
                if size == 0:
                    raise EmptyFile(f"{source.name} is empty (0 bytes).")
                with storage_errors(self.originals):
                    copy.flush()
                    os.fsync(copy.fileno())
            target = self.path(digest.hexdigest())
            if not target.exists():
                with storage_errors(target):
                    target.parent.mkdir(exist_ok=True)
                    Path(copy.name).replace(target)
        finally:
            Path(copy.name).unlink(missing_ok=True)
        return digest.hexdigest(), size

    def tidy(self, known: Collection[str]) -> None:
        """Remove what a killed process left: half-written files, originals that nothing refers to, their images."""
        for path in self.originals.glob(f"{PARTIAL}*"):
            path.unlink(missing_ok=True)
        for path in self.originals.glob("??/*"):
            if path.name not in known:
                self.remove(path.name)
        for path in self.pages.glob(f"*/{PARTIAL}*"):
            path.unlink(missing_ok=True)

    def remove(self, sha256: str) -> None:
        """Delete an original and its page images."""
        self.path(sha256).unlink(missing_ok=True)
        shutil.rmtree(self.pages / sha256, ignore_errors=True)
        self._cached = None

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
