"""Commands that fill and look after a library: ingest, docs, collections, jobs."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.answering import kept_answers
from api.cli import output
from api.cli.exits import SOME_FAILED
from api.cli.options import (
    AsJson,
    CollectionName,
    DataDir,
    OcrEngine,
    OcrLanguages,
    Password,
    Quiet,
    Tags,
    Wait,
    open_library,
    parse_meta,
)
from api.cli.output import say

if TYPE_CHECKING:
    from api.cli.progress import Counter, Work
    from folioscope.domain import Document
    from ingest import Library, Outcome, Report
    from ingest.catalog import Job

GO_ON = "`folioscope jobs watch`"

docs = typer.Typer(help="Documents of a collection.", no_args_is_help=True)
collections = typer.Typer(help="Collections: documents searched together.", no_args_is_help=True)
jobs = typer.Typer(help="What was ingested, how far it is, and going on with it.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its id or file name.")]
CollectionArgument = Annotated[str, typer.Argument(metavar="NAME", help="The collection's name.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(ingest)
    app.add_typer(docs, name="docs")
    app.add_typer(collections, name="collections")
    app.add_typer(jobs, name="jobs")


def ingest(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Files, folders, https:// addresses: PDFs and images.")
    ],
    collection: CollectionName = None,
    data_dir: DataDir = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHANNEL",
            help="Of a new collection, not the setting's: lexical, semantic, visual, image; may be repeated.",
        ),
    ] = None,
    password: Password = None,
    meta: Tags = None,
    ocr: OcrEngine = None,
    ocr_languages: OcrLanguages = None,
    workers: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Documents read at the same time.")
    ] = None,
    wait: Wait = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take documents in. They can be searched as soon as this returns; slower channels fill in behind.

    With --json: one line of JSON for each file.
    """
    from api.cli.fetching import fetched
    from api.cli.progress import working

    tags = parse_meta(meta)
    flags = {"ocr": ocr, "ocr_languages": ocr_languages, "workers": workers}
    with working(data_dir, go_on=f"{GO_ON} or the same command", **flags) as work:
        with work.shown(quiet):
            target = work.library.settings.collection if collection is None else collection
            known = [made.name for made in work.library.catalog.collections()]
            with fetched(paths, work.library.settings.max_file_mb << 20) as (files, origins):
                report = work.library.ingest(
                    files,
                    collection=collection,
                    channels=channel,
                    password=password,
                    metadata=tags,
                    wait=wait,
                    origins=origins,
                )
        _tell(work, report, as_json, quiet)
        if target not in known and not quiet:
            near = difflib.get_close_matches(target, known, n=1)
            say(f"made the collection {target!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
            if channel and "lexical" not in channel:
                say(f"it has no lexical channel: `folioscope channels add lexical -c {target}` finds words at once")


def _tell(work: Work, report: Report, as_json: bool, quiet: bool) -> None:
    if as_json:
        for outcome in report.outcomes:
            output.line(_outcome(outcome))
    if not quiet:
        _summary(report, work.counter)
        _say_channels(work.library)
    if report.failed and not work.stopped:
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


def _summary(report: Report, counter: Counter) -> None:
    counts: dict[str, int] = {}
    for outcome in report.outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    counted = ", ".join(f"{number} {status}" for status, number in counts.items()) or "nothing"
    skipped = f"; {report.skipped} files of other types skipped" if report.skipped else ""
    pages, filled, seconds = counter.pages, counter.filled, counter.seconds
    took = f"{pages} pages read" + (f", {filled} taken in by slower channels" if filled else "")
    rate = f" ({pages / seconds:.3g} pages/s)" if pages and seconds else ""
    say(f"{counted}: {took} in {seconds:.1f} s{rate}{skipped}")
    for outcome in report.outcomes:
        if outcome.problem:
            say(f"  {outcome.status}: {outcome.filename}: {outcome.problem.message} [{outcome.problem.code}]")
        elif outcome.page_problems:
            say(f"  {outcome.page_problems} of {outcome.pages} pages could not be read: {outcome.filename}")


def _say_channels(library: Library) -> None:
    unavailable = library.unavailable
    for name, coverage in library.channel_coverage().items():
        if name in unavailable:
            say(f"the {name} channel is off: {unavailable[name]}")
        elif coverage.done < coverage.total:
            say(
                f"the {name} channel has {coverage.done} of {coverage.total} pages and rests; "
                "`folioscope jobs watch` or the next ingest goes on with it"
            )


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
    names: Annotated[list[str], typer.Argument(metavar="DOCUMENT", help="Ids or file names.")],
    collection: CollectionName = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete documents: vectors, words, page images, the stored file and replies kept by --cache."""
    from generation import forget

    with open_library(data_dir) as library:
        documents = [library.document(name, collection) for name in names]
        for document in documents:
            library.remove(document.id, collection)
            forget(kept_answers(library), [document.id])
            say(f"deleted {document.filename} ({document.id})")
        if as_json:
            output.json_document([{"id": document.id, "filename": document.filename} for document in documents])


@docs.command("reingest")
def docs_reingest(
    names: Annotated[list[str] | None, typer.Argument(metavar="DOCUMENT", help="Ids or file names.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every document of the collection.")] = False,
    collection: CollectionName = None,
    data_dir: DataDir = None,
    password: Password = None,
    ocr: OcrEngine = None,
    ocr_languages: OcrLanguages = None,
    wait: Wait = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read documents again from their stored originals; the new version replaces the old one in one switch.

    With --json: one line of JSON for each document.
    """
    from api.cli.progress import working

    if bool(names) == everything:
        raise typer.BadParameter("name documents, or say --all")
    with working(data_dir, go_on=GO_ON, ocr=ocr, ocr_languages=ocr_languages) as work:
        with work.shown(quiet):
            chosen = names or [document.id for document in work.library.documents(collection)]
            report = work.library.reingest(chosen, collection=collection, password=password, wait=wait)
        _tell(work, report, as_json, quiet)


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
            [[r["name"], str(r["documents"]), ", ".join(r["channels"]), _time(r["created"])] for r in rows],
        )


