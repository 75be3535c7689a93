"""Commands that fill and look after a library: ingest, docs, collections, jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import output
from api.cli.options import AsJson, CollectionName, DataDir, Meta, Password, Quiet, open_library, parse_meta

if TYPE_CHECKING:
    from folioscope.domain import Document
    from ingest import Library, Outcome, Report

SOME_FAILED = 4
INTERRUPTED = 130

docs = typer.Typer(help="Documents of a collection.", no_args_is_help=True)
collections = typer.Typer(help="Collections: documents searched together.", no_args_is_help=True)
jobs = typer.Typer(help="What was ingested, how far it is, and going on with it.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its id or file name.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(ingest)
    app.add_typer(docs, name="docs")
    app.add_typer(collections, name="collections")
    app.add_typer(jobs, name="jobs")


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders: PDFs and images.")],
    collection: CollectionName = None,
    data_dir: DataDir = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="Of a new collection: lexical, semantic, visual, image; may be repeated."),
    ] = None,
    password: Password = None,
    meta: Meta = None,
    ocr: Annotated[str | None, typer.Option(help="auto, tesseract, rapidocr or off.")] = None,
    ocr_languages: Annotated[str | None, typer.Option(help="Tesseract's codes, such as eng+deu.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Documents read at the same time.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return only when the slower channels are filled, too.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take documents in. They can be searched as soon as this returns; slower channels fill in behind."""
    from api.cli.progress import watching

    tags = parse_meta(meta)
    with open_library(data_dir, ocr=ocr, ocr_languages=ocr_languages, workers=workers) as library:
        with watching(library, quiet) as counter:
            report = library.ingest(
                paths, collection=collection, channels=channel, password=password, metadata=tags, wait=wait
            )
            stopped = library.pipeline.stopping
        seconds, pages = counter.seconds, counter.pages
        if as_json:
            for outcome in report.outcomes:
                output.line(_outcome(outcome))
        if not quiet:
            _summary(library, report, pages, seconds, stopped)
    if stopped:
        raise typer.Exit(INTERRUPTED)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {
        "filename": outcome.filename,
        "status": outcome.status,
        "id": outcome.document_id,
        "version": outcome.version,
        "pages": outcome.pages,
        "page_problems": outcome.page_problems,
        "source": outcome.source,
    }
    if outcome.problem:
        row["error"] = {"code": outcome.problem.code, "message": outcome.problem.message}
    return row


def _summary(library: Library, report: Report, pages: int, seconds: float, stopped: bool) -> None:
    counts: dict[str, int] = {}
    for outcome in report.outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    counted = ", ".join(f"{number} {status}" for status, number in counts.items()) or "nothing"
    skipped = f"; {report.skipped} other files skipped" if report.skipped else ""
    _say(f"{counted}: {pages} pages in {seconds:.1f} s ({pages / max(seconds, 1e-9):.0f} pages/s){skipped}")
    for outcome in report.outcomes:
        if outcome.problem:
            _say(f"  {outcome.status}: {outcome.filename}: {outcome.problem.message} [{outcome.problem.code}]")
        elif outcome.page_problems:
            _say(f"  {outcome.page_problems} of {outcome.pages} pages could not be read: {outcome.filename}")
    if stopped:
        _say("stopped; go on with `folioscope jobs watch` or the same command")
    _say_channels(library)


def _say_channels(library: Library) -> None:
    unavailable = library.unavailable
    for name, coverage in library.channel_coverage().items():
        if name in unavailable:
            _say(f"the {name} channel is off: {unavailable[name]}")
        elif coverage.done < coverage.total:
            _say(
                f"the {name} channel has {coverage.done} of {coverage.total} pages; "
                "the next ingest or `folioscope jobs watch` goes on with it"
            )


def _say(text: str) -> None:
    print(text, file=sys.stderr)


# --- docs -----------------------------------------------------------------------------------------------------------


