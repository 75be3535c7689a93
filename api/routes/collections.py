"""Collections: documents that are searched together."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api import etags
from api.answering import forget_answers
from api.idempotency import Made, OnlyOnce
from api.schemas.common import Listed
from api.schemas.documents import CollectionOut, NewCollection, collection_out
from api.security import Access, Admin, Reader
from folioscope.errors import CollectionExists, Forbidden

router = APIRouter(prefix="/v1/collections", tags=["collections"])


@router.get("")
def list_collections(access: Reader) -> Listed[CollectionOut]:
    """All that may be seen, by name."""
    found = [collection_out(each) for each in access.collections()]
    return Listed(data=found, last_id=found[-1].id if found else None)


@router.post("", status_code=201, response_model=CollectionOut)
async def create_collection(body: NewCollection, access: Admin, once: OnlyOnce) -> Response:
    """Needs a key that is not limited to some collections."""
    if access.grants is not None:
        raise Forbidden("A key that is limited to some collections makes no others.")
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


@router.delete("/{collection}", status_code=204)
def delete_collection(collection: str, access: Admin) -> None:
    """With its documents, vectors and files, its conversations and feedback."""
    found = access.collection(collection)
    documents = [each.id for each in access.library.documents(found.name)]
    access.library.remove_collection(found.name)
    forget_answers(access.library, documents)
