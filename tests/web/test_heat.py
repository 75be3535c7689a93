"""A visual channel, made of a tiny real model: how far it has come, where it looked, laid over the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.pages import barriers
from tests.support.serving import REPORT, filled
from tests.support.shelf import hand_in, pdf, row

pytest.importorskip("transformers", reason="needs the extra folioscope[vision]")

QUERY = "fuel burnt per crossing"
CELLS = """() => {
    const canvas = document.querySelector('canvas.heat');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return {cols: canvas.width, rows: canvas.height, greens: [...data].filter((_, at) => at % 4 === 1)};
}"""


@pytest.fixture(scope="module")
def seeing_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """The report in a visual channel."""
    from benchmarks.tiny_models import build

    folder = tmp_path_factory.mktemp("seeing")
    model = build("colmodernvbert", folder / "tiny")
    yield from filled(folder / "data", [REPORT], channels="lexical,visual", visual_model=f"colpali:{model}")


def painted(page: Any) -> dict[str, Any]:
    expect(page.locator("canvas.heat")).to_be_visible()
    return page.evaluate(CELLS)


def test_the_heat_map_is_that_of_the_interface_for_the_question_and_for_a_word(seeing_site, open_page) -> None:
    page = open_page(f"{seeing_site.base_url}/?search={QUERY}", reduced_motion="reduce")
    page.locator(".hit").first.click()
    document = seeing_site.get("/v1/documents").json()["data"][0]["id"]
    number = int(page.locator(".evidence small").inner_text().split()[1])
    for word in (None, "fuel"):
        if word is None:
            page.keyboard.press("h")
        else:
            with page.expect_response(lambda each: "word=fuel" in each.url):
                page.locator('.tokens [data-word="fuel"]').click()
            page.wait_for_timeout(300)
        query = {"query": QUERY, **({"word": word} if word else {})}
        there = seeing_site.get(f"/v1/documents/{document}/pages/{number}/similarity", params=query).json()
        shown = painted(page)
        assert (shown["rows"], shown["cols"]) == (there["rows"], there["cols"])
        heat = [cell for row in there["heat"] for cell in row]
        # The ramp loses green with every step: the less of it, the warmer.
        assert shown["greens"][heat.index(max(heat))] == min(shown["greens"]) == 114
        assert shown["greens"][heat.index(min(heat))] == max(shown["greens"]) == 255
        expect(page.locator(".over .frame")).to_have_count(len(there["regions"]))
    page.get_by_label("Colour").fill("30")
    assert page.evaluate("getComputedStyle(document.querySelector('canvas.heat')).opacity") == "0.3"
    expect(page.locator(".heat-bar")).to_contain_text("no evidence for the answer")
    expect(page.locator(".flag, .stroke")).to_have_count(page.locator(".hit .stroke").count())
    assert barriers(page) == []
    address = page.url
    assert "tab=heat" in address
    page.goto("about:blank")
    page.goto(address)
    painted(page)
    page.keyboard.press("h")
    expect(page.locator("canvas.heat")).to_be_hidden()
    page.complaints.clear()  # that the test has read the canvas twice


def test_a_channel_that_fills_in_says_how_far_it_is(seeing_site, open_page) -> None:
    page = open_page(f"{seeing_site.base_url}/library")
    hand_in(page, pdf("Long report.pdf", pages=40))
    long = row(page, "Long report")
    # Searched already while the slower channel comes after.
    expect(long.locator(".channels")).to_have_text(re.compile(r"^Lexical readyVisual\d+ %$"))
    expect(long.locator(".state")).to_contain_text("Searchable already")
    share = int(re.findall(r"\d+", long.locator(".meter").inner_text())[0])
    assert share < 100
    found = seeing_site.post("/v1/search", json={"query": "crossings of Long report"}).json()["hits"]
    assert "Long report.pdf" in [each["document"]["filename"] for each in found]
    assert barriers(page) == []
    expect(long.locator(".channels")).to_have_text("Lexical, visual")
    expect(long.locator(".state")).to_have_text("Ready")
