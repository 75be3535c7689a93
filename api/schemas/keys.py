"""Keys over the wire; the secret once, when one is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.keys import Key, Scope
from api.schemas.common import PRINTED, Given


class NewKey(Given):
    """``collections``: names or ids of the only ones that it may see; else all. ``days``: until it expires."""

    name: str = Field(min_length=1, max_length=64, pattern=PRINTED)
    scope: Scope = "read"
    collections: list[Annotated[str, Field(min_length=1, max_length=64)]] | None = Field(
        None, min_length=1, max_length=100
    )
    days: float | None = Field(None, gt=0, le=36_500, allow_inf_nan=False)


class KeyOut(BaseModel):
    """A key without its secret. ``collections``: ids; None: all."""

    object: Literal["key"] = "key"
    id: str
    name: str
    scope: Scope
    collections: list[str] | None
    created: str
    expires: str | None
    revoked: bool
    valid: bool


class MadeKey(KeyOut):
    """``key``: the secret, shown this once; the server keeps but its hash."""

    key: str


def key_out(found: Key) -> KeyOut:
    """As it stands now."""
    return KeyOut(
        id=found.id,
        name=found.name,
        scope=found.scope,
        collections=None if found.collections is None else sorted(found.collections),
        created=found.created,
        expires=found.expires,
        revoked=found.revoked,
        valid=found.valid,
    )
