"""Pages: their list, their images, their text, where a visual channel sees a question on them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.schemas.common import Listed
from api.schemas.documents import PageOut, PageText, page_out, page_text
from api.schemas.similarity import SimilarityOut, similarity_out
from api.security import Access, Reader
from folioscope.domain import Document, Page, PageKey
from folioscope.errors import DocumentNotFound
from retrieval.similarity import overlay

router = APIRouter(prefix="/v1/documents/{document}/pages", tags=["pages"])
WIDTH = 1000  # pixels
QUALITY = 90
Format = Literal["jpeg", "png", "webp"]
Version = Annotated[int | None, Query(ge=1, description="an error where it is not the current one")]


@router.get("")
def list_pages(
    document: str,
    access: Reader,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> Listed[PageOut]:
    """In order; of a document that is being read, those that are."""
    found = access.document(document)
    pages = access.library.catalog.pages(found.id, found.version, after + 1, after + limit)
    data = [page_out(each, PageKey(found.id, found.version, each.number)) for each in pages]
    last = str(data[-1].number) if data else None
    return Listed(data=data, has_more=bool(data) and data[-1].number < found.pages, last_id=last)


@router.get("/{number}/image", response_class=Response, responses={200: {"content": {"image/*": {}}}})
def get_image(
    document: str,
    number: int,
    request: Request,
    access: Reader,
    width: Annotated[
        int, Query(ge=16, le=4000, description="pixels, give or take one; fewer where the limit on pixels says so")
    ] = WIDTH,
    format: Annotated[Format, Query()] = "jpeg",  # noqa: A002
    version: Version = None,
) -> Response:
    """Upright. With ``version`` it never changes, and browsers may keep it."""
    found, page = _page(access, document, number, version)
    edge = _edge(page, width)
    headers = _cached([found.sha256, number, edge, format], version)
    if _unchanged(request, headers):
        return Response(status_code=304, headers=headers)
    from PIL import Image

    pixels = access.library.image(PageKey(found.id, found.version, number), edge)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, format.upper(), **({} if format == "png" else {"quality": QUALITY}))
    return Response(written.getvalue(), media_type=f"image/{format}", headers=headers)


@router.get("/{number}/text")
def get_text(
    document: str,
    number: int,
    access: Reader,
    include: Annotated[Literal["words"] | None, Query()] = None,
    version: Version = None,
) -> PageText:
    """In reading order; with ``include=words`` every word with its box, too."""
    found, page = _page(access, document, number, version)
    return page_text(PageKey(found.id, found.version, number), page.words, include == "words")


@router.get(
    "/{number}/similarity",
    response_model=SimilarityOut,
    responses={200: {"content": {"image/png": {}}, "description": "the map; with format=png the page, painted"}},
)
def get_similarity(
    document: str,
    number: int,
    request: Request,
    access: Reader,
    query: Annotated[str, Query(min_length=1, max_length=1000)],
    word: Annotated[str | None, Query(max_length=100, description="of the question; the map is of it alone")] = None,
    format: Annotated[Literal["json", "png"], Query()] = "json",  # noqa: A002
    width: Annotated[int, Query(ge=16, le=4000, description="pixels, of the PNG")] = WIDTH,
    version: Version = None,
) -> Response:
    """Where a visual channel sees the question on this page, found or not: a hint, no evidence."""
    found, page = _page(access, document, number, version)
    key, edge = PageKey(found.id, found.version, number), _edge(page, width)
    retriever = access.library.retriever(found.collection)
    channel, fingerprint = retriever.seeing(query)
    named = [found.sha256, number, fingerprint, query, word, format, *([edge] if format == "png" else [])]
    headers = _cached(named, None)  # asked again each time: another encoder may take the channel over
    if _unchanged(request, headers):
        return Response(status_code=304, headers=headers)
    seen = retriever.similarity_map(key, query)
    if word is not None:
        seen = seen.of(word)
    if format == "png":
        return Response(overlay(access.library.image(key, edge), seen), media_type="image/png", headers=headers)
    told = similarity_out(seen, key, channel, query, word)
    return Response(told.model_dump_json(), media_type="application/json", headers=headers)


def _edge(page: Page, width: int) -> int:
    """The longer side of a page's image that is so wide, pixels."""
    return max(1, round(width * max(page.width, page.height) / page.width))


def _cached(named: Sequence[object], version: int | None) -> dict[str, str]:
    """Headers by which a browser keeps what is made of all that is ``named``; for good where the version is."""
    return {
        "etag": f'"{hashlib.sha256(repr(named).encode()).hexdigest()[:32]}"',
        "cache-control": "private, max-age=31536000, immutable" if version else "private, no-cache",
    }


def _unchanged(request: Request, headers: Mapping[str, str]) -> bool:
    return headers["etag"] in request.headers.get("if-none-match", "")


def _page(access: Access, document: str, number: int, version: int | None) -> tuple[Document, Page]:
    found = access.document(document)
    if 1 <= number <= found.pages and version in (None, found.version):
        for page in access.library.catalog.pages(found.id, found.version, number, number):
            return found, page
    raise DocumentNotFound(f"There is no page {number} of {document}{f', version {version}' if version else ''}.")
