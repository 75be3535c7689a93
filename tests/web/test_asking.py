"""Asking and searching without a model: pages, citations, what lights up, what is copied."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.pages import DIVIDEND, QUOTE, ask, assert_marked, barriers, boxes_of, found, page_with
from tests.support.shelf import pdf


def test_a_chip_opens_the_page_with_the_marker_over_the_quoted_words(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    turn = ask(page, DIVIDEND)
    expect(turn.locator(".leaf")).to_have_count(found(site, DIVIDEND))
    page.keyboard.press("Escape")
    expect(page.locator(".evidence")).to_be_hidden()
    turn.locator(".answer .cite").first.click()
    expect(page.locator(".evidence h2")).to_have_text("Skerrow ferries annual report 2025")
    expect(page.locator(".evidence small")).to_have_text("Page 2 of 6")
    expect(page.locator(".said-bar .verdict")).to_have_text("Word for word")
    _, number, words = page_with(site, QUOTE)
    assert number == 2
    assert_marked(page, boxes_of(words, QUOTE))
    # In pixels, too: the words' ground has become yellow.
    stroke = page.locator(".evidence .stroke.strong").first.bounding_box()
    clip = {"x": stroke["x"] + 1, "y": stroke["y"] + 1, "width": 3, "height": 3}
    red, green, blue = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB").getpixel((1, 1))
    assert red > 200
    assert green > 180
    assert blue < 140


def test_hovering_or_focusing_a_chip_lights_its_claim_and_its_row(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    turn = ask(page, DIVIDEND)
    page.keyboard.press("Escape")
    expect(turn.locator(".claim.lit")).to_have_count(0)
    turn.locator(".answer .cite").first.hover()
    expect(turn.locator(".claim.lit")).to_have_count(1)
    expect(turn.locator('.quote[aria-current="true"]')).to_have_count(1)
    page.mouse.move(0, 0)
    expect(turn.locator(".claim.lit")).to_have_count(0)
    turn.locator(".answer .cite").first.focus()
    expect(turn.locator(".claim.lit")).to_have_count(1)


def test_without_a_model_the_badge_says_so_and_how_to_set_one(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    badge = ask(page, DIVIDEND).locator(".badge")
    expect(badge).to_contain_text("no model is set")
    expect(badge.locator("code")).to_have_text("FOLIOSCOPE_MODEL=ollama:qwen3-vl:8b folioscope serve")


def test_the_answer_is_copied_with_its_citations(site, open_page) -> None:
    page = open_page(f"{site.base_url}", permissions=["clipboard-read", "clipboard-write"])
    turn = ask(page, DIVIDEND)
    turn.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator(".toast")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    answer, _, citations = copied.partition("\n")
    assert answer == "The board proposes a dividend of 0.35 euros a share, after two years in which we paid none. [1]"
    assert QUOTE in citations
    assert "[1] “" in citations
    assert "annual-report-2025.pdf, page 2, http://127.0.0.1" in copied


def test_only_searching_shows_pages_with_what_they_were_found_by(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    page.fill("#question", "fuel burnt per crossing")
    page.press("#question", "Control+Enter")
    first = page.locator(".hit").first
    expect(first).to_contain_text("page 5")
    expect(first.locator(".ranks")).to_have_text("lexical 1st")
    expect(first.locator("mark").first).to_be_visible()
    assert page.url.endswith("/?search=fuel%20burnt%20per%20crossing")
    first.click()
    expect(page.locator(".evidence small")).to_have_text("Page 5 of 6")
    page.go_back()
    expect(page.locator(".evidence")).to_be_hidden()
    expect(first).to_be_focused()


def test_going_back_leads_to_the_room_that_was_left(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    turn = ask(page, DIVIDEND)
    turn.locator(".answer .cite").first.click()
    page.get_by_role("link", name="Library").click()
    expect(page.locator(".evidence")).to_be_hidden()
    page.locator(".doc-row .name a").first.click()
    expect(page.locator(".evidence")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("region", name="Library")).to_be_visible()
    expect(page.locator(".evidence")).to_be_hidden()
    page.go_back()
    expect(page.locator(".evidence")).to_be_visible()
    expect(turn).to_be_visible()


def test_a_question_about_another_collection_begins_another_conversation(site, open_page) -> None:
    site.post("/v1/collections", json={"name": "boats"}).raise_for_status()
    try:
        page = open_page(f"{site.base_url}")
        ask(page, DIVIDEND)
        page.keyboard.press("Escape")
        chooser = page.get_by_label("Collection", exact=True)
        chooser.select_option("boats")
        expect(page.locator("article.turn")).to_be_visible()  # what was answered can still be read
        with page.expect_file_chooser() as choosing:
            page.get_by_role("navigation").get_by_role("button", name="Add documents").click()
        with page.expect_response(lambda each: each.url.endswith("/v1/collections")):
            choosing.value.set_files(pdf("Timetable.pdf"))
        expect(page.locator(".book")).to_have_count(1)
        expect(chooser).to_have_value("boats")
        page.fill("#question", "What do crossings burn?")
        page.press("#question", "Enter")
        expect(page.locator("article.turn")).to_have_count(1)
        expect(page.locator("article.turn")).to_have_attribute("data-status", re.compile("."))
        expect(page.locator("article.turn .leaf").first).to_contain_text("Timetable")
        newest, before = site.get("/v1/conversations").json()["data"][:2]
        assert (newest["collection"], before["collection"]) == ("boats", "default")
    finally:
        site.delete("/v1/collections/boats").raise_for_status()


def test_a_conversation_is_opened_again_by_its_address(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    ask(page, DIVIDEND)
    ask(page, "How long must I hold the pairing button?")
    page.keyboard.press("Escape")
    kept = site.get("/v1/conversations").json()["data"][0]["id"]
    assert page.url == f"{site.base_url}/c/{kept}"
    page.reload()
    turns = page.locator("article.turn")
    expect(turns).to_have_count(2)
    expect(turns.nth(1).locator(".answer")).to_contain_text("five seconds")
    turns.nth(0).locator(".answer .cite").first.click()
    assert_marked(page, boxes_of(page_with(site, QUOTE)[2], QUOTE))
    page.get_by_role("button", name="New question").click()
    expect(turns).to_have_count(0)
    assert page.url == f"{site.base_url}/"


def test_past_conversations_are_listed_opened_and_deleted(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    ask(page, "How many crossings were cancelled?")
    kept = site.get("/v1/conversations").json()["data"][0]["id"]
    page.keyboard.press("Escape")
    page.get_by_role("button", name="New question").click()
    expect(page.locator("article.turn")).to_have_count(0)
    page.get_by_role("button", name="Earlier conversations").click()
    listed = page.get_by_role("dialog", name="Earlier conversations").get_by_role("listitem")
    expect(listed).to_have_count(len(site.get("/v1/conversations").json()["data"]))
    expect(listed.first).to_contain_text("How many crossings were cancelled?")
    assert barriers(page) == []
    listed.first.get_by_role("link").click()
    expect(page.locator("article.turn .question")).to_have_text("How many crossings were cancelled?")
    assert page.url == f"{site.base_url}/c/{kept}"
    page.get_by_role("button", name="Earlier conversations").click()
    listed.first.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete this conversation?").get_by_role("button", name="Delete it").click()
    expect(page.locator("article.turn")).to_have_count(0)
    assert page.url == f"{site.base_url}/"
    assert kept not in [each["id"] for each in site.get("/v1/conversations").json()["data"]]


def test_what_is_said_of_an_answer_and_of_a_page_that_was_found_is_kept(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    turn = ask(page, DIVIDEND)
    turn.get_by_role("button", name="Good answer").click()
    expect(turn.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    turn.get_by_role("button", name="Bad answer").click()  # thought better of it
    expect(turn.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "false")
    page.goto(f"{site.base_url}/?search=fuel burnt per crossing")
    first = page.locator(".hits > li").first
    first.hover()
    first.get_by_role("button", name="Good match").click()
    expect(first.get_by_role("button", name="Good match")).to_have_attribute("aria-pressed", "true")
    said = [
        (each["query"], each["value"], each["pages"][0]["page"]) for each in site.get("/v1/feedback").json()["data"]
    ]
    # In no order: times are told to the second.
    assert sorted(said) == sorted([("fuel burnt per crossing", "up", 5), (DIVIDEND, "down", 2), (DIVIDEND, "up", 2)])


def test_only_the_ticked_documents_are_asked(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    page.get_by_role("button", name="All 2 documents").click()
    page.get_by_role("dialog", name="Documents to ask").get_by_label("Dunnock").check()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="1 document").wait_for()
    page.fill("#question", "How long must I hold the pairing button? What of the dividend?")
    page.press("#question", "Enter")
    expect(page.locator("article.turn")).to_have_attribute("data-status", "answered")
    captions = page.locator(".leaf .caption").all_inner_texts()
    assert captions
    assert all("Dunnock" in each for each in captions)
