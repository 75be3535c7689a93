"""Originals and page images, content-addressed.

An original is stored once under the sha256 of its bytes; its file name is metadata and never a path here. Page images
are rendered from the original when asked for and cached by content, page and size; the cache may be deleted any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folioscope.errors import EmptyFile, TooLarge
from ingest.folder import storage_errors

CHUNK = 1 << 20
JPEG_QUALITY = 90


class Files:
    """``root``: the folder that holds ``originals`` and ``pages``."""

    def __init__(self, root: Path, *, max_bytes: int, cache_bytes: int) -> None:
        self.originals = root / "originals"
        self.pages = root / "pages"
        self._max_bytes = max_bytes
        self._cache_bytes = cache_bytes
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
        with source.open("rb") as stream:
            expected = os.fstat(stream.fileno()).st_size
            if expected > self._max_bytes:
                raise TooLarge(
                    f"{source.name} has {expected:,} bytes; the limit is {self._max_bytes:,}.",
                    hint="Raise max_file_mb.",
                )
            with storage_errors(self.originals), tempfile.NamedTemporaryFile(dir=self.originals, delete=False) as copy:
                try:
                    while chunk := stream.read(CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
                        copy.write(chunk)
                    if size == 0:
                        raise EmptyFile(f"{source.name} is empty (0 bytes).")
                    copy.flush()
                    target = self.path(digest.hexdigest())
                    if not target.exists():
                        os.fsync(copy.fileno())
                        target.parent.mkdir(exist_ok=True)
                        Path(copy.name).replace(target)
                finally:
                    Path(copy.name).unlink(missing_ok=True)
        return digest.hexdigest(), size

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
        if cached.exists():
            with Image.open(cached) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            os.utime(cached)
            return pixels
        pixels = render()
        if self._cache_bytes:
            with storage_errors(cached):
                cached.parent.mkdir(exist_ok=True)
                partial = cached.with_suffix(f".{os.getpid()}.part")
                Image.fromarray(pixels).save(partial, format="JPEG", quality=JPEG_QUALITY)
                partial.replace(cached)
            self._trim(cached.stat().st_size)
        return pixels

    def _trim(self, added: int) -> None:
        """Drop the images that were not asked for the longest once the cache is over its size."""
        if self._cached is None:
            self._cached = sum(path.stat().st_size for path in self.pages.glob("*/*.jpg"))
        else:
            self._cached += added
        if self._cached <= self._cache_bytes:
            return
        for path in sorted(self.pages.glob("*/*.jpg"), key=lambda path: path.stat().st_mtime):
            if self._cached <= self._cache_bytes * 9 // 10:
                break
            self._cached -= path.stat().st_size
            path.unlink(missing_ok=True)
