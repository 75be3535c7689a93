"""Make the pictures of the web page in the README: ``python scripts/make_screenshots.py``.

Reads the sample documents into a new data folder, asks, and writes docs/images/*.webp. Needs Chromium on the PATH and
the extra ``dev``.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from api import samples
from benchmarks.web import fill, server

IMAGES = Path(__file__).parent.parent / "docs" / "images"
QUALITY = 80  # of WebP
SETTLED_MS = 1500  # until the marker is drawn and images are there


def keep(page: Any, name: str) -> None:
    """What the page shows, as docs/images/<name>.webp."""
    page.mouse.move(0, 0)
    page.wait_for_selector(":is(.leaf, .paper, .cover) img:not([src], [hidden] img)", state="detached")
    page.wait_for_timeout(SETTLED_MS)
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(IMAGES / f"{name}.webp", quality=QUALITY, method=6)


def take(address: str) -> None:
    """An answer with its page in both themes, on a phone, and the library."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        question = samples.questions()[0].question
        browser.new_context().request.post(f"{address}/v1/ask", data={"question": question})  # models are loaded once
        for name, width, height, scheme in (
            ("answer-light", 1440, 900, "light"),
            ("answer-dark", 1440, 900, "dark"),
            ("answer-phone", 390, 844, "light"),
        ):
            page: Any = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(address)
            page.fill("#question", question)
            page.press("#question", "Enter")
            page.wait_for_selector("article[data-status]")
            page.locator(".answer .cite").first.click()
            keep(page, name)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        page.goto(f"{address}/library")
        page.wait_for_selector(".doc-row .name a")
        keep(page, "library")
        browser.close()


def main() -> None:
    """Write all of them."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        with server(Path(folder)) as address:
            take(address)


if __name__ == "__main__":
    main()
