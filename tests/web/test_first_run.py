"""An empty library: from the first look to the first quote that lights up, with nothing but the page."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.pages import DIVIDEND, barriers, strokes


@pytest.mark.slow
def test_from_nothing_to_a_highlighted_citation(empty_site, open_page) -> None:
    page = open_page(f"{empty_site.base_url}")
    expect(page.get_by_role("heading", name="Ask your documents. See the page.")).to_be_visible()
    asks = page.locator(".asks button")
    expect(asks).to_have_count(3)
    assert barriers(page) == []
    asks.get_by_text(DIVIDEND).click()
    expect(page.locator(".turn .facts")).to_contain_text("Reading the sample")
    turn = page.locator("article.turn")
    expect(turn).to_have_attribute("data-status", "answered", timeout=180_000)
    expect(page.locator(".book")).to_have_count(3)
    expect(page.locator(".evidence small")).to_have_text("Page 2 of 6")
    expect(page.locator(".said-bar .verdict")).to_have_text("Word for word")
    assert strokes(page)
