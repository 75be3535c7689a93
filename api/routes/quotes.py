"""Whether words stand on a page, and where: what a link to a quote is opened with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.schemas.common import Box
from api.security import Access, Reader
from folioscope import domain
from folioscope.errors import DocumentNotFound
from generation.citations import verify

router = APIRouter(prefix="/v1/documents/{document}/pages/{number}/quote", tags=["pages"])


class QuoteOut(BaseModel):
    """``boxes``: one a line of the quote; none where it is ``unverified``."""

    quote: str
    quote_status: domain.QuoteStatus
    boxes: list[Box]


@router.get("")
def get_quote(
    document: str,
    number: int,
    access: Reader,
    text: Annotated[str, Query(min_length=1, max_length=4000)],
) -> QuoteOut:
    """Checked anew against the page's words, so that a link marks nothing that is not there."""
    match = verify(text, _words(access, document, number))
    return QuoteOut(quote=text, quote_status=match.status, boxes=list(match.boxes))


def _words(access: Access, document: str, number: int) -> domain.Words:
    found = access.document(document)
    if 1 <= number <= found.pages:
        for page in access.library.catalog.pages(found.id, found.version, number, number):
            return page.words
    raise DocumentNotFound(f"There is no page {number} of {document}.")
