"""A server that asks for a key: nothing is shown before one is given, everything works with it, page images too."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2
import pytest

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from api import samples
from api.keys import Keys
from folioscope.settings import load_settings
from ingest import Library
from tests.support.pages import DIVIDEND, ask, barriers, strokes
from tests.support.serving import REPORT, serving


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx2.Client, str]]:
    """A client of the server, and a key that may read."""
    settings = {"data_dir": tmp_path_factory.mktemp("guarded"), "channels": "lexical", "model": "extractive"}
    with Library(settings=load_settings(settings)) as library, samples.folder() as source:
        library.ingest([source / REPORT])
        _, secret = Keys(library.catalog.database).create("reader", "read")
        with serving(library, needs_key=True) as client:
            yield client, secret


def test_a_key_is_asked_for_and_used_for_everything(guarded, open_page) -> None:
    client, secret = guarded
    page = open_page(f"{client.base_url}")
    dialog = page.get_by_role("dialog", name="This server asks for a key.")
    expect(dialog).to_be_visible()
    assert barriers(page) == []
    expect(page.locator(".book")).to_have_count(0)
    expect(dialog.get_by_role("alert")).to_be_hidden()
    page.get_by_label("Key", exact=True).fill("fol_wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("This key is not accepted.")
    page.get_by_label("Key", exact=True).fill(secret)
    page.get_by_role("button", name="Open").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".book")).to_have_count(1)
    turn = ask(page, DIVIDEND)
    expect(turn.locator(".leaf img").first).to_have_attribute("src", re.compile("^blob:"))
    turn.locator(".answer .cite").first.click()
    assert strokes(page)
    page.reload()
    expect(page.locator(".evidence .paper > img")).to_have_attribute("src", re.compile("^blob:"))
    assert all("401" in said for said in page.complaints)
    page.complaints.clear()  # the browser tells of the two requests without a valid key
