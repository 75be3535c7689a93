"""The library: finding, tagging, deleting with a while to think better of it, collections, a server that is away."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.pages import barriers
from tests.support.serving import REPORT
from tests.support.shelf import hand_in, row, sample

MANUAL = "dunnock-w3-weather-station-manual.pdf"


def test_a_deletion_can_be_taken_back_and_is_told_to_the_server_only_later(site, open_page) -> None:
    page = open_page(f"{site.base_url}/library")
    page.clock.install()
    row(page, "Dunnock").get_by_role("checkbox").check()
    chosen = page.get_by_role("group", name="Selected documents")
    expect(chosen).to_contain_text("1 selected")
    chosen.get_by_role("button", name="Delete").click()
    expect(row(page, "Dunnock")).to_have_count(0)
    notice = page.locator(".undo")
    expect(notice).to_contain_text("in 10 s. Leave the page and nothing is deleted.")
    assert barriers(page) == []
    notice.get_by_role("button", name="Undo").click()
    expect(row(page, "Dunnock")).to_be_visible()
    assert len(site.get("/v1/documents").json()["data"]) == 2
    row(page, "Dunnock").get_by_role("button", name="More about").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(notice).to_be_visible()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.clock.run_for(11_000)
    expect(page.get_by_text("Deleted.", exact=True)).to_be_attached()
    expect(notice).to_have_count(0)
    expect(page.locator(".lib-bar")).to_contain_text("1 document,")
    assert [each["filename"] for each in site.get("/v1/documents").json()["data"]] == [REPORT]
    hand_in(page, sample(MANUAL))  # for the tests that follow
    expect(row(page, "Dunnock").locator(".name small")).to_contain_text("6 pages")
    # A picture that is still being drawn when its document goes is not found.
    page.complaints[:] = [each for each in page.complaints if "404" not in each]


def test_tags_are_written_shown_and_filtered_by(site, open_page) -> None:
    page = open_page(f"{site.base_url}/library")
    row(page, "Skerrow").get_by_role("button", name="More about").click()
    page.get_by_role("menuitem", name="Tags").click()
    dialog = page.get_by_role("dialog", name="Tags")
    dialog.get_by_label("Name").last.fill("year")
    dialog.get_by_label("Value").last.fill("2025")
    assert barriers(page) == []
    dialog.get_by_role("button", name="Save").click()
    expect(row(page, "Skerrow").locator(".tag")).to_have_text("year: 2025")
    assert next(each["metadata"] for each in site.get("/v1/documents").json()["data"] if each["metadata"]) == {
        "year": 2025
    }
    page.get_by_role("button", name="year: 2025", exact=True).click()
    expect(page.locator(".docs li")).to_have_count(1)
    page.get_by_role("button", name="Only year: 2025").click()
    expect(page.locator(".docs li")).to_have_count(2)
    page.get_by_label("Filter by name").fill("dunnock")
    expect(page.locator(".docs li")).to_have_count(1)
    page.get_by_label("Filter by name").fill("nothing of this name")
    expect(page.get_by_role("heading", name="None of this filter.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".docs li")).to_have_count(2)


def test_collections_are_made_renamed_and_removed(site, open_page) -> None:
    page = open_page(f"{site.base_url}/library")
    page.get_by_role("button", name="New collection").click()
    dialog = page.get_by_role("dialog", name="A new collection")
    dialog.get_by_label("Name").fill("ferries")
    dialog.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="ferries")).to_be_visible()
    page.get_by_role("button", name="About this collection").click()
    page.get_by_role("menuitem", name="Rename").click()
    dialog = page.get_by_role("dialog", name="Rename the collection")
    dialog.get_by_label("Name").fill("boats")
    dialog.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="boats")).to_be_visible()
    assert {each["name"] for each in site.get("/v1/collections").json()["data"]} == {"default", "boats"}
    page.get_by_role("button", name="About this collection").click()
    page.get_by_role("menuitem", name="Delete collection").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("heading", name="default")).to_be_visible()
    assert {each["name"] for each in site.get("/v1/collections").json()["data"]} == {"default"}


def test_a_server_that_is_away_is_said_and_waited_for(site, open_page) -> None:
    page = open_page(f"{site.base_url}/library")
    expect(page.locator(".docs li")).to_have_count(2)
    page.context.set_offline(True)
    away = page.get_by_role("alert")
    expect(away).to_contain_text("The server can’t be reached.")
    assert barriers(page) == []
    expect(page.locator(".docs li")).to_have_count(2)
    page.context.set_offline(False)
    expect(away).to_be_hidden()
    page.complaints.clear()  # the browser tells of requests that failed meanwhile
