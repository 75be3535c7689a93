"""Keys: making, listing and revoking them."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.keys import Keys
from api.schemas.common import Listed
from api.schemas.keys import KeyOut, MadeKey, NewKey, key_out
from api.security import Owner

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.get("")
def list_keys(access: Owner) -> Listed[KeyOut]:
    """Every key ever made, oldest first."""
    found = [key_out(each) for each in Keys(access.library.catalog.database).all()]
    return Listed(data=found, last_id=found[-1].id if found else None)


@router.post("", status_code=201)
def create_key(body: NewKey, access: Owner, response: Response) -> MadeKey:
    """The answer holds the secret, this once."""
    ids = None if body.collections is None else [access.collection(each).id for each in body.collections]
    key, secret = Keys(access.library.catalog.database).create(body.name, body.scope, ids, body.days)
    response.headers["location"] = f"/v1/keys/{key.id}"
    return MadeKey(**key_out(key).model_dump(), key=secret)


@router.delete("/{key}", status_code=204)
def revoke_key(key: str, access: Owner) -> None:
    """It opens nothing from now on."""
    Keys(access.library.catalog.database).revoke(key)
