"""What a child process of the sandbox says to its parent: frames of a JSON header and raw bytes.

A frame is two uint32 (length of header, length of body), the header, the body. Nothing in it is ever executed or
unpickled, and the reader checks every length, number and box, since the writer may have been taken over by a file.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Page, PageFlag, Problem, Words, WordSource

LENGTHS = struct.Struct("!II")
MOST_HEADER = 65_536
BYTES_A_WORD = 24  # four float32, two int32


class BadFrame(Exception):
    """The child sent something that is no frame or no page."""


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    """A frame."""
    head = json.dumps(header).encode()
    return LENGTHS.pack(len(head), len(body)) + head + body


def lengths(start: bytes, most_body: int) -> tuple[int, int]:
    """Lengths of header and body from a frame's first 8 bytes. Raises `BadFrame` where they are out of bounds."""
    head, body = LENGTHS.unpack(start)
    if head > MOST_HEADER or body > most_body:
        raise BadFrame(f"a frame of {head} + {body} bytes")
    return head, body


def header_of(raw: bytes) -> dict[str, Any]:
    """A frame's header. Raises `BadFrame` unless it is a JSON object."""
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadFrame("a header that is not JSON") from None
    if not isinstance(header, dict):
        raise BadFrame("a header that is no object")
    return header


def pack_page(page: Page) -> bytes:
    """A page as a frame: numbers in the header, then boxes, lines, blocks and the words joined by line feeds."""
    words = page.words
    header = {
        "kind": "page",
        "number": page.number,
        "width": page.width,
        "height": page.height,
        "flags": page.flags,
        "problem": [page.problem.code, page.problem.message[:2000]] if page.problem else None,
        "source": words.source,
        "words": len(words),
    }
    arrays = (words.boxes.astype("<f4"), words.lines.astype("<i4"), words.blocks.astype("<i4"))
    return pack(header, b"".join(array.tobytes() for array in arrays) + "\n".join(words.texts).encode())


def unpack_page(header: dict[str, Any], body: bytes, number: int) -> Page:
    """Page ``number`` from its frame. Raises `BadFrame` for whatever `pack_page` would not have written."""
    try:
        if header["number"] != number:
            raise BadFrame(f"page {header['number']!r} in place of {number}")
        width, height = float(header["width"]), float(header["height"])
        flags = tuple(header["flags"])
        problem = Problem(*map(str, header["problem"])) if header["problem"] else None
        words = _words(body, int(header["words"]), header["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadFrame(f"a page that makes no sense: {error}") from None
    if not (math.isfinite(width) and math.isfinite(height) and min(width, height) >= 0):
        raise BadFrame(f"a page of {width} x {height}")
    if any(flag not in get_args(PageFlag) for flag in flags):
        raise BadFrame(f"flags {flags}")
    return Page(number, width, height, words, flags, problem)


def _words(body: bytes, count: int, source: WordSource) -> Words:
    if source not in get_args(WordSource) or not 0 <= count * BYTES_A_WORD <= len(body):
        raise ValueError(f"{count} words of {source!r} in {len(body)} bytes")
    texts = body[count * BYTES_A_WORD :].decode().split("\n") if count else []
    if len(texts) != count or not all(texts):
        raise ValueError(f"{len(texts)} texts for {count} words")
    boxes = np.frombuffer(body, "<f4", 4 * count).reshape(count, 4).astype(np.float32)
    numbers = np.frombuffer(body, "<i4", 2 * count, 16 * count).reshape(2, count).astype(np.int32)
    inside = (boxes >= 0).all() and (boxes <= 1).all()  # NaN is neither
    if not inside or (boxes[:, 0] > boxes[:, 2]).any() or (boxes[:, 1] > boxes[:, 3]).any():
        raise ValueError("boxes off the page")
    return Words(texts, boxes, numbers[0], numbers[1], source)


def pack_image(image: NDArray[np.uint8]) -> bytes:
    """An image, uint8 [height, width, 3], as a frame."""
    return pack({"kind": "image", "height": image.shape[0], "width": image.shape[1]}, image.tobytes())


def unpack_image(header: dict[str, Any], body: bytes) -> NDArray[np.uint8]:
    """An image, uint8 [height, width, 3], from its frame. Raises `BadFrame` where sizes don't agree."""
    height, width = header.get("height"), header.get("width")
    if not (isinstance(height, int) and isinstance(width, int) and min(height, width) > 0):
        raise BadFrame(f"an image of {width!r} x {height!r}")
    if height * width * 3 != len(body):
        raise BadFrame(f"an image of {width} x {height} in {len(body)} bytes")
    return np.frombuffer(body, np.uint8).reshape(height, width, 3)
