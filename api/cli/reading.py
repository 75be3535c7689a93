"""Commands that read whole documents with a vision-language model: extract, summarize, classify, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import output
from api.cli.answering import ModelName, marks, open_reading_model, show_citation, show_end
from api.cli.ask import FILES, take_in
from api.cli.exits import SOME_FAILED
from api.cli.options import (
    AsJson,
    CollectionName,
    DataDir,
    Document,
    Meta,
    Password,
    Quiet,
    numbers_of,
    parse_meta,
)
from api.cli.output import say
from api.cli.places import Place, open_place

if TYPE_CHECKING:
    import folioscope.domain as domain
    from api.pages import DocumentPages
    from folioscope.ports import VisionModel
    from generation import Comparison, Extraction
    from generation.reading import Read

FilesToRead = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE", help="Read these, kept in the collection 'files'; else the collection's documents."),
]
Work = Callable[["VisionModel", "DocumentPages", bool], "Read"]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(extract)
    app.command()(summarize)
    app.command()(classify)
    app.command()(compare)


def extract(
    schema: Annotated[
        Path, typer.Option("--schema", metavar="FILE", help="JSON Schema of what is wanted of each document.")
    ],
    files: FilesToRead = None,
    collection: CollectionName = None,
    document: Document = None,
    meta: Meta = None,
    model: ModelName = None,
    data_dir: DataDir = None,
    password: Password = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Extract fields from documents with a vision-language model, each with the quote that it was taken from.

    --json writes one line for each document.
    """
    from generation import extract as extract_pages
    from generation.schemas import read_schema

    wanted = read_schema(schema)
    invalid: list[str] = []

    def work(reader: VisionModel, pages: DocumentPages, words: bool) -> Extraction:
        found = extract_pages(reader, pages, wanted, page_words=words)
        if found.problems:
            invalid.append(pages[0].document.filename)
        return found

    with chosen(files, collection, document, meta, model, data_dir, password, quiet) as (place, documents, reader):
        _each(place, documents, reader, work, _show_fields, as_json, quiet)
    if invalid:
        say(f"{', '.join(invalid)}: what was found does not conform to the schema")
        raise typer.Exit(SOME_FAILED)


def summarize(
    files: FilesToRead = None,
    collection: CollectionName = None,
    document: Document = None,
    meta: Meta = None,
    model: ModelName = None,
    data_dir: DataDir = None,
    password: Password = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Summarize documents with a vision-language model, every statement with its pages.

    --json writes one line for each document.
    """
    from generation import summarize as summarize_pages

    def work(reader: VisionModel, pages: DocumentPages, words: bool) -> Read:
        return summarize_pages(reader, pages, page_words=words)

    with chosen(files, collection, document, meta, model, data_dir, password, quiet) as (place, documents, reader):
        _each(place, documents, reader, work, _show_segments, as_json, quiet)


def classify(
    labels: Annotated[list[str], typer.Option("--label", "-l", metavar="LABEL", help="What it may be; at least two.")],
    files: FilesToRead = None,
    collection: CollectionName = None,
    document: Document = None,
    meta: Meta = None,
    model: ModelName = None,
    data_dir: DataDir = None,
    password: Password = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say with a vision-language model which of some labels fits each document, and what shows it.

    --json writes one line for each document.
    """
    from generation import classify as classify_pages

    def work(reader: VisionModel, pages: DocumentPages, words: bool) -> Read:
        return classify_pages(reader, pages, labels, page_words=words)

    with chosen(files, collection, document, meta, model, data_dir, password, quiet) as (place, documents, reader):
        _each(place, documents, reader, work, _show_label, as_json, quiet)


def compare(
    first: Annotated[str, typer.Argument(metavar="FIRST", help="A file, or a document of the collection.")],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="Another, or the same with other pages.")],
    first_pages: Annotated[
        str | None, typer.Option("--first", metavar="PAGES", help="Only these pages of the first, such as 1-3,7.")
    ] = None,
    second_pages: Annotated[
        str | None, typer.Option("--second", metavar="PAGES", help="Only these pages of the second.")
    ] = None,
    collection: CollectionName = None,
    model: ModelName = None,
    data_dir: DataDir = None,
    password: Password = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare two documents, or pages of them, with a vision-language model: what both say, where they differ."""
    from api.pages import DocumentPages
    from folioscope.settings import load_settings
    from generation import compare as compare_pages
    from generation import to_json

    reader = open_reading_model(load_settings({"data_dir": data_dir, "model": model}), quiet)
    taken = {name: _taken(name, collection, data_dir, password, quiet) for name in (first, second)}
    with open_place(data_dir, quiet=quiet) as place:
        sides = []
        for name, only in ((first, first_pages), (second, second_pages)):
            document = place.document(*taken[name])
            sides.append(DocumentPages(place, document, numbers_of(only, document.pages)))
        found = compare_pages(reader, *sides, page_words=place.settings.page_words)
        if as_json:
            output.json_document(to_json(found))
        else:
            _show_comparison(found)
            _show_end(found, quiet)


@contextmanager
def chosen(
    files: Sequence[Path] | None,
    collection: str | None,
    names: Sequence[str] | None,
    meta: list[str] | None,
    model: str | None,
    data_dir: Path | None,
    password: str | None,
    quiet: bool,
) -> Iterator[tuple[Place, Sequence[domain.Document], VisionModel]]:
    """The place, the documents to read, of the files or those that names and tags choose of a collection, and who
    reads them: looked for first, so that no file is taken in for nobody.
    """
    from folioscope.domain import Where
    from folioscope.errors import NotFoundError
    from folioscope.settings import load_settings

    if files and (names or meta):
        raise typer.BadParameter("--document and --meta choose from a collection; files are read themselves")
    wanted = parse_meta(meta)
    reader = open_reading_model(load_settings({"data_dir": data_dir, "model": model}), quiet)
    ids = None
    if files:
        collection = collection or FILES
        ids = take_in(files, collection, data_dir, password, quiet).documents
    with open_place(data_dir, quiet=quiet) as place:
        if names:
            ids = frozenset(place.document(name, collection).id for name in names)
        where = Where(ids, wanted)
        documents = [
            each
            for each in place.documents(collection)
            if each.status == "ready" and where.matches(each.id, each.metadata)
        ]
        if not documents:
            raise NotFoundError("There is no document to read.", hint="`folioscope docs ls` lists what there is.")
        yield place, documents, reader


def _taken(
    name: str, collection: str | None, data_dir: Path | None, password: str | None, quiet: bool
) -> tuple[str, str | None]:
    """A document's name or id, and its collection; a file is taken in first."""
    if not Path(name).is_file():
        return name, collection
    where = take_in([Path(name)], collection or FILES, data_dir, password, quiet)
    assert where.documents is not None
    return min(where.documents), collection or FILES


