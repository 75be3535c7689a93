"""The web page in a real browser: its weight, how soon it is drawn, how soon a question shows pages.

    python -m benchmarks.web [--data FOLDER] [--rounds 7] [--json]

FOLDER: a data folder that is filled; without one the sample documents are read into a new one. Weight: bytes of all
files, compressed, without page images. First paint: `first-contentful-paint`, in a browser that has nothing cached.
Pages: from Enter until the first, and until the last, image of a page that was found is loaded and decoded. Medians.
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
        library.ingest([folder])


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


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--data", type=Path)
    made.add_argument("--rounds", type=int, default=7)
    options = made.parse_args()
    if shutil.which("chromium") is None:
        sys.exit("this benchmark needs chromium on the PATH")
    site = web.site()
    figures: dict[str, Any] = {"weight_bytes": sum(len(each.packed) for each in [site.page, *site.files.values()])}
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or Path(folder)
        if options.data is None:
            fill(data)
        with server(data) as address:
            for name, values in measure(address, options.rounds).items():
                figures[name] = round(statistics.median(values))
                figures[f"{name}_range"] = [round(min(values)), round(max(values))]
    show(figures, options.json)


if __name__ == "__main__":
    main()
