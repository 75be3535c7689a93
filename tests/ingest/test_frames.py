import json
import struct
from typing import Any

import numpy as np
import pytest

from folioscope.domain import Page, Problem, Words
from ingest import frames

WORDS = Words(
    ["früh", "words", "\U0001d538"],
    np.array([[0, 0, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]], np.float32),
    np.array([0, 0, 1], np.int32),
    np.array([0, 0, 1], np.int32),
    "ocr",
)


def split(frame: bytes) -> tuple[dict[str, Any], bytes]:
    head, body = frames.lengths(frame[:8], 1 << 20)
    assert len(frame) == 8 + head + body
    return frames.header_of(frame[8 : 8 + head]), frame[8 + head :]


@pytest.mark.parametrize(
    "page",
    [
        Page(7, 612.0, 792.5, WORDS, ("blank_render",)),
        Page(7, 0.0, 0.0, Words.empty(), problem=Problem("document_corrupt", "It can't be read.")),
    ],
)
def test_a_page_goes_through(page: Page) -> None:
    got = frames.unpack_page(*split(frames.pack_page(page)), 7)
    assert (got.number, got.width, got.height, got.flags, got.problem) == (
        7, page.width, page.height, page.flags, page.problem,
    )  # fmt: skip
    assert list(got.words.texts) == list(page.words.texts)
    assert got.words.source == page.words.source
    for name in ("boxes", "lines", "blocks"):
        np.testing.assert_array_equal(getattr(got.words, name), getattr(page.words, name))


@pytest.mark.parametrize(
    "change",
    [
        {"number": 8},
        {"words": 2},
        {"words": 4},
        {"words": -1},
        {"words": 10**9},
        {"source": "guess"},
        {"flags": ["no_words", "x"]},
        {"flags": [["no_words"]]},
        {"width": float("nan")},
        {"height": -1},
        {"height": "tall"},
        {"problem": ["code"]},
        {"problem": 5},
    ],
)
def test_a_page_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    header, body = split(frames.pack_page(Page(7, 612, 792, WORDS)))
    with pytest.raises(frames.BadFrame):
        frames.unpack_page(header | change, body, 7)


@pytest.mark.parametrize("box", [(0, 0, 1.5, 1), (-0.1, 0, 1, 1), (0.6, 0, 0.5, 1), (np.nan, 0, 1, 1)])
def test_boxes_off_the_page_are_refused(box: tuple[float, ...]) -> None:
    bad = Words(["x"], np.array([box], np.float32), np.zeros(1, np.int32), np.zeros(1, np.int32), "ocr")
    with pytest.raises(frames.BadFrame, match="boxes"):
        frames.unpack_page(*split(frames.pack_page(Page(1, 1, 1, bad))), 1)


def test_lengths_and_headers_are_checked() -> None:
    with pytest.raises(frames.BadFrame):
        frames.lengths(struct.pack("!II", 1 << 30, 0), 1000)
    with pytest.raises(frames.BadFrame):
        frames.lengths(struct.pack("!II", 10, 1001), 1000)
    for raw in (b"{", b"\xff", b"[1]", b"[" * 60_000):
        with pytest.raises(frames.BadFrame):
            frames.header_of(raw)


def test_an_image_goes_through_and_its_size_is_checked() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    header, body = split(frames.pack_image(image))
    np.testing.assert_array_equal(frames.unpack_image(header, body), image)
    for change in ({"height": 3}, {"width": -3, "height": -2}, {"width": "3"}, {"width": None}):
        with pytest.raises(frames.BadFrame):
            frames.unpack_image(json.loads(json.dumps(header | change)), body)