def _each(
    place: Place,
    documents: Sequence[domain.Document],
    reader: VisionModel,
    work: Work,
    show: Callable[[Any], None],
    as_json: bool,
    quiet: bool,
) -> None:
    """Every document read and shown as soon as it is. One that fails is told, and the others go on; the error of a
    single document, and one that would meet them all, is raised.
    """
    from api.pages import DocumentPages
    from folioscope.errors import ModelAuth, ModelError, QueryError

    failed = 0
    for document in documents:
        try:
            found = work(reader, DocumentPages(place, document), place.settings.page_words)
        except (ModelError, QueryError) as error:
            if len(documents) == 1 or isinstance(error, ModelAuth):
                raise
            failed += 1
            say(f"{document.filename}: {error} [{error.code}]")
        else:
            _show(document, found, show, as_json, quiet)
    if failed:
        say(f"{failed} of {len(documents)} documents could not be read")
        raise typer.Exit(SOME_FAILED)


def _show(document: domain.Document, found: Read, show: Callable[[Any], None], as_json: bool, quiet: bool) -> None:
    from generation import to_json

    if as_json:
        output.line({"document": {"id": document.id, "filename": document.filename}, **to_json(found)})
        return
    output.text(document.filename)
    show(found)
    _show_end(found, quiet)
    output.text()


def _show_fields(found: Any) -> None:
    from generation.extract import carrier, leaves

    for path, value in leaves(found.data):
        carrying = carrier(path, found.fields, found.citations)
        output.text(f"  {path}: {value} {f'[{carrying}]' if carrying else '[unsupported]'}")
    for problem in found.problems:
        say(f"problem: {problem}")


def _show_segments(found: Any) -> None:
    for segment in found.segments:
        output.text(f"  {_marked(segment)}")


def _show_label(found: Any) -> None:
    output.text(f"  {found.label or 'none of them'}: {_marked(found.reason)}")


def _show_comparison(found: Comparison) -> None:
    output.text(found.summary)
    for segment in found.similarities:
        output.text(f"  both:   {_marked(segment)}")
    for difference in found.differences:
        output.text(difference.topic)
        output.text(f"  first:  {_marked(difference.first) if difference.first.text else 'nothing'}")
        output.text(f"  second: {_marked(difference.second) if difference.second.text else 'nothing'}")


def _marked(segment: domain.Segment) -> str:
    return f"{segment.text} {marks(segment)}"


def _show_end(found: Read, quiet: bool) -> None:
    for citation in found.citations:
        show_citation(citation, indent="  ")
    show_end(found, quiet)
