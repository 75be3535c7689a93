"""Handing files in: what becomes of each, that it is searched at once; trying again."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="needs the package playwright")

from playwright.sync_api import expect

from tests.support.pages import barriers
from tests.support.serving import REPORT
from tests.support.shelf import hand_in, row, sample


def test_from_an_empty_library_to_a_search_and_back(empty_site, open_page) -> None:
    page = open_page(f"{empty_site.base_url}/library")
    expect(page.get_by_role("heading", name="Nothing here yet.")).to_be_visible()
    assert barriers(page) == []
    hand_in(page, sample(REPORT))
    expect(row(page, "Skerrow ferries")).to_contain_text("6 pages")
    expect(row(page, "Skerrow ferries").locator(".state")).to_have_text("Ready")
    expect(row(page, "Skerrow ferries").locator(".channels")).to_have_text("Lexical")
    hand_in(
        page, {**sample(REPORT), "name": "copy.pdf"}, {"name": "broken.pdf", "mimeType": "", "buffer": b"%PDF-1.7 no"}
    )
    same = row(page, "Copy")
    expect(same).to_contain_text("Same file as Skerrow ferries annual report 2025")
    expect(same).to_contain_text("Nothing was added.")
    expect(row(page, "Broken").locator(".state.bad")).to_contain_text("Could not be read")
    hand_in(page, {"name": "notes.exe", "mimeType": "", "buffer": b"MZ\x00\x00"})
    expect(row(page, "Notes").locator(".state.bad")).to_contain_text("Refused")
    page.complaints.clear()  # the browser tells of the file that the server refused
    assert barriers(page) == []
    same.get_by_role("button", name="Dismiss").click()
    expect(same).to_have_count(0)
    row(page, "Broken").get_by_role("button", name="Retry").click()
    expect(row(page, "Broken").locator(".state.bad")).to_be_visible()
    # Searched as soon as it is there.
    page.goto(f"{empty_site.base_url}/?search=dividend")
    expect(page.locator(".hit").first).to_contain_text("Skerrow")