@collections.command("create")
def collections_create(
    name: CollectionArgument,
    channel: Annotated[
        list[str] | None, typer.Option(metavar="CHANNEL", help="lexical, semantic, visual, image; may be repeated.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a collection."""
    with open_library(data_dir) as library:
        made = library.create_collection(name, channel)
        channels = [entry.name for entry in made.channels if entry.active]
        if as_json:
            output.json_document({"id": made.id, "name": made.name, "channels": channels})
        else:
            say(f"collection {made.name} with the channels {', '.join(channels)}")


@collections.command("rm")
def collections_rm(
    name: CollectionArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Delete a collection with everything in it."""
    from generation import forget

    with open_library(data_dir) as library:
        documents = library.documents(name)
        if documents and not yes:
            typer.confirm(output.clean(f"Delete {name} with {len(documents)} documents?"), abort=True, err=True)
        library.remove_collection(name)
        forget(kept_answers(library), [document.id for document in documents])
        say(f"deleted {name}")


@collections.command("rebuild")
def collections_rebuild(name: CollectionName = None, data_dir: DataDir = None, quiet: Quiet = False) -> None:
    """Make a collection's indexes anew from its stored words: after a change of encoder, or when one is damaged."""
    from api.cli.progress import working

    with working(data_dir, go_on=GO_ON) as work:
        with work.shown(quiet):
            work.library.rebuild(name)
        if not quiet:
            say(f"{work.counter.filled} pages taken in anew")
            _say_channels(work.library)


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
            ["id", "kind", "collection", "state", "documents", "created"],
            [[job.id, job.kind, job.collection, job.state, _counts(job), _time(job.created)] for job in found],
        )


def _counts(job: Job) -> str:
    counts = {"ready": job.ready, "failed": job.failed, "left": job.outstanding}
    return ", ".join(f"{number} {state}" for state, number in counts.items() if number) or "none"


@jobs.command("watch")
def jobs_watch(data_dir: DataDir = None, quiet: Quiet = False) -> None:
    """Go on with whatever is outstanding, slower channels included, and show how it comes along."""
    from api.cli.progress import working

    with working(data_dir, go_on=GO_ON) as work:
        with work.shown(quiet):
            work.library.run_outstanding()
        if not quiet:
            done = work.counter
            say(
                f"{done.ready} documents ready, {done.failed} failed, {done.pages} pages read, "
                f"{done.filled} pages taken in by slower channels in {done.seconds:.1f} s"
            )
            _say_channels(work.library)


@jobs.command("cancel")
def jobs_cancel(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `folioscope jobs ls` shows it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give up what a job has not read yet; documents that are ready stay."""
    with open_library(data_dir) as library:
        cancelled = library.cancel(job)
        if as_json:
            output.json_document({"id": job, "cancelled": cancelled})
        else:
            say(f"{cancelled} documents given up")


def _time(created: str) -> str:
    """To the minute, UTC: for tables."""
    return created[:16].replace("T", " ")
