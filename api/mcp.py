"""The library's tools for other programs' models, by the Model Context Protocol. Needs the extra `mcp`.

All of them only read, and none takes a path. What stands on pages was written by others: it is fenced and said to be
data in the description of each tool and around what it returns.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, NamedTuple

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ImageContent,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from api import problems
from api.schemas.answers import answer_out, search_out
from api.schemas.common import Given
from api.schemas.documents import collection_out, document_out
from api.schemas.tools import NOTICE, Collections, Documents, Pages, PageShown, Reply
from api.security import Access
from folioscope import __version__
from folioscope.domain import Answer, Document, PageKey, PictureLimits, Where
from folioscope.errors import DocumentNotFound, FolioscopeError
from generation import stream
from generation.pictures import picture
from generation.running import closing
from ingest import lookups
from ingest.database import new_id
from ingest.lookups import document_counts

MOST_CHARACTERS = 60_000
"""Of one page's text."""

IMAGE = PictureLimits(long_edge=1568, max_bytes=700_000, max_pictures=1)
"""In base64 less than the megabyte that widespread clients take."""

INSTRUCTIONS = (
    "Search the user's documents page by page, look at pages, or have a question answered with checked quotes. Cite "
    f"the file's name and the page, which counts from 1. {NOTICE}"
)
READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

log = logging.getLogger(__name__)


class InCollection(Given):
    """Where to look."""

    collection: str | None = Field(None, min_length=1, max_length=64, description="A collection's name or id.")


class Question(InCollection):
    """What to look for."""

    documents: list[str] | None = Field(None, max_length=1000, description="Ids of the only documents to look at.")
    top_k: int | None = Field(None, ge=1, le=20, description="How many pages; else the server's setting.")


class SearchPages(Question):
    """Of `search_pages`."""

    query: str = Field(min_length=1, max_length=10_000, description="A question or a few words.")


class AskDocuments(Question):
    """Of `ask_documents`."""

    question: str = Field(min_length=1, max_length=10_000, description="One that stands by itself.")


class GetPage(Given):
    """Of `get_page`."""

    document: str = Field(max_length=64, description="A document's id, doc_….")
    page: int = Field(ge=1, le=10**6, description="The page's number, from 1.")
    kind: Literal["image", "text"] = Field(
        "text", alias="as", description="An image shows charts, tables and scans as they are."
    )


class ListCollections(Given):
    """Of `list_collections`."""


class ListDocuments(InCollection):
    """Of `list_documents`."""

    limit: int = Field(20, ge=1, le=100, description="How many.")
    after: str | None = Field(None, max_length=64, description="Go on behind this document: last_id.")


class Offer(NamedTuple):
    """A tool: its function, which may block where it is no coroutine function, what that takes and what it returns."""

    run: Callable[[Access, Any], Any]
    takes: type[BaseModel]
    returns: type[BaseModel]

    def described(self) -> Tool:
        """As clients are told of it."""
        return Tool(
            name=self.run.__name__,
            description=f"{' '.join((self.run.__doc__ or '').split())} {NOTICE}",
            input_schema={k: v for k, v in self.takes.model_json_schema().items() if k != "description"},
            output_schema=self.returns.model_json_schema(mode="serialization"),
            annotations=READS,
        )


