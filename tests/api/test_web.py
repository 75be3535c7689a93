"""How the page is served: addresses, policy, compression, weight; that its shapes are the interface's."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api import web
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import serving

STATIC = Path(web.__file__).parent / "static"
WEIGHT = 60_000  # bytes, compressed, of everything but page images


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    settings = {"data_dir": tmp_path_factory.mktemp("web"), "channels": "lexical"}
    with Library(settings=load_settings(settings)) as library, serving(library, needs_key=True) as found:
        yield found


def test_every_address_of_the_page_gives_it_under_a_strict_policy_and_without_a_key(client) -> None:
    for path in ("/", "/library", "/settings", "/d/doc_1", "/c/cnv_1"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = dict(each.strip().partition(" ")[::2] for each in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=|https?://", answer.text)


def test_files_stand_under_addresses_that_change_with_them_and_are_kept(client) -> None:
    text = client.get("/").text
    addresses = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', text))
    assert len(addresses) > 10
    assert {address.split("/")[2] for address in addresses} == {web.site().version}
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
        again = client.get(address, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/0123456789abcdef/js/app.js").status_code == 404
    assert client.get(f"/static/{web.site().version}/..%2f..%2fapp.py").status_code == 404
    for path in STATIC.rglob("*"):
        name = path.relative_to(STATIC).as_posix()
        if path.suffix in (".js", ".svg") and name != web.LATER:
            assert f"/static/{web.site().version}/{name}" in addresses, path
    assert client.get(f"/static/{web.site().version}/{web.LATER}").status_code == 200
    assert f"/static/{web.site().version}/{web.STYLES}" in addresses


def test_what_is_sent_compressed_is_the_same(client) -> None:
    address = f"/static/{web.site().version}/js/app.js"
    with client.stream("GET", address, headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        sent = b"".join(packed.iter_raw())
    plain = client.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(sent) == plain.content
    assert packed.headers["etag"] != plain.headers["etag"]


def test_what_is_for_readers_of_the_source_is_not_sent() -> None:
    files = web.site().files
    for path in STATIC.rglob("*.js"):
        source = path.read_text()
        kept = re.sub(r"/\*\*.*?\*/|^\s*//[^\n]*", "", source, flags=re.S | re.M)
        texts = re.sub(r"\"`\"|`\[\^`\]\+`", "", kept)  # a backtick as a text, and in a pattern
        assert all(line.count("`") % 2 == 0 for line in texts.splitlines()), f"{path}: a text goes over lines"
        sent = files[path.relative_to(STATIC).as_posix()].plain.decode()
        assert not re.search(r"/\*\*|^\s*//|^ ", sent, re.M), path
        assert all(each in sent for each in re.findall(r"\"[^\"\n]*\"|`[^`]*`", texts)), path
    assert b"--row" in files[web.STYLES].plain
    assert b"/*" not in files[web.STYLES].plain


def test_the_page_is_light() -> None:
    found = web.site()
    assert sum(len(each.packed) for each in [found.page, *found.files.values()]) <= WEIGHT


def test_samples_are_served_and_nothing_beside_them(client) -> None:
    assert client.get("/samples/questions.json").json()["questions"]
    answer = client.get("/samples/skerrow-ferries-annual-report-2025.pdf")
    assert answer.content.startswith(b"%PDF-")
    assert answer.headers["content-disposition"] == "attachment"
    for name in ("__init__.py", "..%2fapp.py", "none.pdf"):
        assert client.get(f"/samples/{name}").status_code == 404


def test_the_scripts_shapes_are_those_of_the_interface(client) -> None:
    described = client.get("/openapi.json").json()["components"]["schemas"]
    declared = dict(
        re.findall(r"export interface (\w+)\w*(?:<\w+>)? \{\n(.*?)\n\}", (STATIC / "js/wire.d.ts").read_text(), re.S)
    )
    shared = declared.keys() & described.keys()
    assert len(shared) > 10
    ours = {name: set(re.findall(r"^  (\w+)\??:", declared[name], re.M)) for name in shared}
    assert ours == {name: set(described[name]["properties"]) for name in shared}


def test_scripts_build_no_markup_from_text() -> None:
    for path in STATIC.rglob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", path.read_text()
        ), path
