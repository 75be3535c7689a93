"""The library's page: rows, and files handed in there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymupdf

from api import samples


def row(page: Any, name: str) -> Any:
    """The row of a document or of a file on its way."""
    return page.locator(".docs li").filter(has_text=name)


def hand_in(page: Any, *files: dict[str, Any]) -> None:
    """Files, by the dialog that the button opens."""
    with page.expect_file_chooser() as choosing:
        page.get_by_role("region", name="Library").get_by_role("button", name="Add documents").first.click()
    choosing.value.set_files(list(files))


def sample(name: str) -> dict[str, Any]:
    """A sample as a file to hand in."""
    with samples.folder() as folder:
        return {"name": name, "mimeType": "application/pdf", "buffer": (folder / name).read_bytes()}


def pdf(name: str, *, pages: int = 1, password: str = "") -> dict[str, Any]:
    """A file to hand in, its pages with a few words each; encrypted where there is a password."""
    paper = pymupdf.open()
    for number in range(1, pages + 1):
        paper.new_page().insert_text((72, 96), f"Page {number} of {name}: crossings and fuel.", fontsize=20)
    locked = {"encryption": pymupdf.PDF_ENCRYPT_AES_256, "user_pw": password} if password else {}
    return {"name": name, "mimeType": "application/pdf", "buffer": paper.tobytes(**locked)}


def drop(page: Any, path: Path, over: Callable[[], None]) -> None:
    """A file or a folder of this machine dragged over the page, where ``over`` is called, and dropped there."""
    browser = page.context.new_cdp_session(page)
    dragged = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": step, "x": 700, "y": 500, "data": dragged})
        if step == "dragOver":
            over()