def server(access: Access | None = None) -> Server[Access | None]:
    """The tools. ``access``: what they may see; None: as the HTTP request that brings a call says
    (`request.state.access`).
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Server[Access | None]) -> AsyncIterator[Access | None]:
        yield access

    return Server(
        "folioscope",
        title="Folioscope",
        version=__version__,
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        on_list_tools=_list,
        on_call_tool=_call,
    )


async def _list(_: ServerRequestContext[Access | None, Any], __: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=[offer.described() for offer in TOOLS.values()])


async def _call(about: ServerRequestContext[Access | None, Any], asked: CallToolRequestParams) -> CallToolResult:
    """Whatever goes wrong is a result, in words that the model which called the tool can act on."""
    if (offer := TOOLS.get(asked.name)) is None:
        return _failed(f"There is no tool {asked.name!r}; the tools are {', '.join(TOOLS)}.")
    try:
        given = offer.takes.model_validate(asked.arguments or {})
        return await _run(offer, _access(about), given)
    except ValidationError as error:
        return _failed("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()))
    except FolioscopeError as error:
        if problems.status_of(error) >= 500:
            log.error("%s: %s", asked.name, error)
        return _failed(problems.told(error))
    except Exception:
        log.exception("%s failed", asked.name)
        return _failed("The server failed; its log says why.")


async def _run(offer: Offer, access: Access, given: BaseModel) -> CallToolResult:
    if asyncio.iscoroutinefunction(offer.run):
        done: CallToolResult = await offer.run(access, given)
        return done
    return await run_in_threadpool(offer.run, access, given)


def _access(about: ServerRequestContext[Access | None, Any]) -> Access:
    """What this call may see. A request that was let in without one sees nothing: it fails here."""
    found = about.request.state.access if about.request is not None else about.lifespan_context
    assert isinstance(found, Access)
    return found


def search_pages(access: Access, asked: SearchPages) -> CallToolResult:
    """Find the pages that matter to a question, best first, each with a snippet; then read them with get_page."""
    retriever = access.library.retriever(access.collection(asked.collection).name)
    found = search_out(retriever.search(asked.query, k=_top_k(access, asked), where=_where(asked)))
    lines = [
        f"{hit.rank}. {hit.document.filename}, page {hit.page} (document {hit.document.id}): {hit.snippet}"
        for hit in found.hits
    ]
    result = Pages(**found.model_dump())
    return _result(result, "\n".join(lines) if lines else "No page was found.", *found.notes)


def get_page(access: Access, asked: GetPage) -> CallToolResult:
    """Read one page of a document, as its text or as an image of it."""
    found, number = access.document(asked.document), asked.page
    for entry in access.library.catalog.pages(found.id, found.version, number, number):
        shown = PageShown(
            document=found.id,
            filename=found.filename,
            version=found.version,
            number=number,
            pages=found.pages,
            word_source=entry.words.source,
        )
        return _drawn(access, found, shown) if asked.kind == "image" else _read(entry.words.text(), shown)
    raise DocumentNotFound(f"There is no page {number} of {found.id}, which has {found.pages}.")


def _drawn(access: Access, found: Document, shown: PageShown) -> CallToolResult:
    image = access.library.image(PageKey(found.id, found.version, shown.number), IMAGE.long_edge)
    made = picture(image, IMAGE)
    result = _result(shown.model_copy(update={"width": made.width, "height": made.height}), _place(shown))
    data = base64.b64encode(made.data).decode()
    result.content.append(ImageContent(type="image", data=data, mime_type=made.media_type))
    return result


def _read(text: str, shown: PageShown) -> CallToolResult:
    kept = text[:MOST_CHARACTERS]
    left_out = f"Only the first {MOST_CHARACTERS:,} of {len(text):,} characters." if len(kept) < len(text) else ""
    result = shown.model_copy(update={"text": kept, "cut": bool(left_out)})
    if not kept:
        return _result(result, _place(shown), "The page has no text: look at its image.")
    return _result(result, f"{_place(shown)}\n{kept}", left_out)


def _place(shown: PageShown) -> str:
    return f"{shown.filename}, page {shown.number} of {shown.pages} (document {shown.document})"


async def ask_documents(access: Access, asked: AskDocuments) -> CallToolResult:
    """Answer a question from the pages that matter, every quote checked against its page: a quote's status is exact,
    fuzzy, visual (seen and not read) or unverified (not on the page).
    """
    collection = await run_in_threadpool(access.collection, asked.collection)
    model = await run_in_threadpool(access.service.model)
    retriever = await run_in_threadpool(access.library.retriever, collection.name)
    k, where = _top_k(access, asked), _where(asked)
    async with closing(stream(asked.question, retriever, model, k=k, where=where, images=access.library)) as events:
        async for event in events:
            if isinstance(event, Answer):
                return _answered(event)
    raise AssertionError("a stream ends with its answer or an error")


def _answered(answer: Answer) -> CallToolResult:
    result = Reply(**answer_out(answer, new_id("ans")).model_dump())
    if answer.status == "blocked":
        return _result(result, "The model declined to answer.")
    if answer.status == "not_found":
        return _result(result, "The pages that were found don't say.", *result.warnings)
    text = " ".join(f"{each.text} {''.join(f'[{n}]' for n in each.citations)}".rstrip() for each in answer.segments)
    quotes = [
        f"[{each.index}] {each.document.filename}, page {each.page} "
        f"(document {each.document.id}, {each.quote_status}): “{each.quote}”"
        for each in answer.citations
    ]
    return _result(result, "\n".join([text, "", *quotes]), *result.warnings)


def list_collections(access: Access, _: ListCollections) -> CallToolResult:
    """List the collections of documents."""
    counts = document_counts(access.library.catalog)
    found = [collection_out(each, counts.get(each.id, 0)) for each in access.collections()]
    lines = [f"{each.name} ({each.id}): {each.documents} documents; {', '.join(each.channels)}" for each in found]
    result = Collections(data=found, last_id=found[-1].id if found else None)
    return _result(result, "\n".join(lines) if lines else "There is no collection.")


def list_documents(access: Access, asked: ListDocuments) -> CallToolResult:
    """List the documents of a collection, oldest first, with their numbers of pages."""
    collection = access.collection(asked.collection)
    found, more = lookups.documents(access.library.catalog, collection, asked.limit, asked.after)
    lines = [f"{each.filename} (document {each.id}): {each.pages} pages, {each.status}" for each in found]
    last = found[-1].id if found else None
    result = Documents(data=[document_out(each) for each in found], has_more=more, last_id=last)
    text = "\n".join(lines) if lines else "There is no document."
    return _result(result, text, f"There are more, after {last}." if more else "")


TOOLS = {
    offer.run.__name__: offer
    for offer in (
        Offer(search_pages, SearchPages, Pages),
        Offer(get_page, GetPage, PageShown),
        Offer(ask_documents, AskDocuments, Reply),
        Offer(list_collections, ListCollections, Collections),
        Offer(list_documents, ListDocuments, Documents),
    )
}


def _top_k(access: Access, asked: Question) -> int:
    return asked.top_k or access.library.settings.top_k


def _where(asked: Question) -> Where | None:
    return None if asked.documents is None else Where(frozenset(asked.documents))


def _result(structured: Pages | Reply | PageShown | Collections | Documents, text: str, *notes: str) -> CallToolResult:
    """``text`` between two marks that its authors can't know, behind it what we say of it."""
    fence = secrets.token_hex(6)
    said = "\n".join([NOTICE, f"[documents {fence}]", text, f"[end of documents {fence}]", *filter(None, notes)])
    return CallToolResult(
        content=[TextContent(type="text", text=said)], structured_content=structured.model_dump(mode="json")
    )


def _failed(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
