"""Answers of a vision-language model: while they come, stopped, broken off, without evidence, full of markup."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.line import line_to
from tests.support.pages import DIVIDEND, QUOTE, ask, found, strokes
from tests.support.vendors import Refusal, Reply


def test_pages_that_do_not_say_are_shown_as_not_used(read_site, vendors, open_page) -> None:
    vendors.reply = "[[none]]"
    page = open_page(f"{read_site.base_url}")
    whales = "How many whales were seen from the ships?"
    page.fill("#question", whales)
    page.press("#question", "Enter")
    turn = page.locator("article.turn")
    expect(turn).to_have_attribute("data-status", "not_found")
    expect(turn.locator(".says-not")).to_have_text("These pages don’t say.")
    expect(turn.get_by_text("Closest pages, not used")).to_be_visible()
    expect(turn.locator(".strip.unused .leaf")).to_have_count(found(read_site, whales))
    expect(page.locator(".evidence")).to_be_hidden()
    turn.get_by_role("button", name="See all matches").click()
    expect(page.locator(".hit")).to_have_count(found(read_site, whales))


def test_a_quote_that_is_not_there_draws_nothing(read_site, vendors, open_page) -> None:
    vendors.reply = f"It pays [[1: {QUOTE}]]. It sold a ship [[1: The company sold the ship Gannet to a museum]]."
    page = open_page(f"{read_site.base_url}")
    page.fill("#question", DIVIDEND)
    page.press("#question", "Enter")
    turn = page.locator("article.turn")
    expect(turn).to_have_attribute("data-status", "partial")
    chips = turn.locator(".answer .cite")
    expect(chips).to_have_count(2)
    expect(chips.nth(1)).to_have_class("cite unverified")
    chips.nth(1).click()
    expect(page.locator(".said-bar .verdict")).to_have_text("Not found")
    assert strokes(page) == []


def test_text_and_chips_come_while_the_model_writes_and_stopping_keeps_them(read_site, vendors, open_page) -> None:
    go_on = threading.Event()
    vendors.reply = Reply(
        f"A dividend of 0.35 euros [[1: {QUOTE}]]. And much more that nobody reads.", hold=go_on, pieces=2
    )
    page = open_page(f"{read_site.base_url}")
    page.fill("#question", DIVIDEND)
    page.press("#question", "Enter")
    turn = page.locator("article.turn")
    try:
        expect(turn.locator(".leaf")).to_have_count(found(read_site, DIVIDEND))
        expect(turn.locator(".answer")).to_contain_text("A dividend")
        expect(turn.locator(".answer")).to_have_attribute("aria-busy", "true")
        # Pieces are cut anywhere and shown as they are.
        assert "A dividend of 0.35 euros. And much more".startswith(turn.locator(".answer").inner_text().split("\n")[0])
        page.get_by_role("button", name="Stop").click()
        expect(turn.locator(".note")).to_contain_text("Stopped. What was written is kept")
        expect(turn.locator(".answer")).to_contain_text("A dividend")
        expect(page.get_by_role("button", name="Stop")).to_be_hidden()
        expect(page.locator("#question")).to_be_editable()
    finally:
        go_on.set()


def test_a_reply_that_breaks_off_is_answered_as_far_as_it_came(read_site, vendors, open_page) -> None:
    vendors.reply = Reply(f"A dividend of 0.35 euros [[1: {QUOTE}]]. More follows here.", pieces=8, cut_after=7)
    page = open_page(f"{read_site.base_url}")
    page.fill("#question", DIVIDEND)
    page.press("#question", "Enter")
    turn = page.locator("article.turn")
    expect(turn).to_have_attribute("data-status", "partial")
    expect(turn.get_by_text("The reply broke off")).to_be_visible()
    expect(turn.locator(".answer .cite")).to_have_count(1)


def test_an_answer_that_was_cut_off_by_the_models_limit_says_so_where_it_ends(read_site, vendors, open_page) -> None:
    vendors.reply = Reply(f"A dividend of 0.35 euros [[1: {QUOTE}]]. And then the", finish="length")
    page = open_page(f"{read_site.base_url}", permissions=["clipboard-read", "clipboard-write"])
    page.fill("#question", DIVIDEND)
    page.press("#question", "Enter")
    turn = page.locator("article.turn")
    expect(turn.locator(".answer .tag")).to_have_text("Cut off here")
    expect(turn.get_by_text("ran into its limit")).to_be_visible()
    turn.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator(".toast")).to_have_text("Copied.")
    assert "[…]\n" in page.evaluate("navigator.clipboard.readText()")
    page.reload()
    expect(turn.locator(".answer .tag")).to_have_text("Cut off here")


def test_a_model_that_fails_is_told_and_can_be_asked_again(read_site, vendors, open_page) -> None:
    vendors.reply = Refusal("unknown_model")
    page = open_page(f"{read_site.base_url}")
    page.fill("#question", DIVIDEND)
    page.press("#question", "Enter")
    turn = page.locator("article.turn").first
    expect(turn.get_by_role("alert")).to_contain_text("No answer: the answering model is not available on this server.")
    expect(turn.locator(".leaf")).to_have_count(found(read_site, DIVIDEND))
    vendors.reply = f"A dividend of 0.35 euros [[1: {QUOTE}]]."
    turn.get_by_role("button", name="Ask again").click()
    expect(page.locator("article.turn").last).to_have_attribute("data-status", "answered")


def test_when_the_connection_breaks_the_text_stays_and_can_be_asked_again(read_site, vendors, open_page) -> None:
    go_on = threading.Event()
    answer = f"A dividend of 0.35 euros [[1: {QUOTE}]]."
    vendors.reply = Reply(answer, hold=go_on, pieces=2)
    with line_to(read_site.base_url.port) as line:
        page = open_page(line.url)
        page.fill("#question", DIVIDEND)
        page.press("#question", "Enter")
        turn = page.locator("article.turn").first
        expect(turn.locator(".answer")).to_contain_text("A dividend")
        line.cut()
        go_on.set()
        expect(turn.get_by_role("alert")).to_contain_text("The answer stopped here: no connection to the server.")
        expect(turn.locator(".answer")).to_contain_text("A dividend")
        line.mend()
        vendors.reply = answer
        turn.get_by_role("button", name="Ask again").click()
        expect(page.locator("article.turn").last).to_have_attribute("data-status", "answered")
        page.close()
    page.complaints.clear()  # the browser tells of the broken connection


def test_what_a_model_writes_is_text_and_never_markup(read_site, vendors, open_page) -> None:
    evil = '<img src=x onerror="document.title=1"> **bold** [here](https://example.org)'
    vendors.reply = f"{evil} [[1: {QUOTE}]]."
    page = open_page(f"{read_site.base_url}")
    turn = ask(page, '<script>document.title = "taken"</script> dividend')
    expect(turn.locator(".question")).to_have_text('<script>document.title = "taken"</script> dividend')
    expect(turn.locator(".answer")).to_contain_text("<img src=x onerror=")
    expect(turn.locator(".answer strong")).to_have_text("bold")
    assert turn.locator(".answer img, .answer a:not(.cite), script").count() == 0
    assert page.title().endswith("Folioscope")
