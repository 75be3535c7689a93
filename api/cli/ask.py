"""Commands that find and answer: search, ask, chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import output
from api.cli.answering import Cache, ModelName, ShowPages, questions, show, show_preview, told
from api.cli.options import (
    AsJson,
    CollectionName,
    DataDir,
    Document,
    Meta,
    OpenImage,
    Password,
    Quiet,
    SaveImage,
    TopK,
    parse_meta,
)
from api.cli.output import say
from api.cli.places import Finder, Place, open_place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from folioscope.domain import Answer, Box, PageHit, PageKey, SearchResult, Where

    Painter = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]  # a page's image -> the same, highlighted

FILES = "files"
"""The collection of `ask QUESTION FILE…`: kept, so that the second question about a file is answered at once."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(search)
    app.command()(ask)
    app.command()(chat)


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words or a question.")] = "",
    image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Find pages that look like this image (or a PDF's first page)."),
    ] = None,
    collection: CollectionName = None,
    top_k: TopK = None,
    document: Document = None,
    meta: Meta = None,
    channel: Annotated[
        list[str] | None, typer.Option(metavar="CHANNEL", help="Only this channel; may be repeated.")
    ] = None,
    data_dir: DataDir = None,
    save_image: SaveImage = None,
    open_image: OpenImage = False,
    heat: Annotated[
        bool, typer.Option("--heat", help="Show where the visual channel saw the question, not its words.")
    ] = False,
    word: Annotated[
        str | None, typer.Option(metavar="WORD", help="With --heat, on the image: this word of the question alone.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the pages that matter to a question, that look like an image, or both."""
    if not query and image is None:
        raise typer.BadParameter("give a QUERY, an --image, or both")
    if heat and not (save_image or open_image or as_json):
        raise typer.BadParameter("--heat is shown by --save-image, --open-image and --json")
    if word is not None and not heat:
        raise typer.BadParameter("--word chooses what --heat shows")
    with open_place(data_dir, top_k=top_k) as place:
        finder = place.finder(collection)
        where = _where(place, collection, document, meta)
        result = finder.search(query, place.settings.top_k, where, channel, image=image, similarity=heat)
        if as_json:
            output.json_document(output.search_json(result))
        else:
            _show_hits(result)
        pages = [
            (hit.key, partial(_heated, finder, hit.key, query, word) if heat else _marker(hit))
            for hit in result.hits[:1]
        ]
        _images(place, pages, save_image, open_image)


def _marker(hit: PageHit) -> Painter:
    from generation import draw

    return partial(draw, boxes=[region.box for region in hit.regions])


def _heated(finder: Finder, key: PageKey, query: str, word: str | None, page: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return finder.painted(page, key, query, word)


def _where(place: Place, collection: str | None, documents: list[str] | None, meta: list[str] | None) -> Where:
    from folioscope.domain import Where

    ids = frozenset(place.document(name, collection).id for name in documents) if documents else None
    return Where(ids, parse_meta(meta))


def _show_hits(result: SearchResult) -> None:
    for hit in result.hits:
        # Ranks, not the fused score: that is relative to this one question's candidates and looks like a certainty.
        ranks = ", ".join(f"{name} {score.rank}" for name, score in hit.scores.items())
        output.text(f"{hit.rank}. {hit.document.filename}, page {hit.page}  ({ranks})")
        if hit.snippet:
            output.text("   " + " ".join(hit.snippet.split()))
    if not result.hits:
        say("nothing found")
    for line in result.reservations:
        say(line)


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What you want to know.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Ask these files, kept in the collection 'files'; else the collection."),
    ] = None,
    collection: CollectionName = None,
    model: ModelName = None,
    top_k: TopK = None,
    document: Document = None,
    meta: Meta = None,
    data_dir: DataDir = None,
    password: Password = None,
    save_image: SaveImage = None,
    open_image: OpenImage = False,
    streamed: Annotated[bool, typer.Option("--stream", help="Show the text while it comes.")] = False,
    show_pages: ShowPages = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Find the pages, say what would be sent to the model, and stop.")
    ] = False,
    cache: Cache = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Answer a question with citations that are checked against the page."""
    from generation import to_json
    from generation.running import run

    if streamed and as_json:
        raise typer.BadParameter("--stream is for people; --json writes the whole answer at the end")
    if files and (document or meta):
        raise typer.BadParameter(
            "--document and --meta choose from a collection; with files there is nothing to choose"
        )
    if password and not files:
        raise typer.BadParameter(
            "--password opens files named here; those of a collection got it when they were ingested"
        )
    among = None
    if files:
        collection = collection or FILES
        among = take_in(files, collection, data_dir, password, quiet)
    with open_place(data_dir, quiet=quiet, top_k=top_k, model=model, cache_answers=cache) as place:
        asker = place.asker(collection, quiet, dry=dry_run)
        where = among or _where(place, collection, document, meta)
        if dry_run:
            show_preview(asker.preview(question, where), as_json)
            return
        found = run(told(question, asker.stream(question, where), show_pages, text=streamed))
        if as_json:
            output.json_document(to_json(found))
        else:
            show(found, quiet, streamed)
        _images(place, _cited(found), save_image, open_image)


def chat(
    collection: CollectionName = None,
    model: ModelName = None,
    top_k: TopK = None,
    document: Document = None,
    meta: Meta = None,
    data_dir: DataDir = None,
    show_pages: ShowPages = False,
    cache: Cache = None,
    quiet: Quiet = False,
) -> None:
    """Ask one question after the other, a line each; a follow-up is understood from what was said before."""
    from folioscope.domain import Turn
    from folioscope.errors import ModelError, QueryError
    from generation import extended
    from generation.running import run

    with open_place(data_dir, quiet=quiet, top_k=top_k, model=model, cache_answers=cache) as place:
        asker = place.asker(collection, quiet)
        where = _where(place, collection, document, meta)
        history: tuple[Turn, ...] = ()
        for question in questions():
            try:
                found = run(told(question, asker.stream(question, where, history), show_pages, text=True))
            except (ModelError, QueryError) as error:
                say(f"folioscope: {error}")
                continue
            show(found, quiet, streamed=True)
            history = extended(history, found)


def take_in(files: Sequence[Path], collection: str, data_dir: Path | None, password: str | None, quiet: bool) -> Where:
    """The files, ingested; a place of its own, so that nothing is answered from a half of them after Ctrl-C."""
    from api.cli.progress import working
    from folioscope.domain import Where
    from folioscope.errors import DocumentError

    with working(data_dir, quiet=quiet) as work, work.shown(quiet):
        report = work.place.ingest(files, collection=collection, password=password, wait=True)
    for outcome in report.failed:
        assert outcome.problem is not None
        say(f"{outcome.filename}: {outcome.problem.message}")
    readable = frozenset(o.document_id for o in report.outcomes if o.status in ("ready", "duplicate"))
    if not readable:
        raise DocumentError("None of the files could be read.")
    return Where(readable)


def _cited(found: Answer) -> list[tuple[PageKey, Painter]]:
    from generation import draw

    boxes: dict[PageKey, list[Box]] = {}
    for citation in found.citations:
        boxes.setdefault(citation.key, []).extend(citation.boxes)
    return [(key, partial(draw, boxes=marked)) for key, marked in boxes.items()]


def _images(place: Place, pages: Sequence[tuple[PageKey, Painter]], save_to: Path | None, show: bool) -> None:
    """Write the highlighted pages: the first as named, further ones with -2, -3 … before the suffix."""
    if save_to is None and not show:
        return
    if not pages:
        say("there is no page to show" + (f": {save_to} was not written" if save_to else ""))
        return
    from generation import save

    target = save_to or place.last_image
    for number, (key, paint) in enumerate(pages, 1):
        path = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
        save(paint(place.image(key)), path)
        say(f"highlighted page: {path}")
        if show and number == 1:
            typer.launch(str(path))
