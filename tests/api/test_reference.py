"""`/docs`: a page that shows what /openapi.json describes, under a policy that lets nothing in but itself."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx2
import pytest

from api.routes.reference import page
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import serving

VOID = {"meta", "br", "td", "tr"}  # td and tr need no end, but must not be left open over a table's


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    settings = load_settings({"data_dir": tmp_path_factory.mktemp("docs")})
    with Library(settings=settings) as library, serving(library, needs_key=True) as found:
        yield found


class Page(HTMLParser):
    """Ids, links, texts, and whether elements close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.add(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if given.get("href"):
            self.links.append(str(given["href"]))
        assert not {name for name in given if name.startswith("on") or name in ("src", "style")}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_it_shows_every_route_and_every_shape(client) -> None:
    described = client.get("/openapi.json").json()
    answer = client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    shown = Page(answer.text)
    assert shown.open == []
    for path, operations in described["paths"].items():
        assert answer.text.count(f"<code>{path}</code><span>") == len(operations)
    for name in described["components"]["schemas"]:
        assert f"<summary><code>{name}</code>" in answer.text
    assert len(shown.ids) == len(set(shown.ids))
    assert {link[1:] for link in shown.links if link.startswith("#")} <= set(shown.ids)
    assert {link for link in shown.links if not link.startswith("#")} == {"/openapi.json"}


def test_its_policy_lets_in_its_own_style_and_nothing_else(client) -> None:
    answer = client.get("/docs")
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["content-security-policy"].split("; ")[:2] == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
    ]
    assert not {"script", "img", "link", "iframe", "form"} & Page(answer.text).elements
    assert "http" not in style


def test_what_a_description_says_is_text_and_no_markup() -> None:
    evil = "<script>alert(1)</script>"
    parameter = {"name": evil, "in": "query", "description": evil, "schema": {"type": evil, "enum": [evil]}}
    operation = {"tags": [evil], "description": evil, "parameters": [parameter], "responses": {evil: {}}}
    schema = {"description": evil, "properties": {evil: {"$ref": f"#/{evil}", "default": evil}}}
    described = {
        "info": {"title": evil, "version": evil},
        "paths": {f"/{evil}": {"get": operation}},
        "components": {"schemas": {evil: schema}},
    }
    assert "script" not in Page(page(described)).elements
