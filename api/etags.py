"""ETags: a client that has a representation is told whether it is still so, and changes only what it has seen."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel
from starlette.responses import Response

from folioscope.errors import Changed

IfNoneMatch = Annotated[str | None, Header(description="ETags that the client has: 304 where one is still right")]
IfMatch = Annotated[str | None, Header(description="the ETag of what is to be changed: 412 where it is another now")]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "as the client has it"}}
PRECONDITION: dict[int | str, dict[str, Any]] = {412: {"description": "it is no longer as the client has it"}}


def whole(body: BaseModel, known: str | None) -> Response:
    """The representation with its ETag, or 304. ``known``: the header If-None-Match."""
    data = body.model_dump_json().encode()
    headers = {"etag": _tag(data), "cache-control": "private, no-cache"}
    if known is not None and any(each in ("*", headers["etag"]) for each in _listed(known, weak=True)):
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type="application/json")


def require(body: BaseModel, wanted: str | None) -> None:
    """Raises `Changed` unless ``wanted``, the header If-Match, has the ETag of ``body``."""
    tag = _tag(body.model_dump_json().encode())
    if wanted is not None and not any(each in ("*", tag) for each in _listed(wanted, weak=False)):
        raise Changed("It is no longer as its ETag says.", hint="Get it again.")


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def _listed(header: str, *, weak: bool) -> list[str]:
    found = [each.strip() for each in header.split(",")]
    return [each.removeprefix("W/") for each in found] if weak else found
