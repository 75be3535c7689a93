"""The web page in a real browser: its weight, how soon it is drawn, how soon a question shows pages, how it scrolls.

    python -m benchmarks.web [--data FOLDER] [--rounds 7] [--json]

FOLDER: a data folder that is filled; without one the sample documents are read into a new one. Weight: bytes of what
is fetched to open the page, and of all files, compressed, without page images. First paint: `first-contentful-paint`,
in a browser that has nothing cached. Pages: from Enter until the first, and until the last, image of a page that was
found is loaded and decoded. Medians.

Scrolling: through a library of 10,000 documents (of which the catalog alone knows, so none has an image) and from page
to page of a document of 500; the longest task that kept the browser busy while it lasted, 0 where none took 50 ms.
Barriers: what axe-core finds serious or critical in every room, both themes.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api import samples, web
from benchmarks.common import parser, show

SERVE = [sys.executable, "-c", "from api.cli.main import main; main()", "serve", "--port", "0"]
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
WATCH = """() => {
    window.shown = {};
    const look = () => {
        const images = [...document.querySelectorAll('article.turn:last-of-type .leaf img')];
        const there = images.filter((each) => each.src && each.complete);
        if (there.length) window.shown.first ??= performance.now() - window.entered;
        if (there.length && there.length === images.length) window.shown.last ??= performance.now() - window.entered;
        if (window.shown.last) document.documentElement.dataset.shown = '';
        else requestAnimationFrame(look);
    };
    addEventListener('keydown', (event) => {
        if (event.key === 'Enter') { window.entered = performance.now(); requestAnimationFrame(look); }
    }, { capture: true, once: true });
}"""

DOCUMENTS = 10_000
PAGES = 500
STEPS = 60
LONG_TASKS = """() => {
    window.tasks = [];
    window.watching?.disconnect();
    const keep = (list) => window.tasks.push(...list.getEntries().map((each) => each.duration));
    window.watching = new PerformanceObserver(keep);
    window.watching.observe({ type: 'longtask' });
}"""


@contextmanager
def server(data: Path) -> Iterator[str]:
    """The address of a server in a process of its own."""
    environment = {**os.environ, "FOLIOSCOPE_DATA_DIR": str(data), "FOLIOSCOPE_MODEL": "extractive"}
    process = subprocess.Popen(SERVE, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield next(found[0] for line in process.stderr if (found := re.search(r"http://[\w.:\[\]]+", line)))
    finally:
        process.terminate()
        process.wait()


def fill(data: Path) -> None:
    """The sample documents."""
    from folioscope.settings import load_settings
    from ingest import Library

    with Library(settings=load_settings({"data_dir": data})) as library, samples.folder() as folder:
        library.ingest([folder], wait=True)


def measure(address: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every round; a new browser context each."""
    from playwright.sync_api import sync_playwright

    times: dict[str, list[float]] = {"first_paint_ms": [], "first_page_ms": [], "all_pages_ms": []}
    questions = [each.question for each in samples.questions()]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for number in range(rounds + 1):
            page: Any = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(address)
            page.wait_for_selector(".composer")
            page.wait_for_load_state("networkidle")
            painted = page.evaluate(PAINT)
            page.evaluate(WATCH)
            page.fill("#question", questions[number % len(questions)])
            page.press("#question", "Enter")
            page.wait_for_selector(
                "html[data-shown]"
            )  # the page's policy lets nothing be evaluated in it while waiting
            shown = page.evaluate("window.shown")
            page.wait_for_selector("article[data-status]")
            page.context.close()
            if number:  # the first one warms the server up
                for name, value in zip(times, (painted, shown["first"], shown["last"]), strict=True):
                    times[name].append(value)
        browser.close()
    return times


def fill_large(data: Path) -> None:
    """A document of 500 pages, and 10,000 that only the catalog knows, in a collection each."""
    import pymupdf

    from folioscope.settings import load_settings
    from ingest import Library

    paper = pymupdf.open()
    for number in range(1, PAGES + 1):
        paper.new_page().insert_text((72, 96), f"Page {number} of a long report.", fontsize=20)
    path = data / "long.pdf"
    paper.save(path)
    with Library(settings=load_settings({"data_dir": data, "channels": "lexical"})) as library:
        library.ingest([path])
        crowd(library)


