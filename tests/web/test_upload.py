"""Handing files in: what becomes of each, that it is searched at once; trying again."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.pages import barriers
from tests.support.serving import REPORT
from tests.support.shelf import drop, hand_in, pdf, row, sample


def test_from_an_empty_library_to_a_search_and_back(empty_site, open_page) -> None:
    page = open_page(f"{empty_site.base_url}/library")
    expect(page.get_by_role("heading", name="Nothing here yet.")).to_be_visible()
    assert barriers(page) == []
    hand_in(page, sample(REPORT))
    expect(row(page, "Skerrow ferries")).to_contain_text("6 pages")
    expect(row(page, "Skerrow ferries").locator(".state")).to_have_text("Ready")
    expect(row(page, "Skerrow ferries").locator(".channels")).to_have_text("Lexical")
    hand_in(
        page, {**sample(REPORT), "name": "copy.pdf"}, {"name": "broken.pdf", "mimeType": "", "buffer": b"%PDF-1.7 no"}
    )
    same = row(page, "Copy")
    expect(same).to_contain_text("Same file as Skerrow ferries annual report 2025")
    expect(same).to_contain_text("Nothing was added.")
    expect(row(page, "Broken").locator(".state.bad")).to_contain_text("Could not be read")
    hand_in(page, {"name": "notes.exe", "mimeType": "", "buffer": b"MZ\x00\x00"})
    expect(row(page, "Notes").locator(".state.bad")).to_contain_text("Refused")
    page.complaints.clear()  # the browser tells of the file that the server refused
    assert barriers(page) == []
    same.get_by_role("button", name="Dismiss").click()
    expect(same).to_have_count(0)
    row(page, "Broken").get_by_role("button", name="Retry").click()
    expect(row(page, "Broken").locator(".state.bad")).to_be_visible()
    # Searched as soon as it is there.
    page.goto(f"{empty_site.base_url}/?search=dividend")
    expect(page.locator(".hit").first).to_contain_text("Skerrow")


def test_an_encrypted_file_is_read_once_its_password_is_given(empty_site, open_page) -> None:
    page = open_page(f"{empty_site.base_url}/library")
    hand_in(page, pdf("Depot plan.pdf", password="open sesame"))
    locked = row(page, "Depot plan")
    expect(locked.locator(".state.bad")).to_contain_text("password")
    for given, state in (("wrong", "Could not be read"), ("open sesame", "Ready")):
        locked.get_by_role("button", name="Retry").click()
        dialog = page.get_by_role("dialog", name="This document needs its password")
        dialog.get_by_label("Password").fill(given)
        assert barriers(page) == []
        with page.expect_response(lambda each: each.url.endswith("/reingest")):
            dialog.get_by_role("button", name="Read it").click()
        expect(locked.locator(".state > span")).to_have_text(state)
    expect(locked.locator(".name small")).to_have_text("1 page")


def test_a_folder_that_is_dropped_is_taken_with_what_is_inside(empty_site, open_page, tmp_path) -> None:
    inside = tmp_path / "papers" / "older"
    inside.mkdir(parents=True)
    for place, name in ((inside.parent, "Spring.pdf"), (inside, "Autumn.pdf"), (inside, ".hidden.pdf")):
        (place / name).write_bytes(pdf(name)["buffer"])
    page = open_page(f"{empty_site.base_url}/library")
    cover = page.get_by_role("heading", name="Drop to add")
    drop(page, inside.parent, lambda: expect(cover).to_be_visible())
    expect(cover).to_be_hidden()
    for name in ("Spring", "Autumn"):
        expect(row(page, name).locator(".state")).to_have_text("Ready")
    names = {each["filename"] for each in empty_site.get("/v1/documents").json()["data"]}
    assert {"Spring.pdf", "Autumn.pdf"} <= names
    assert ".hidden.pdf" not in names


def test_a_file_that_is_left_out_while_it_waits_is_not_sent(empty_site, open_page) -> None:
    page = open_page(f"{empty_site.base_url}/library")
    held = []
    page.route(
        "**/v1/documents?*",
        lambda route: route.continue_() if route.request.method == "GET" else held.append(route),
    )
    hand_in(page, *(pdf(f"{name}.pdf") for name in ("Gull", "Heron", "Ibis", "Jay")))
    for name in ("Gull", "Heron", "Ibis"):
        expect(row(page, name)).to_contain_text("Sending")
    row(page, "Jay").get_by_role("button", name="Leave out").click()
    for route in held:
        route.continue_()
    expect(page.get_by_text("Ready: 3 documents.", exact=True)).to_be_attached()  # nothing is on its way any more
    names = {each["filename"] for each in empty_site.get("/v1/documents").json()["data"]}
    assert {"Gull.pdf", "Heron.pdf", "Ibis.pdf"} <= names
    assert "Jay.pdf" not in names
