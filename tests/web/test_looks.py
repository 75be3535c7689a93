"""How the page looks, against pictures of how it looked: both themes, wide and narrow.

The pictures are a quarter as large as the page, so that other fonts hardly count, but a pane that is missing, a theme
that is mixed or a column that has moved does. ``WRITE_LOOKS=1`` makes them anew, to be looked at before they are kept.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.pages import DIVIDEND, ask, strokes

LOOKS = Path(__file__).with_name("looks")
SMALLER = 4
TOLERANCE = 4.0  # mean difference of a channel, of 255; an empty page differs by more than 10
CASES = [
    ("answer", 1440, "light"), ("answer", 360, "dark"), ("library", 1440, "dark"), ("library", 360, "light"),
    ("settings", 1440, "light"), ("settings", 360, "dark"),
]  # fmt: skip


def small(shot: bytes) -> Image.Image:
    """A quarter as wide and high."""
    whole = Image.open(io.BytesIO(shot)).convert("RGB")
    return whole.resize((whole.width // SMALLER, whole.height // SMALLER), Image.Resampling.BOX)


@pytest.mark.parametrize(("room", "width", "theme"), CASES)
def test_it_looks_as_it_did(site, open_page, room: str, width: int, theme: str) -> None:
    page = open_page(
        f"{site.base_url}/{'' if room == 'answer' else room}",
        width=width,
        height=800,
        color_scheme=theme,
        reduced_motion="reduce",
    )
    if room == "answer":
        ask(page, DIVIDEND).locator(".answer .cite").first.click()
        assert strokes(page)
    elif room == "library":
        expect(page.locator(".doc-row .cover img[src]")).to_have_count(2)
    else:
        expect(page.locator(".option .waiting")).to_have_count(0)
        expect(page.locator("#set-channels .option")).to_have_count(4)
    page.mouse.move(0, 0)
    seen = small(
        page.screenshot(mask=[page.locator(".facts"), page.get_by_text("Folioscope 0.")], mask_color="#808080")
    )
    path = LOOKS / f"{room}-{width}-{theme}.png"
    if os.environ.get("WRITE_LOOKS"):
        LOOKS.mkdir(exist_ok=True)
        seen.quantize(64).save(path, optimize=True)
    kept = Image.open(path).convert("RGB")
    assert kept.size == seen.size
    difference = np.abs(np.asarray(kept, np.int16) - np.asarray(seen, np.int16)).mean()
    assert difference < TOLERANCE