@docs.command("ls")
def docs_ls(collection: CollectionName = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the documents of a collection."""
    with open_library(data_dir) as library:
        found = library.documents(collection)
        if as_json:
            output.json_document([output.document_json(document) for document in found])
            return
        rows = [
            [document.id, document.filename, document.status, str(document.pages), _coverage(document)]
            for document in found
        ]
        output.table(["id", "file", "status", "pages", "channels"], rows)


def _coverage(document: Document) -> str:
    if document.problem and document.status == "failed":
        return document.problem.code
    return ", ".join(
        name if coverage.share == 1 else f"{name} {coverage.share:.0%}" for name, coverage in document.coverage.items()
    )


@docs.command("show")
def docs_show(name: Name, collection: CollectionName = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one document: its state, its channels, pages with problems or flags."""
    with open_library(data_dir) as library:
        document = library.document(name, collection)
        pages = library.catalog.page_notes(document.id, document.version)
        shown = output.document_json(document)
        shown["page_notes"] = [
            {"page": page.number, "flags": list(page.flags)}
            | ({"error": {"code": page.problem.code, "message": page.problem.message}} if page.problem else {})
            for page in pages
        ]
        if as_json:
            output.json_document(shown)
            return
        output.fields(
            {
                "id": document.id,
                "file": document.filename,
                "source": document.source,
                "collection": document.collection,
                "status": document.status + (f": {document.problem.message}" if document.problem else ""),
                "version": str(document.version),
                "pages": str(document.pages),
                "added": document.created,
                "sha256": document.sha256,
                "metadata": ", ".join(f"{key}={value}" for key, value in document.metadata.items()),
                "channels": ", ".join(f"{n} {c.done}/{c.total}" for n, c in document.coverage.items()),
            }
        )
        for page in pages:
            notes = [*page.flags, *([page.problem.message] if page.problem else [])]
            output.text(f"page {page.number}: {'; '.join(notes)}")


@docs.command("rm")
def docs_rm(
    names: Annotated[list[str], typer.Argument(metavar="DOCUMENT...", help="Ids or file names.")],
    collection: CollectionName = None,
    data_dir: DataDir = None,
) -> None:
    """Delete documents: vectors, words, page images and the stored file."""
    with open_library(data_dir) as library:
        for document in [library.document(name, collection) for name in names]:
            library.remove(document.id, collection)
            _say(f"deleted {document.filename} ({document.id})")


@docs.command("reingest")
def docs_reingest(
    names: Annotated[list[str] | None, typer.Argument(metavar="[DOCUMENT]...", help="Ids or file names.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every document of the collection.")] = False,
    collection: CollectionName = None,
    data_dir: DataDir = None,
    password: Password = None,
    ocr: Annotated[str | None, typer.Option(help="auto, tesseract, rapidocr or off.")] = None,
    ocr_languages: Annotated[str | None, typer.Option(help="Tesseract's codes, such as eng+deu.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return only when the slower channels are filled, too.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read documents again from their stored originals; the new version replaces the old one in one switch."""
    from api.cli.progress import watching

    if bool(names) == everything:
        raise typer.BadParameter("name documents, or say --all")
    with open_library(data_dir, ocr=ocr, ocr_languages=ocr_languages) as library:
        with watching(library, quiet) as counter:
            chosen = names or [document.id for document in library.documents(collection)]
            report = library.reingest(chosen, collection=collection, password=password, wait=wait)
            stopped = library.pipeline.stopping
        if as_json:
            for outcome in report.outcomes:
                output.line(_outcome(outcome))
        if not quiet:
            _summary(library, report, counter.pages, counter.seconds, stopped)
    if stopped:
        raise typer.Exit(INTERRUPTED)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


# --- collections ----------------------------------------------------------------------------------------------------


@collections.command("ls")
def collections_ls(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the collections."""
    with open_library(data_dir) as library:
        rows: list[dict[str, Any]] = [
            {
                "id": collection.id,
                "name": collection.name,
                "channels": [recipe.name for recipe in collection.channels if recipe.active],
                "documents": len(library.catalog.documents(collection)),
                "created": collection.created,
            }
            for collection in library.catalog.collections()
        ]
        if as_json:
            output.json_document(rows)
            return
        output.table(
            ["name", "documents", "channels", "created"],
            [[r["name"], str(r["documents"]), ", ".join(r["channels"]), r["created"]] for r in rows],
        )


@collections.command("create")
def collections_create(
    name: str,
    channel: Annotated[
        list[str] | None, typer.Option(help="lexical, semantic, visual, image; may be repeated.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a collection."""
    with open_library(data_dir) as library:
        made = library.create_collection(name, channel)
        _say(f"{made.name}: {', '.join(recipe.name for recipe in made.channels)}")


@collections.command("rm")
def collections_rm(
    name: str,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Delete a collection with everything in it."""
    with open_library(data_dir) as library:
        documents = library.documents(name)
        if documents and not yes:
            typer.confirm(f"Delete {name} with {len(documents)} documents?", abort=True, err=True)
        library.remove_collection(name)
        _say(f"deleted {name}")


@collections.command("rebuild")
def collections_rebuild(name: CollectionName = None, data_dir: DataDir = None, quiet: Quiet = False) -> None:
    """Make a collection's indexes anew from its stored words: after a change of encoder, or when one is damaged."""
    from api.cli.progress import watching

    with open_library(data_dir) as library, watching(library, quiet) as counter:
        library.rebuild(name)
        if not quiet:
            _say(f"{counter.filled} pages taken in anew")
            _say_channels(library)


# --- jobs -----------------------------------------------------------------------------------------------------------


@jobs.command("ls")
def jobs_ls(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List jobs, newest first."""
    with open_library(data_dir) as library:
        found = library.jobs()
        if as_json:
            output.json_document(
                [
                    {
                        "id": job.id,
                        "kind": job.kind,
                        "collection": job.collection,
                        "created": job.created,
                        "state": job.state,
                        "ready": job.ready,
                        "failed": job.failed,
                        "outstanding": job.outstanding,
                    }
                    for job in found
                ]
            )
            return
        output.table(
            ["id", "kind", "collection", "state", "ready", "failed", "outstanding", "created"],
            [
                [j.id, j.kind, j.collection, j.state, str(j.ready), str(j.failed), str(j.outstanding), j.created]
                for j in found
            ],
        )


@jobs.command("watch")
def jobs_watch(data_dir: DataDir = None, quiet: Quiet = False) -> None:
    """Go on with whatever is outstanding, slower channels included, and show how it comes along."""
    from api.cli.progress import watching

    with open_library(data_dir) as library:
        with watching(library, quiet) as counter:
            library.run_outstanding()
            stopped = library.pipeline.stopping
        if not quiet:
            _say(
                f"{counter.ready} documents ready, {counter.failed} failed, {counter.pages} pages read, "
                f"{counter.filled} pages taken in by slower channels in {counter.seconds:.1f} s"
            )
            _say_channels(library)
    if stopped:
        _say("stopped; go on with `folioscope jobs watch`")
        raise typer.Exit(INTERRUPTED)


@jobs.command("cancel")
def jobs_cancel(job: Annotated[str, typer.Argument(metavar="JOB")], data_dir: DataDir = None) -> None:
    """Give up what a job has not read yet; documents that are ready stay."""
    with open_library(data_dir) as library:
        _say(f"{library.cancel(job)} documents given up")
