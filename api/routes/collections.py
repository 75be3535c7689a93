"""Collections: documents that are searched together."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api import etags
from api.answering import forget_answers
from api.duplicates import duplicate_pages
from api.idempotency import Made, OnlyOnce
from api.schemas.common import Listed
from api.schemas.documents import CollectionOut, NewCollection, Rename, collection_out
from api.schemas.duplicates import DuplicatesOut
from api.security import Access, Admin, Reader
from folioscope.errors import CollectionExists, QueryError
from ingest.lookups import rename

router = APIRouter(prefix="/v1/collections", tags=["collections"])
MOST_COMPARED = 20_000
"""Pages that are compared with each other in one request: all pairs, some seconds of one core."""


@router.get("")
def list_collections(access: Reader) -> Listed[CollectionOut]:
    """All that may be seen, by name."""
    found = [collection_out(each) for each in access.collections()]
    return Listed(data=found, last_id=found[-1].id if found else None)


@router.post("", status_code=201, response_model=CollectionOut)
async def create_collection(body: NewCollection, access: Admin, once: OnlyOnce) -> Response:
    """Needs a key that is not limited to some collections."""
    access.demand_all()
    return await once(access, body, partial(run_in_threadpool, _create, access, body))


def _create(access: Access, body: NewCollection) -> Made:
    if any(each.name == body.name for each in access.collections()):
        raise CollectionExists(f"There is a collection {body.name!r} already.")
    made = access.library.create_collection(body.name, body.channels)
    return Made(collection_out(made), 201, f"/v1/collections/{made.id}")


@router.get("/{collection}", response_model=CollectionOut, responses=etags.NOT_MODIFIED)
def get_collection(collection: str, access: Reader, if_none_match: etags.IfNoneMatch = None) -> Response:
    """By id or name."""
    return etags.whole(collection_out(access.collection(collection)), if_none_match)


@router.patch("/{collection}")
def rename_collection(collection: str, body: Rename, access: Admin) -> CollectionOut:
    """Its id stays; whatever named it by its name must learn the new one. Needs a key that is not limited."""
    found = access.collection(collection)
    access.demand_all()
    rename(access.library.catalog, found, body.name)
    return collection_out(access.collection(found.id))


@router.get("/{collection}/duplicates")
def list_duplicates(
    collection: str,
    access: Reader,
    threshold: Annotated[float, Query(gt=0, le=1, description="cosine from which two pages are alike")] = 0.95,
) -> DuplicatesOut:
    """Pages and photos that look alike, by the image channel's vectors, the largest group first."""
    found = access.collection(collection)
    channel = access.library.channels.searchable(found.id).get("image")
    if channel is None:
        raise QueryError(f"The collection {found.name!r} has no image channel, by which pages are compared.")
    documents = access.library.documents(found.name)
    if (pages := sum(each.pages for each in documents)) > MOST_COMPARED:
        raise QueryError(f"The collection has {pages:,} pages; at most {MOST_COMPARED:,} are compared with each other.")
    groups, compared = duplicate_pages(channel.index, documents, threshold)
    return DuplicatesOut.model_validate(
        {"threshold": threshold, "compared": compared, "pages": pages, "groups": groups}
    )


@router.delete("/{collection}", status_code=204)
def delete_collection(collection: str, access: Admin) -> None:
    """With its documents, vectors and files, its conversations and feedback."""
    found = access.collection(collection)
    documents = [each.id for each in access.library.documents(found.name)]
    access.library.remove_collection(found.name)
    forget_answers(access.library, documents)
