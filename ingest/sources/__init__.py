"""Files -> pages. What a file is, is read from its first and last bytes, never from its name.

Sources know nothing of processes and limits on time or memory: they run inside the sandbox (see ``ingest.sandbox``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Page, Words
from folioscope.errors import EmptyFile, UnsupportedType

__all__ = ["LONGEST_LOOK", "PDF", "Recognise", "Source", "detect", "open_file", "open_source", "scale_within"]

PDF = "application/pdf"
LONGEST_LOOK = 1024
SUPPORTED = "PDF, PNG, JPEG, WebP, TIFF, GIF and BMP files can be read."

Recognise = Callable[[NDArray[np.uint8], float], Words]
"""OCR: uint8 [height, width] grey and its resolution in dpi (0: unknown) -> words. Raises `OcrFailed`."""

IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
)

OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or an Office file"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript file"),
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML file"),
)


class Source(Protocol):
    """An opened file."""

    media_type: str
    page_count: int

    def read(self, number: int, recognise: Recognise | None) -> Page:
        """Page ``number`` (from 1) with its words, by ``recognise`` where it needs OCR. Raises `DocumentError`."""
        ...

    def render(self, number: int, long_edge: int) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] RGB, upright; its longer side is ``long_edge`` or less where pixels are limited."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


def detect(head: bytes, tail: bytes = b"") -> str:
    """The media type of a file by its first and last `LONGEST_LOOK` bytes.

    A PDF's header may come late (within the first 1,024 bytes, as PDF readers have it) or be lost, where its end mark
    still names it. Raises `EmptyFile` and `UnsupportedType`.
    """
    if not head:
        raise EmptyFile("The file has 0 bytes.", hint="Get it again from where it came from.")
    for magic, media_type in IMAGES:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "image/bmp"
    known = _known_other(head)
    if known is None and (b"%PDF" in head or b"%%EOF" in tail or b"startxref" in tail):
        return PDF
    raise UnsupportedType(f"The file is {known or 'of a type that is not known'}.", hint=SUPPORTED)


def _known_other(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return "an HEIC, AVIF or video file"
    start = head.lstrip(b"\xef\xbb\xbf\r\n\t ")[:32].lower()
    for magic, name in OTHERS:
        if head.startswith(magic) or start.startswith(magic.lower()):
            return name
    return None


def open_source(path: Path, password: str | None, *, max_pages: int, max_pixels: int) -> Source:
    """Open a file by its content. Raises the subclasses of `DocumentError`; ``OSError`` where it can't be read."""
    return open_file(path.open("rb"), password, max_pages=max_pages, max_pixels=max_pixels)


def open_file(file: BinaryIO, password: str | None, *, max_pages: int, max_pixels: int) -> Source:
    """As `open_source`, of a file that is open already, on disk. It is closed with the source, or where that fails."""
    try:
        media_type = detect(*_ends(file))
        if media_type == PDF:
            from ingest.sources.pdf import PdfSource

            return PdfSource(file, password, max_pages=max_pages, max_pixels=max_pixels)
        from ingest.sources.image import ImageSource

        return ImageSource(file, media_type, max_pages=max_pages, max_pixels=max_pixels)
    except BaseException:
        file.close()
        raise


def _ends(file: BinaryIO) -> tuple[bytes, bytes]:
    """The first and the last `LONGEST_LOOK` bytes."""
    head = file.read(LONGEST_LOOK)
    file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_LOOK))
    tail = file.read(LONGEST_LOOK)
    file.seek(0)
    return head, tail


def scale_within(width: float, height: float, scale: float, max_pixels: int) -> float:
    """``scale``, or less where the raster of ``width`` x ``height``, its sides rounded up, passes ``max_pixels``."""
    both, area = width + height, width * height
    return float(min(scale, ((both**2 + 4 * area * (max_pixels - 1)) ** 0.5 - both) / (2 * area)))
