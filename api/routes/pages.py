"""Pages: their list, their images, their text."""

from __future__ import annotations

import hashlib
import io
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.schemas.common import Listed
from api.schemas.documents import PageOut, PageText, page_out, page_text
from api.security import Access, Reader
from folioscope.domain import Document, Page, PageKey
from folioscope.errors import DocumentNotFound

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
    edge = max(1, round(width * max(page.width, page.height) / page.width))
    name = f"{found.sha256}.{number}.{edge}.{format}"
    headers = {
        "etag": f'"{hashlib.sha256(name.encode()).hexdigest()[:32]}"',
        "cache-control": "private, max-age=31536000, immutable" if version else "private, no-cache",
    }
    if headers["etag"] in request.headers.get("if-none-match", ""):
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


def _page(access: Access, document: str, number: int, version: int | None) -> tuple[Document, Page]:
    found = access.document(document)
    if 1 <= number <= found.pages and version in (None, found.version):
        for page in access.library.catalog.pages(found.id, found.version, number, number):
            return found, page
    raise DocumentNotFound(f"There is no page {number} of {document}{f', version {version}' if version else ''}.")
