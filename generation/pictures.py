"""Page images as files that a model takes."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Picture, PictureLimits
from folioscope.errors import PromptTooLong

QUALITY = 85
"""Of the JPEG: print stays sharp, and a page of 1,600 pixels takes about 300 KB."""

SMALLEST = 64
"""Pixels of the longer side under which a page is no picture any more."""


def picture(image: NDArray[np.uint8], limits: PictureLimits) -> Picture:
    """``image``, uint8 [height, width, 3] RGB, as a JPEG within the limits; made smaller as far as they ask for it.

    Raises `PromptTooLong` where even `SMALLEST` pixels take more than ``limits.max_bytes``.
    """
    from PIL import Image

    whole = Image.fromarray(image)
    edge = min(limits.long_edge, max(whole.size))
    while True:
        share = edge / max(whole.size)
        size = (max(1, round(whole.width * share)), max(1, round(whole.height * share)))
        out = io.BytesIO()
        (whole if size == whole.size else whole.resize(size, Image.Resampling.LANCZOS)).save(
            out, "JPEG", quality=QUALITY
        )
        if out.tell() <= limits.max_bytes:
            return Picture(out.getvalue(), "image/jpeg", *size)
        if edge <= SMALLEST:
            raise PromptTooLong(
                f"A page takes {out.tell():,} bytes at {edge} pixels; the model takes {limits.max_bytes:,}.",
                hint="Choose another model.",
            )
        edge = max(SMALLEST, edge * 3 // 4)
