"""The viewer: links that open it, leafing, zooming, its words, the keyboard, small screens, both themes."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.pages import DIVIDEND, QUOTE, ask, assert_marked, barriers, boxes_of, link, page_with, strokes


def test_a_link_opens_the_page_with_its_quote_checked_and_marked(site, open_page) -> None:
    page = open_page(link(site, QUOTE))
    expect(page.locator(".evidence small")).to_have_text("Page 2 of 6")
    expect(page.locator(".said-bar .verdict")).to_have_text("Word for word")
    assert_marked(page, boxes_of(page_with(site, QUOTE)[2], QUOTE))
    address = page.url
    page.reload()
    assert_marked(page, boxes_of(page_with(site, QUOTE)[2], QUOTE))
    assert page.url == address


def test_a_link_to_words_that_are_not_there_marks_nothing(site, open_page) -> None:
    page = open_page(link(site, QUOTE, "The board proposes a dividend of 35 euros a share"))
    expect(page.locator(".said-bar .verdict")).to_have_text("Not found")
    assert strokes(page) == []


def test_a_link_to_a_document_that_is_gone_says_so(site, open_page) -> None:
    page = open_page(f"{site.base_url}/d/doc_gone#page=3")
    expect(page.locator(".toast")).to_contain_text("There is no document 'doc_gone'")
    expect(page.locator("#question")).to_be_visible()
    page.complaints.clear()  # the browser tells of the 404


def test_the_image_is_asked_for_as_wide_as_it_is_shown(site, open_page) -> None:
    asked: list[int] = []
    page = open_page(f"{site.base_url}", device_scale_factor=2)
    page.on("request", lambda each: asked.extend(map(int, re.findall(r"/image\?.*width=(\d+)", each.url))))
    page.goto(link(site, QUOTE))
    strokes(page)
    shown = page.locator(".evidence .paper").bounding_box()["width"]
    assert 2 * shown <= max(asked) <= 2 * shown + 128
    with page.expect_request(lambda each: "/image" in each.url):
        page.keyboard.press("+")
    page.wait_for_timeout(400)
    larger = page.locator(".evidence .paper").bounding_box()["width"]
    assert larger == pytest.approx(1.25 * shown, rel=0.01)
    assert 2 * larger <= max(asked) <= 2 * larger + 128
    page.keyboard.press("0")
    expect(page.locator(".zoom")).to_be_visible()
    assert page.locator(".evidence .paper").bounding_box()["width"] == pytest.approx(shown, rel=0.01)


def test_pages_and_citations_are_leafed_through_with_keys(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    ask(page, "How many crossings were cancelled, and what will the dividend be?")
    page.locator("article.turn .question").focus()
    many = page.locator("article.turn .quotes .cite").count()
    assert many > 1
    page.keyboard.press("]")
    expect(page.locator(".said-bar > .cite")).to_have_text("2")
    page.keyboard.press("[")
    expect(page.locator(".said-bar > .cite")).to_have_text("1")
    before = int(page.locator(".evidence small").inner_text().split()[1])
    page.keyboard.press("ArrowRight")
    expect(page.locator(".evidence small")).to_have_text(f"Page {before + 1} of 6")
    slider = page.get_by_role("slider")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "Page 1 of 6")
    slider.press("End")
    expect(page.locator(".evidence small")).to_have_text("Page 6 of 6")
    page.keyboard.press("Escape")
    expect(page.locator(".evidence")).to_be_hidden()


def test_the_focus_comes_back_to_the_chip_that_opened_the_page(site, open_page) -> None:
    page = open_page(f"{site.base_url}")
    chip = ask(page, DIVIDEND).locator(".answer .cite").first
    page.keyboard.press("Escape")
    chip.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".evidence")).to_be_visible()
    page.get_by_role("button", name="Close the page").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".evidence")).to_be_hidden()
    expect(chip).to_be_focused()


def test_words_can_be_selected_where_they_stand_and_read_in_the_text_tab(site, open_page) -> None:
    page = open_page(link(site, QUOTE))
    strokes(page)
    words = page_with(site, QUOTE)[2]
    shown = page.evaluate(
        """() => {
            const paper = document.querySelector('.evidence .paper').getBoundingClientRect();
            return [...document.querySelectorAll('.word-layer span')].map((each) => {
                const box = each.getBoundingClientRect();
                return [each.textContent, (box.left - paper.left) / paper.width, (box.top - paper.top) / paper.height];
            });
        }"""
    )
    assert [text.strip() for text, *_ in shown] == [word["text"] for word in words]
    for (_, x, y), word in zip(shown, words, strict=True):
        assert x == pytest.approx(word["box"][0], abs=0.005)
        assert y == pytest.approx(word["box"][1], abs=0.02)
    selected = page.evaluate(
        """() => {
            getSelection().selectAllChildren(document.querySelector('.word-layer'));
            return getSelection().toString();
        }"""
    )
    assert QUOTE in " ".join(selected.split())
    page.keyboard.press("t")
    marked = page.locator(".reading mark.strong")
    expect(marked.first).to_be_visible()
    assert " ".join(" ".join(marked.all_inner_texts()).split()).strip(",") == QUOTE


def test_on_a_phone_the_page_comes_as_a_sheet_and_goes_with_the_back_button(site, open_page) -> None:
    page = open_page(f"{site.base_url}", 360, 740, has_touch=True, is_mobile=True)
    turn = ask(page, DIVIDEND)
    expect(page.locator(".evidence")).to_be_hidden()  # nothing covers the answer unasked
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    turn.locator(".answer .cite").first.tap()
    expect(page.locator(".evidence .paper")).to_be_visible()
    assert page.locator(".evidence").bounding_box()["width"] == 360
    assert_marked(page, boxes_of(page_with(site, QUOTE)[2], QUOTE))
    page.go_back()
    expect(page.locator(".evidence")).to_be_hidden()
    expect(turn.locator(".answer .cite").first).to_be_visible()


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (360, "dark")])
def test_no_barriers_in_any_state(site, open_page, theme, width) -> None:
    page = open_page(f"{site.base_url}", width, 900, color_scheme=theme, reduced_motion="reduce")
    expect(page.locator("#question")).to_be_visible()
    assert barriers(page) == []
    turn = ask(page, DIVIDEND)
    assert barriers(page) == []
    turn.locator(".answer .cite").first.click()
    strokes(page)
    assert barriers(page) == []
    page.get_by_role("tab", name="Text").click()
    expect(page.locator(".reading mark").first).to_be_visible()
    assert barriers(page) == []
    page.keyboard.press("Escape")
    page.locator(".question").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert barriers(page) == []
    page.goto(f"{site.base_url}/?search=dividend")
    expect(page.locator(".hit").first).to_be_visible()
    assert barriers(page) == []