def crowd(library: Any) -> None:
    """10,000 documents without pages in the collection ``crowd``: they could not be read."""
    from ingest import schema as t
    from ingest.database import new_id, now

    made = library.create_collection("crowd")
    job = {"id": new_id("job"), "kind": "ingest", "collection_id": made.id, "created": now(), "cancelled": False}
    ids = sorted(new_id("doc") for _ in range(DOCUMENTS))  # those of one second are listed by id
    names = [(id_, f"report-{number:05}.pdf") for number, id_ in enumerate(ids)]
    common = {"collection_id": made.id, "metadata": {}, "created": now(), "current": None, "deleted": False}
    version = {"version": 1, "bytes": 1, "status": "failed", "code": "document_corrupt", "message": "It is none.",
               "job_id": job["id"], "created": now()}  # fmt: skip
    with library.catalog.database.write() as db:
        db.execute(t.jobs.insert().values(job))
        db.execute(
            t.documents.insert(), [{"id": id_, "filename": name, "source": name, **common} for id_, name in names]
        )
        db.execute(t.versions.insert(), [{"document_id": id_, **version} for id_, _ in names])


def measure_large(address: str) -> dict[str, Any]:
    """The longest tasks while scrolling, and barriers in every room."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    found: dict[str, Any] = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page: Any = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(f"{address}/library")
        page.get_by_role("button", name=re.compile("^crowd")).click()
        page.wait_for_selector(".docs li >> text=Report 00000")
        page.evaluate(LONG_TASKS)
        height = page.evaluate("document.querySelector('.docs').scrollHeight")
        found["scroll_rows"] = round(
            page.evaluate("+document.querySelector('.docs .virtual').style.getPropertyValue('--rows')")
        )
        for step in range(1, STEPS + 1):
            page.evaluate(f"document.querySelector('.docs').scrollTop = {height * step / STEPS}")
            page.wait_for_timeout(50)
        page.wait_for_selector(f".docs li >> text=Report {DOCUMENTS - 1:05}", timeout=120_000)
        found["scroll_documents_longest_task_ms"] = round(page.evaluate("Math.max(0, ...window.tasks)"))
        page.get_by_role("button", name=re.compile("^default")).click()
        page.locator(".docs li a").first.click()
        page.wait_for_selector(".evidence .paper > img[src]")
        page.evaluate(LONG_TASKS)
        slider = page.get_by_role("slider", name="Page")
        slider.focus()
        for step in range(STEPS):
            page.keyboard.press(
                "PageDown" if step % 10 == 9 else "ArrowRight"
            )  # looks for no element: that is work, too
            page.wait_for_timeout(50)
        found["scroll_pages_longest_task_ms"] = round(page.evaluate("Math.max(0, ...window.tasks)"))
        found["barriers"] = 0
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for room in ("", "library", "settings", "?search=report"):
                page.goto(f"{address}/{room}")
                page.wait_for_load_state("networkidle")
                violations = Axe().run(page).response["violations"]
                found["barriers"] += sum(each["impact"] in ("serious", "critical") for each in violations)
        browser.close()
    return found


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--data", type=Path)
    made.add_argument("--rounds", type=int, default=7)
    options = made.parse_args()
    if shutil.which("chromium") is None:
        sys.exit("this benchmark needs chromium on the PATH")
    site = web.site()
    later = len(site.files[web.LATER].packed)
    whole = sum(len(each.packed) for each in [site.page, *site.files.values()])
    figures: dict[str, Any] = {"weight_bytes": whole - later, "weight_with_settings_bytes": whole}
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or Path(folder)
        if options.data is None:
            fill(data)
        with server(data) as address:
            for name, values in measure(address, options.rounds).items():
                figures[name] = round(statistics.median(values))
                figures[f"{name}_range"] = [round(min(values)), round(max(values))]
    with tempfile.TemporaryDirectory() as folder:
        fill_large(Path(folder))
        with server(Path(folder)) as address:
            figures |= measure_large(address)
    show(figures, options.json)


if __name__ == "__main__":
    main()
