"""Mark quoted words on a page image, as with a felt pen: yellow is evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Box
from folioscope.errors import StorageError

MARKER = (255, 232, 64)
"""The marker's colour, RGB."""

DARK = 96
"""Mean brightness (0-255) under which multiplying hides the mark: there an outline is drawn as well."""

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def draw(image: NDArray[np.uint8], boxes: Sequence[Box], *, colour: tuple[int, int, int] = MARKER) -> NDArray[np.uint8]:
    """A copy of ``image``, uint8 [height, width, 3] RGB, with ``boxes`` marked.

    The colour is multiplied in, so white paper takes it and print stays as dark as it was; where boxes overlap it is
    laid on once. On dark ground the box gets a thin outline.
    """
    marked = image.copy()
    pen = np.array(colour, np.uint16)
    for box in boxes:
        x0, y0, x1, y1 = _pixels(box, image.shape)
        ground = image[y0:y1, x0:x1]
        marked[y0:y1, x0:x1] = ground * pen // 255
        if ground.mean() < DARK:
            _outline(marked[y0:y1, x0:x1], colour, width=max(1, image.shape[0] // 600))
    return marked


def save(image: NDArray[np.uint8], path: str | Path) -> None:
    """Write uint8 [height, width, 3] RGB as PNG, JPEG or WebP, by the name's ending.

    Raises `StorageError` when the ending is another or the file can't be written.
    """
    from PIL import Image

    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise StorageError(
            f"Can't tell what kind of image {path.name!r} should be.", hint=f"Let it end in {', '.join(FORMATS)}."
        )
    try:
        Image.fromarray(image).save(path, kind, quality=90)
    except OSError as error:
        raise StorageError(
            f"Can't write {path}: {error.strerror or error}.", hint="Choose a folder that exists and is writable."
        ) from error


def _pixels(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The pixels that a box touches, at least one; stops exclusive."""
    height, width = shape[:2]
    x0, y0 = min(int(box.x0 * width), width - 1), min(int(box.y0 * height), height - 1)
    x1, y1 = int(np.ceil(box.x1 * width)), int(np.ceil(box.y1 * height))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _outline(part: NDArray[np.uint8], colour: tuple[int, int, int], width: int) -> None:
    for edge in (part[:width], part[-width:], part[:, :width], part[:, -width:]):
        edge[:] = colour
