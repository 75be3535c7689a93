"""The settings: what answers, channels, keys that are shown once, what to paste elsewhere; the theme."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="needs the extra: pip install 'folioscope[dev]', and chromium")

from playwright.sync_api import expect

from tests.support.pages import barriers


def test_a_key_is_shown_once_opens_the_server_and_is_revoked(site, open_page) -> None:
    page = open_page(f"{site.base_url}/settings")
    keys = page.locator("#set-keys")
    keys.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog", name="A new key")
    dialog.get_by_label("What it is for").fill("Notebook")
    assert barriers(page) == []
    dialog.get_by_role("button", name="Make it").click()
    shown = page.get_by_role("dialog", name="Keep this key now")
    secret = shown.get_by_label("The key", exact=True).input_value()
    headers = {"authorization": f"Bearer {secret}"}
    assert site.get("/v1/collections", headers=headers).status_code == 200
    shown.get_by_role("button", name="I have it").click()
    expect(keys).to_contain_text("Notebook")
    assert secret not in page.content()
    keys.get_by_role("button", name="Revoke Notebook").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke it").click()
    expect(keys).not_to_contain_text("Notebook")
    assert [(each["name"], each["revoked"]) for each in site.get("/v1/keys").json()["data"]] == [("Notebook", True)]


def test_models_channels_and_snippets_are_this_servers(site, open_page) -> None:
    page = open_page(f"{site.base_url}/settings", color_scheme="dark")
    expect(page.locator("#set-models")).to_contain_text("Extractive")
    expect(page.locator("#set-channels .option").first).to_contain_text("12 of 12")
    expect(page.locator("#set-connect code")).to_contain_text(f'base_url="{site.base_url}/v1"')
    page.get_by_role("tab", name="MCP").click()
    expect(page.locator("#set-connect code")).to_contain_text(f"{site.base_url}/mcp")
    page.get_by_role("tab", name="curl").click()
    expect(page.locator("#set-connect code")).to_contain_text(f"curl {site.base_url}/v1/ask")
    assert barriers(page) == []
    page.get_by_label("Light", exact=True).check()
    page.reload()
    expect(page.get_by_label("Light", exact=True)).to_be_checked()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
