"""Collections: documents that are searched together."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.answering import forget_answers
from api.schemas.common import Listed
from api.schemas.documents import CollectionOut, NewCollection, collection_out
from api.security import Admin, Reader
from folioscope.errors import CollectionExists, Forbidden

router = APIRouter(prefix="/v1/collections", tags=["collections"])


@router.get("")
def list_collections(access: Reader) -> Listed[CollectionOut]:
    """All that may be seen, by name."""
    found = [collection_out(each) for each in access.collections()]
    return Listed(data=found, last_id=found[-1].id if found else None)


@router.post("", status_code=201)
def create_collection(body: NewCollection, access: Admin, response: Response) -> CollectionOut:
    """Needs a key that is not limited to some collections."""
    if access.grants is not None:
        raise Forbidden("A key that is limited to some collections makes no others.")
    if any(each.name == body.name for each in access.collections()):
        raise CollectionExists(f"There is a collection {body.name!r} already.")
    made = access.library.create_collection(body.name, body.channels)
    response.headers["location"] = f"/v1/collections/{made.id}"
    return collection_out(made)


@router.get("/{collection}")
def get_collection(collection: str, access: Reader) -> CollectionOut:
    """By id or name."""
    return collection_out(access.collection(collection))


@router.delete("/{collection}", status_code=204)
def delete_collection(collection: str, access: Admin) -> None:
    """With its documents, vectors and files."""
    found = access.collection(collection)
    documents = [each.id for each in access.library.documents(found.name)]
    access.library.remove_collection(found.name)
    forget_answers(access.library, documents)
