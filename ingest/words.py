"""A page's words as bytes: what the catalog stores and gives back.

Layout, zlib-compressed: uint32 n, then uint16 boxes [n, 4] (0–1 scaled to 0–65535), uint16 lines [n], uint16 blocks
[n], then the words as UTF-8 joined by line feeds (a word never contains white space).
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from folioscope.domain import Words, WordSource

SCALE = 65535.0


def pack(words: Words) -> bytes:
    """About 6 bytes a word."""
    boxes = np.rint(np.clip(words.boxes, 0.0, 1.0) * SCALE).astype("<u2")
    numbers = np.stack([words.lines, words.blocks]).clip(0, 65535).astype("<u2")
    text = "\n".join(words.texts).encode()
    return zlib.compress(struct.pack("<I", len(words)) + boxes.tobytes() + numbers.tobytes() + text, 1)


def unpack(blob: bytes, source: WordSource) -> Words:
    """The words that `pack` was given, boxes within 1/131070 of a page."""
    raw = zlib.decompress(blob)
    (n,) = struct.unpack_from("<I", raw)
    boxes = np.frombuffer(raw, "<u2", 4 * n, 4).reshape(n, 4).astype(np.float32) / np.float32(SCALE)
    numbers = np.frombuffer(raw, "<u2", 2 * n, 4 + 8 * n).reshape(2, n).astype(np.int32)
    texts = raw[4 + 12 * n :].decode().split("\n") if n else []
    return Words(texts, boxes, numbers[0], numbers[1], source)
