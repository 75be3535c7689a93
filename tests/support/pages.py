"""What a person does on the web page, and what is then seen there: questions, marks, barriers."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

DIVIDEND = "What dividend does the board propose?"
QUOTE = "The board proposes a dividend of 0.35 euros a share"


def ask(page: Any, question: str) -> Any:
    """The turn, once its answer is there."""
    page.fill("#question", question)
    page.press("#question", "Enter")
    turn = page.locator("article.turn").last
    expect(turn).to_have_attribute("data-status", "answered")
    return turn


def found(client: Any, query: str) -> int:
    """How many pages a search finds; some, or there is nothing to test."""
    hits = client.post("/v1/search", json={"query": query}).json()["hits"]
    assert hits
    return len(hits)


def page_with(client: Any, text: str) -> tuple[dict[str, Any], int, list[dict[str, Any]]]:
    """(document, page, words) of the page that has this text."""
    for document in client.get("/v1/documents").json()["data"]:
        for number in range(1, document["pages"] + 1):
            found = client.get(f"/v1/documents/{document['id']}/pages/{number}/text?include=words").json()
            if text in found["text"].replace("\n", " "):
                return document, number, found["words"]
    raise AssertionError(text)


def boxes_of(words: list[dict[str, Any]], text: str) -> list[list[float]]:
    """The boxes of the words of ``text`` where they stand in a row."""
    wanted = text.split()
    for start in range(len(words)):
        row = words[start : start + len(wanted)]
        if [word["text"].strip(",.") for word in row] == wanted:
            return [word["box"] for word in row]
    raise AssertionError(text)


def strokes(page: Any) -> list[dict[str, float]]:
    """What is marked strongly, in shares of the paper."""
    expect(page.locator(".evidence .paper > img")).to_have_attribute("src", re.compile("."))  # set when it is decoded
    page.wait_for_timeout(700)  # one that should not be there would come now
    page.wait_for_function(
        "() => document.querySelector('.evidence .paper').getAnimations({ subtree: true })"
        ".every((each) => each.playState !== 'running')"
    )
    return page.evaluate(
        """() => {
            const paper = document.querySelector('.evidence .paper').getBoundingClientRect();
            return [...document.querySelectorAll('.evidence .stroke.strong')].map((each) => {
                const box = each.getBoundingClientRect();
                return {x0: (box.left - paper.left) / paper.width, x1: (box.right - paper.left) / paper.width,
                        y0: (box.top - paper.top) / paper.height, y1: (box.bottom - paper.top) / paper.height};
            });
        }"""
    )


def assert_marked(page: Any, boxes: list[list[float]]) -> None:
    """The middle of each word lies under a stroke, and no stroke is much larger than its words."""
    expect(page.locator(".evidence .stroke.strong").first).to_be_attached()
    drawn = strokes(page)
    for x0, y0, x1, y1 in boxes:
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        assert any(each["x0"] <= x <= each["x1"] and each["y0"] <= y <= each["y1"] for each in drawn), (x, y, drawn)
    high = max(y1 - y0 for _, y0, _, y1 in boxes)
    for each in drawn:
        assert each["y1"] - each["y0"] < 1.3 * high
        assert min(x0 for x0, *_ in boxes) - 0.02 < each["x0"]
        assert each["x1"] < max(x1 for *_, x1, _ in boxes) + 0.02


def link(client: Any, text: str, cite: str | None = None) -> str:
    """The address of the page with this text, and of a quote on it."""
    document, number, _ = page_with(client, text)
    return f"{client.base_url}/d/{document['id']}#page={number}&cite={quote(cite or text)}"


def barriers(page: Any) -> list[str]:
    """What axe-core finds that is serious or critical. The unseen layer of words has no contrast to have."""
    found = Axe().run(page, context={"exclude": [[".word-layer"]]}).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
