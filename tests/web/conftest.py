"""The web page in a real browser on a real server with the sample documents."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api import samples
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import REPORT, filled
from tests.support.vendors import Vendors

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
MANUAL = "dunnock-w3-weather-station-manual.pdf"
MODEL = "qwen3-vl:8b"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Of its module alone: while it is open no other test of the process could run an event loop."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # machines differ; what fails fails all the same
    if CHROMIUM is None:
        pytest.skip("no Chromium; Debian's package chromium has it")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(url, width=…, height=…, **context)`` -> a page whose console has to stay clean.

    What a test provokes it takes out of ``page.complaints`` itself.
    """
    opened = []

    def new(url: str, width: int = 1440, height: int = 900, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda said: said.type in ("error", "warning") and page.complaints.append(said.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.set_default_timeout(60_000)
        opened.append((context, page))
        page.goto(url)
        return page

    yield new
    for context, page in opened:
        context.close()
        assert page.complaints == []


@pytest.fixture(scope="session")
def read_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed data folder with the report and the manual, to be copied: reading them takes longer than many tests."""
    folder = tmp_path_factory.mktemp("read-once")
    settings = load_settings({"data_dir": folder, "channels": "lexical"})
    with Library(settings=settings) as library, samples.folder() as source:
        library.ingest([source / REPORT, source / MANUAL])
    return folder


@pytest.fixture(scope="module")
def site(read_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """The report and the manual, no model."""
    yield from filled(shutil.copytree(read_once, tmp_path_factory.mktemp("site") / "data"), [])


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """Nothing in it yet."""
    yield from filled(tmp_path_factory.mktemp("empty"), [])


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    """What stands behind the model of `read_site`."""
    with Vendors() as opened:
        yield opened


@pytest.fixture(scope="module")
def read_site(tmp_path_factory: pytest.TempPathFactory, vendors: Vendors) -> Iterator[httpx2.Client]:
    """The report, read by a vision-language model."""
    model = {"model": f"ollama:{MODEL}", "ollama_url": vendors.url("ollama")}
    yield from filled(tmp_path_factory.mktemp("read"), [REPORT], **model)
