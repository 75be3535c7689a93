"""The library's page: rows, and files handed in there."""

from __future__ import annotations

from typing import Any

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
