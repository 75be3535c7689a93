"""The command that everybody runs first: the sample documents, a question about them, the page with its answer."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from api.cli import output
from api.cli.options import DataDir, open_library
from api.cli.output import say

DEMO = "demo"
HOST = "127.0.0.1"
STARTING_S = 60.0


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the answer; serve no page.")] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    port: Annotated[int, typer.Option(metavar="NUMBER", min=0, max=65535, help="0: any that is free.")] = 0,
    data_dir: DataDir = None,
) -> None:
    """Take the bundled sample documents in, ask a question, show the cited answer, and open the page with it."""
    from api import samples
    from api.cli.ask import ask
    from api.cli.progress import working

    with samples.folder() as folder, working(data_dir) as work:
        say(f"taking in {len(list(folder.glob('*.pdf')))} sample documents …")
        with work.shown(quiet=False):
            report = work.place.ingest([folder], collection=DEMO, wait=True)
        for outcome in report.outcomes:
            say(f"  {outcome.filename}: {outcome.status}, {outcome.pages} pages")
        image = work.place.last_image.with_name("demo.png")
    question = samples.questions()[0].question
    output.text()
    output.text(f"? {question}")
    output.text()
    ask(question, collection=DEMO, data_dir=data_dir, save_image=image)
    say("")
    say(f'Ask your own: {_program()} ingest PATH… && {_program()} ask "…"')
    if not once:
        _serve(data_dir, port, question, browser)


def _serve(data_dir: Path | None, port: int, question: str, browser: bool) -> None:
    """The page, by the server that has the data folder open or else by one of ours, until Ctrl-C."""
    from api import logs
    from api.cli.serving import answer, listen
    from folioscope.errors import DataFolderBusy

    try:
        library = open_library(data_dir)
    except DataFolderBusy as busy:
        if not busy.url:
            raise
        _open(busy.url, question, browser)
        return
    with library:
        logs.start(as_json=library.settings.log_json)
        listening = listen(HOST, port)
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        threading.Thread(target=_open, args=(address, question, browser), daemon=True).start()
        answer(library, listening, HOST, greeting=f"Folioscope answers at {address}; Ctrl-C stops it.")


def _open(address: str, question: str, browser: bool) -> None:
    """Say where the page with the answer is and open it where there is a screen."""
    from folioscope.errors import FolioscopeError

    try:
        page = _answered(address, question)
    except FolioscopeError as error:  # the page is there all the same
        say(f"The page has no answer yet: {error}")
        page = address
    say(f"See it on its page: {page}")
    if browser and any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):  # else one for terminals would come
        webbrowser.open(page)


def _answered(address: str, question: str) -> str:
    """The address of a conversation that begins with this question's answer."""
    from api.connection import Connection
    from folioscope.errors import ServerUnreachable

    server = Connection(address, timeout=STARTING_S)
    end = time.monotonic() + STARTING_S
    try:
        while True:
            try:
                made = server.send("POST", "/v1/conversations", json={"collection": DEMO}).json()
                break
            except ServerUnreachable:  # it is just starting
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        server.send("POST", f"/v1/conversations/{made['id']}/ask", json={"question": question})
    finally:
        server.close()
    return f"{address}/c/{made['id']}"


def _program() -> str:
    """What to type to run this program again: `make demo` puts it where no shell looks for it."""
    return "folioscope" if shutil.which("folioscope") else os.path.relpath(sys.argv[0])
